"""The projection holds each entry once, with its sums, whatever interrupts it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.receipts.entries import Receipt, encode_receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.projection import Projection
from freehold.receipts.rows import COLUMNS, INTEGER_CAP
from freehold.receipts.statements import schema, statements
from tests.receipts.story import make_receipt, rows_of

ENTRIES = [encode_receipt(make_receipt(number)) for number in range(400)]


def project(path: Path, entries: list[bytes]) -> None:
    with closing(Projection(path)) as projection:
        projection.add(entries)


def sums(path: Path, table: str) -> tuple[int, ...]:
    name = "sums_of_calls" if table == "calls" else "sums_of_rollups"
    with closing(sqlite3.connect(path)) as db:
        return db.execute(statements("reports")[name].replace("{table}", table)).fetchone()


def test_the_columns_of_the_code_are_those_of_the_schema() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(schema())
        assert tuple(name for _, name, *_ in db.execute("PRAGMA table_info(calls)")) == COLUMNS


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 150), max_size=4))
def test_any_batches_give_the_same_tables_and_sums_to_the_nano(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("projection")
    at = 0
    for count in batches:
        batch = ENTRIES[at : at + count]
        project(folder / "parts.db", batch)
        at += len(batch)
    project(folder / "parts.db", ENTRIES[at:])
    project(folder / "whole.db", ENTRIES)
    for table in ("calls", "rollups", "session_rollups"):
        assert rows_of(folder / "parts.db", table) == rows_of(folder / "whole.db", table)
    for table in ("rollups", "session_rollups"):
        assert sums(folder / "parts.db", "calls") == sums(folder / "parts.db", table)
    assert sums(folder / "whole.db", "calls")[1] == sum(number * 7 + 1 for number in range(400))


def test_a_failure_in_the_middle_leaves_nothing_and_the_next_try_everything(tmp_path: Path) -> None:
    path = tmp_path / "receipts.db"
    project(path, ENTRIES[:10])
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER no BEFORE INSERT ON rollups BEGIN SELECT RAISE(ABORT, 'stop'); END")
        db.commit()
    with closing(Projection(path)) as projection:
        with pytest.raises(sqlite3.Error, match="stop"):
            projection.add(ENTRIES[10:300])
        assert projection.position == 10
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (10,)
        db.execute("DROP TRIGGER no")
        db.commit()
    with closing(Projection(path)) as projection:
        projection.add(ENTRIES[projection.position : 300])
    assert sums(path, "calls") == sums(path, "rollups") == sums(path, "session_rollups")
    assert sums(path, "calls")[0] == 300


def test_numbers_that_no_provider_can_mean_are_capped_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "receipts.db"
    liar = Receipt(id="liar", outcome="ok", started_ms=1, usage=Usage(fresh_in=10**30, cache_read=-(10**30)))
    project(path, [encode_receipt(liar), ENTRIES[1]])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT fresh_in, cache_read FROM calls WHERE id = 'liar'").fetchone() == (
            INTEGER_CAP,
            -INTEGER_CAP,
        )
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (2,)


def test_an_entry_that_is_no_receipt_is_counted_and_keeps_its_place(tmp_path: Path) -> None:
    with closing(Projection(tmp_path / "receipts.db")) as projection:
        projection.add([ENTRIES[0], b"not json", ENTRIES[2]])
        assert projection.unreadable == 1
    kinds = [(row[0], row[2]) for row in rows_of(tmp_path / "receipts.db", "calls")]
    assert kinds == [(0, "call"), (1, "unreadable"), (2, "call")]


def test_a_database_that_is_not_ours_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "receipts.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(LedgerError, match="rebuild"):
        Projection(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")
    with pytest.raises(LedgerError, match="rebuild"):
        Projection(path)


def test_a_database_of_an_older_freehold_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "receipts.db"
    with closing(Projection(path)) as projection:
        projection.add(ENTRIES[:2])
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE calls DROP COLUMN saved_nanos")
        db.commit()
    with closing(Projection(path)) as projection:
        assert projection.position == 0, "it follows the log from its beginning"
        projection.add(ENTRIES[:2])
    assert len(rows_of(path, "calls")) == 2
