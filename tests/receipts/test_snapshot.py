"""The projection and the log behind it, asked while the publisher goes on: nothing twice, nothing missed."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from freehold.receipts import outcomes as outcomes_module
from freehold.receipts import query as query_module
from freehold.receipts.deaths import certificates, death_receipt
from freehold.receipts.entries import encode_receipt
from freehold.receipts.journal import JournalWriter, LedgerError
from freehold.receipts.outcomes import Said, outcome_receipt, outcomes
from freehold.receipts.projection import DATABASE, Projection
from freehold.receipts.query import find, list_receipts, open_readonly
from freehold.receipts.snapshot import entries_from, snapshot
from freehold.receipts.spend import Wanted, read_spending
from tests.receipts.story import START_MS, make_receipt
from tests.receipts.test_deaths import make_certificate

SAID = Said(of="r1", score_ppm=1, source="person", deployment="m")
ENTRIES = [
    encode_receipt(outcome_receipt(SAID, "oc_1", START_MS)),
    encode_receipt(death_receipt(make_certificate(1), "dc_1", START_MS)),
    encode_receipt(make_receipt(7)),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three entries in the journal, none of them projected, and no database."""
    writer = JournalWriter(tmp_path / "ledger")
    writer.append([entry + b"\n" for entry in ENTRIES])
    writer.close()
    return tmp_path


def project(home: Path, entries: list[bytes]) -> None:
    with closing(Projection(home / DATABASE)) as projection:
        projection.add(entries)


def told(home: Path) -> tuple[int, int, str]:
    return len(list(outcomes(home))), len(certificates(home)), find(home, "rc_000007")[1].id


ALL = (1, 1, "rc_000007")


def test_without_a_database_the_log_alone_tells(home: Path) -> None:
    assert told(home) == ALL


def test_while_the_database_is_made_the_log_alone_tells(home: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        assert told(home) == ALL
        with pytest.raises(LedgerError, match="ask again"), open_readonly(home):
            pass


def test_of_an_older_database_nothing_is_believed(home: Path) -> None:
    project(home, ENTRIES)
    with closing(sqlite3.connect(home / DATABASE)) as db:
        db.execute("ALTER TABLE calls ADD COLUMN another INTEGER")
    assert told(home) == ALL


def damage(home: Path, first_page: int) -> None:
    """Overwrites the middle of every page from this one on."""
    data = bytearray((home / DATABASE).read_bytes())
    for at in range(first_page * 4096, len(data), 4096):
        data[at : at + 200] = b"\xa5" * 200
    (home / DATABASE).write_bytes(data)


@pytest.mark.parametrize("first_page", [0, 1, 2])
def test_what_a_damaged_database_had_the_log_tells(home: Path, first_page: int) -> None:
    project(home, ENTRIES)
    damage(home, first_page)
    assert [said.of for said in outcomes(home)] == ["r1"]
    spending = read_spending(home, [Wanted("all")])
    assert (spending.sums, [receipt.id for receipt in spending.newer]) == (((),), ["rc_000007"])


def test_a_database_that_is_only_busy_is_not_taken_for_damaged(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> NoReturn:
        raise sqlite3.OperationalError("database is locked")

    project(home, ENTRIES)
    monkeypatch.setattr(sqlite3, "connect", busy)
    for ask in (lambda: list(outcomes(home)), lambda: read_spending(home, [Wanted("all")])):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            ask()


@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_is_projected_between_two_questions_is_told_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    project(home, ENTRIES[:before])

    @contextmanager
    def interrupted(home: Path) -> Generator[tuple[sqlite3.Connection | None, int]]:
        with snapshot(home) as (db, position):
            project(home, ENTRIES[position:])
            yield db, position

    for module in (outcomes_module, query_module):
        monkeypatch.setattr(module, "snapshot", interrupted)
        assert told(home) == ALL
        (home / DATABASE).unlink()
        project(home, ENTRIES[:before])


def test_a_snapshot_stays_as_it_was(home: Path) -> None:
    project(home, ENTRIES[:1])
    with snapshot(home) as (db, position):
        assert db is not None
        project(home, ENTRIES[1:])
        seen = [row.seq for row in list_receipts(db, query_module.Filter())]
        assert (seen, position) == ([0], 1)
        assert [index for index, _ in entries_from(home, position)] == [1, 2]


def test_where_nothing_ever_was_that_is_said(tmp_path: Path) -> None:
    assert list(outcomes(tmp_path)) == []
    for ask in (lambda: certificates(tmp_path), lambda: find(tmp_path, "rc")):
        with pytest.raises(LedgerError, match="there are no receipts in"):
            ask()
