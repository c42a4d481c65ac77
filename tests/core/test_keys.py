"""Stories of API keys: hashing, comparing, naming."""

from __future__ import annotations

import pytest

from freehold.core.errors import ConfigError
from freehold.core.keys import AcceptedKeys, hash_key, key_name


def test_a_key_is_accepted_in_clear_or_as_its_hash_and_named_by_it() -> None:
    hashed = hash_key("fh-one")
    keys = AcceptedKeys([hashed.upper().replace("SHA256", "sha256"), "fh-two"])
    assert keys.match("fh-one") == key_name(hashed) == hashed[7:15]
    assert keys.match("fh-two") == key_name(hash_key("fh-two"))
    assert keys.match("fh-three") is None
    assert keys.match("") is None


def test_the_hash_itself_is_not_a_key() -> None:
    hashed = hash_key("fh-one")
    assert AcceptedKeys([hashed]).match(hashed) is None


def test_no_keys_accept_nothing() -> None:
    assert not AcceptedKeys([])
    assert AcceptedKeys([]).match("") is None


def test_bytes_that_are_no_text_are_an_unknown_key_not_a_crash() -> None:
    assert AcceptedKeys(["fh-one"]).match("fh-\udcff") is None


@pytest.mark.parametrize("bad", ["", " fh-one", "sha256:xyz", "sha256:0123"])
def test_a_malformed_key_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AcceptedKeys([bad])
    assert not bad or bad not in str(caught.value)
