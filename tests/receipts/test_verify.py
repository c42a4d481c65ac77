"""The tamper matrix: whatever is done to a log, `verify` finds it and says where."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from freehold.receipts.entries import encode_receipt
from freehold.receipts.journal import JournalWriter, LedgerError, segments
from freehold.receipts.keys import load_or_create
from freehold.receipts.log_folder import LogFolder
from freehold.receipts.log_tree import LogTree
from freehold.receipts.tiles import decode_bundle, encode_bundle
from freehold.receipts.verify import verify
from tests.receipts.story import SMALL, FakeClock, make_receipt, write_ledger, write_numbers

COUNT = 700
"""Entries 0-511 are sealed in two bundles; 512-699 stand in a partial bundle and in the journal."""

Lines = list[bytes]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("original")
    write_numbers(home, COUNT)
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "home")


def change_bundle(home: Path, change: Callable[[Lines], Lines], name: str = "001") -> None:
    path = home / "ledger/tile/entries" / name
    path.write_bytes(encode_bundle(change(decode_bundle(path.read_bytes()))))


def change_journal(home: Path, change: Callable[[Lines], Lines]) -> None:
    path = segments(home / "ledger")[-1].path
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))


def edit(lines: Lines) -> Lines:
    return [*lines[:50], lines[50].replace(b'"status":200', b'"status":500'), *lines[51:]]


def drop(lines: Lines) -> Lines:
    return [*lines[:50], *lines[51:]]


def swap(lines: Lines) -> Lines:
    return [*lines[:50], lines[51], lines[50], *lines[52:]]


def insert(lines: Lines) -> Lines:
    return [*lines[:50], encode_receipt(make_receipt(9_999)), *lines[50:]]


def cut(lines: Lines) -> Lines:
    return lines[:50]


MATRIX = [
    (edit, {("edited", 50)}),
    (drop, {("dropped", 50)}),
    (swap, {("reordered", 50), ("reordered", 51)}),
    (insert, {("inserted", 50)}),
    (cut, {("truncated", 50)}),
]


def found(home: Path, **options: str) -> set[tuple[str, int]]:
    return {(problem.kind, problem.index) for problem in verify(home, **options).problems}


def test_an_untouched_log_is_proven(home: Path) -> None:
    report = verify(home)
    assert report.ok and (report.entries, report.covered) == (COUNT, COUNT)
    assert any("700 entries lead to the checkpoint's root" in line for line in report.proven)
    assert any("database agrees" in line for line in report.proven)
    assert any("compare it" in line for line in report.not_proven)
    assert any("exchanged" in line for line in report.not_proven)


@pytest.mark.parametrize(("change", "expected"), MATRIX)
def test_tampering_with_sealed_entries(
    home: Path, change: Callable[[Lines], Lines], expected: set[tuple[str, int]]
) -> None:
    change_bundle(home, change)
    assert {(kind, index + 256) for kind, index in expected} <= found(home)


@pytest.mark.parametrize(("change", "expected"), MATRIX)
def test_tampering_with_the_journal(
    home: Path, change: Callable[[Lines], Lines], expected: set[tuple[str, int]]
) -> None:
    change_journal(home, change)
    assert {(kind, index + 512) for kind, index in expected} <= found(home)


@pytest.mark.parametrize(("change", "expected"), MATRIX)
def test_tampering_with_every_copy_of_an_entry(
    home: Path, change: Callable[[Lines], Lines], expected: set[tuple[str, int]]
) -> None:
    change_journal(home, change)
    change_bundle(home, change, name="002.p/188")
    assert {(kind, index + 512) for kind, index in expected} <= found(home)


def test_tampering_without_a_database_beside_it(home: Path) -> None:
    (home / "receipts.db").unlink()
    change_bundle(home, swap)
    report = verify(home)
    assert {(each.kind, each.index) for each in report.problems} == {("reordered", 306), ("reordered", 307)}
    assert any("database" in line for line in report.not_proven)


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"])
def test_a_changed_tile_is_named(home: Path, path: str) -> None:
    data = bytearray((home / "ledger" / path).read_bytes())
    data[33] ^= 1
    (home / "ledger" / path).write_bytes(data)
    assert [problem.kind for problem in verify(home).problems] == ["tile"]


@pytest.mark.parametrize("path", ["tile/0/001", "tile/entries/000", "tile/entries/002.p/188", "checkpoint"])
def test_a_missing_file_is_a_problem(home: Path, path: str) -> None:
    (home / "ledger" / path).unlink()
    assert not verify(home).ok


def test_an_entry_changed_together_with_all_tiles_does_not_lead_to_the_signed_root(home: Path) -> None:
    note = (home / "ledger/checkpoint").read_text()
    rewrite(home, note_after=note)
    problems = found(home)
    assert ("root", -1) in problems
    assert ("projection", 5) in problems, "the database still knows what the entry said"


def test_a_log_exchanged_as_a_whole_is_found_by_a_saved_checkpoint(home: Path) -> None:
    """The thief has the key and rewrites everything; only what was saved elsewhere can tell."""
    saved = (home / "ledger/checkpoint").read_text()
    rewrite(home, note_after=None)
    (home / "receipts.db").unlink()
    assert verify(home).ok
    assert ("checkpoint", -1) in found(home, against=saved)


def rewrite(home: Path, note_after: str | None) -> None:
    """Write the log anew with entry 5 changed; keep the old checkpoint, or sign with the stolen key."""
    keys = load_or_create(home)
    shutil.rmtree(home / "ledger")
    journal = JournalWriter(home / "ledger", 256)
    for number in range(COUNT):
        journal.append([encode_receipt(make_receipt(number, status=500 if number == 5 else 200)) + b"\n"])
    journal.close()
    tree = LogTree(LogFolder(home / "ledger"), keys.signer)
    while tree.extend(1_000):
        pass
    tree.sign()
    tree.close()
    if note_after:
        (home / "ledger/checkpoint").write_text(note_after)


def test_a_saved_checkpoint_proves_continuation_and_finds_rollback(home: Path, tmp_path: Path) -> None:
    early = write_numbers(tmp_path / "grown", 130) / "checkpoint"
    saved = early.read_text()
    write_numbers(tmp_path / "grown", 470, start=130)
    report = verify(tmp_path / "grown", against=saved)
    assert report.ok
    assert any("continues the saved checkpoint of 130 entries" in line for line in report.proven)
    newer = early.read_text()
    shutil.copytree(tmp_path / "grown/keys", tmp_path / "back/keys")
    write_numbers(tmp_path / "back", 130)
    assert ("truncated", 130) in found(tmp_path / "back", against=newer)


def test_a_forged_or_foreign_checkpoint_is_a_signature_problem(home: Path, tmp_path: Path) -> None:
    other = write_numbers(tmp_path / "other", 3) / "checkpoint"
    shutil.copy(other, home / "ledger/checkpoint")
    assert ("signature", -1) in found(home)


def test_the_key_that_was_kept_elsewhere_is_what_counts(home: Path, tmp_path: Path) -> None:
    kept = (home / "keys/ledger.pub").read_text()
    assert any("the key you gave" in line for line in verify(home, public_key=kept).proven)
    other = load_or_create(tmp_path / "other").signer.verifier.text
    assert ("signature", -1) in found(home, public_key=other)


def test_a_copy_of_the_ledger_folder_alone_can_be_verified(home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(home / "ledger", tmp_path / "copy")
    assert verify(copy, public_key=(home / "keys/ledger.pub").read_text()).ok


def test_entries_after_the_checkpoint_are_not_proven(home: Path) -> None:
    append_raw(home, [encode_receipt(make_receipt(number)) for number in range(COUNT, COUNT + 3)])
    report = verify(home)
    assert report.ok and (report.entries, report.covered) == (COUNT + 3, COUNT)
    assert "the newest 3 entries: no checkpoint covers them yet" in report.not_proven


def test_an_unsigned_end_that_was_cut_is_known_from_the_database(home: Path) -> None:
    with closing(sqlite3.connect(home / "receipts.db")) as db:
        db.execute("UPDATE progress SET position = position + 2")
        db.commit()
    assert ("truncated", COUNT) in found(home)


def test_a_receipt_that_stands_twice_is_found(tmp_path: Path) -> None:
    write_ledger(tmp_path, [make_receipt(1), make_receipt(2), make_receipt(1)])
    assert found(tmp_path) == {("duplicate_id", 2)}


def test_an_entry_that_is_no_receipt_is_found(home: Path) -> None:
    append_raw(home, [b"{}"])
    assert found(home) == {("unreadable", COUNT)}


def append_raw(home: Path, entries: Lines) -> None:
    journal = JournalWriter(home / "ledger")
    for entry in entries:
        journal.append([entry + b"\n"])
    journal.close()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE calls SET cost_nanos = 0 WHERE seq = 40", ("projection", 40)),
        ("DELETE FROM calls WHERE seq = 40", ("projection", 40)),
        ("UPDATE rollups SET cost_nanos = cost_nanos + 1 WHERE agent = 'agent1'", ("projection", -1)),
    ],
)
def test_a_changed_database_is_found(home: Path, statement: str, kind: tuple[str, int]) -> None:
    with closing(sqlite3.connect(home / "receipts.db")) as db:
        db.execute(statement)
        db.commit()
    assert kind in found(home)


def test_verifying_beside_a_running_ledger(home: Path) -> None:
    from freehold.receipts.ledger import Ledger

    with Ledger.open(home, clock=FakeClock(), pace=SMALL) as ledger:
        for number in range(COUNT, COUNT + 600):
            ledger.append(make_receipt(number))
            if number % 100 == 0:
                assert verify(home).problems == ()
    assert verify(home).covered == COUNT + 600


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        verify(tmp_path)
