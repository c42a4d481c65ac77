"""A projection rebuilt from the log is the one that was written live."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.receipts.journal import LedgerError
from freehold.receipts.ledger import Ledger
from freehold.receipts.rebuild import rebuild
from freehold.receipts.verify import verify
from tests.receipts.story import SMALL, FakeClock, rows_of, write_numbers


def tables(home: Path) -> list[list[tuple[object, ...]]]:
    return [rows_of(home / "receipts.db", name) for name in ("calls", "rollups", "session_rollups")]


def test_rebuilding_gives_the_live_tables_again(tmp_path: Path) -> None:
    write_numbers(tmp_path, 700)
    live = tables(tmp_path)
    seen: list[int] = []
    assert rebuild(tmp_path, seen.append) == 700
    assert tables(tmp_path) == live
    assert seen[-1] == 700
    assert verify(tmp_path).ok
    write_numbers(tmp_path, 10, start=700)
    assert len(tables(tmp_path)[0]) == 710


def test_a_lost_or_broken_database_is_replaced(tmp_path: Path) -> None:
    write_numbers(tmp_path, 20)
    (tmp_path / "receipts.db").write_bytes(b"garbage")
    assert rebuild(tmp_path) == 20
    assert verify(tmp_path).ok


def test_a_damaged_log_leaves_the_old_database(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path, 700)
    live = tables(tmp_path)
    (folder / "tile/entries/000").unlink()
    with pytest.raises(LedgerError, match="is missing"):
        rebuild(tmp_path)
    assert tables(tmp_path) == live
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_rebuilding_under_a_running_ledger_is_refused(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL)
    with pytest.raises(LedgerError, match="in use by process"):
        rebuild(tmp_path)
    ledger.close()
