"""Stories of `freehold key`."""

from __future__ import annotations

import io
import re

import pytest
import yaml

from freehold.cli.exits import Exit
from freehold.core.keys import accepted_keys, hash_key
from tests.cli.conftest import Freehold


def test_a_new_key_is_shown_once_with_the_line_that_accepts_it(freehold: Freehold) -> None:
    ran = freehold("key", "new", "--name", "Anna's\nlaptop")
    key = re.search(r"fh-[A-Za-z0-9]{32}", ran.out)
    line = next(line for line in ran.out.splitlines() if "sha256:" in line)
    assert key is not None
    assert line.endswith("# Anna's laptop")
    assert yaml.safe_load(line.strip()) == [hash_key(key[0])]


def test_two_keys_are_never_the_same(freehold: Freehold) -> None:
    first, second = (freehold("key", "new", "--json").json for _ in range(2))
    assert first["key"] != second["key"]
    assert first["hash"] == hash_key(first["key"])
    assert list(accepted_keys([first["hash"]]).values()) == [first["short_name"]]


def test_a_key_that_one_has_is_hashed_and_not_repeated(
    freehold: Freehold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("my-own-key\n"))
    ran = freehold("key", "hash")
    assert hash_key("my-own-key") in ran.out
    assert "my-own-key" not in ran.out


def test_hashing_nothing_is_refused(freehold: Freehold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    ran = freehold("key", "hash")
    assert ran.exit == Exit.FAILED
    assert "no key was given" in ran.err
