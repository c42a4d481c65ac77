"""Keys are made once, kept private, and belong to one log."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.receipts.keys import KeyFileError, load_or_create, read_salts, read_verifier


def test_the_second_start_finds_the_keys_of_the_first(tmp_path: Path) -> None:
    first, second = load_or_create(tmp_path), load_or_create(tmp_path)
    assert first.signer.text == second.signer.text
    assert first.salts.salt("a", "request") == read_salts(tmp_path).salt("a", "request")
    assert read_verifier(tmp_path).text == first.signer.verifier.text


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert modes["ledger.key"] == modes["salt.key"] == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_two_homes_never_share_a_name_or_a_secret(tmp_path: Path) -> None:
    one, two = load_or_create(tmp_path / "1"), load_or_create(tmp_path / "2")
    assert one.signer.verifier.name != two.signer.verifier.name
    assert one.salts.salt("a", "request") != two.salts.salt("a", "request")


def test_a_log_keeps_its_name(tmp_path: Path) -> None:
    load_or_create(tmp_path, "example.com/log")
    assert load_or_create(tmp_path).signer.verifier.name == "example.com/log"
    with pytest.raises(KeyFileError, match="keeps its name"):
        load_or_create(tmp_path, "example.com/renamed")


def test_broken_key_files_are_named(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    for name, read in (("salt.key", read_salts), ("ledger.pub", read_verifier)):
        (tmp_path / "keys" / name).write_text("nonsense")
        with pytest.raises(KeyFileError, match=name):
            read(tmp_path)
    (tmp_path / "keys" / "ledger.key").write_text("nonsense")
    with pytest.raises(KeyFileError, match=r"ledger\.key"):
        load_or_create(tmp_path)
