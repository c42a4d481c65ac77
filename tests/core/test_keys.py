"""Stories of API keys: hashing, naming, which are accepted."""

from __future__ import annotations

import hashlib

import pytest

from freehold.core.errors import ConfigError
from freehold.core.keys import accepted_keys, hash_key, key_name


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_a_key_is_accepted_in_clear_or_as_its_hash_and_named_by_it() -> None:
    keys = accepted_keys([f"sha256:{digest('fh-one').upper()}", "fh-two"])
    assert keys == {digest("fh-one"): digest("fh-one")[:8], digest("fh-two"): digest("fh-two")[:8]}
    assert key_name(hash_key("fh-one")) == keys[digest("fh-one")]


def test_the_hash_itself_is_not_a_key() -> None:
    hashed = hash_key("fh-one")
    assert digest(hashed) not in accepted_keys([hashed])


def test_no_keys_accept_nothing() -> None:
    assert accepted_keys([]) == {}


@pytest.mark.parametrize("bad", ["", " fh-one", "fh-on\u00e9", "sha256:xyz", "sha256:0123"])
def test_a_malformed_key_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accepted_keys([bad])
    assert not bad or bad not in str(caught.value)
