"""Questions give the same answers as counting the receipts by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.ledger import Ledger
from freehold.receipts.query import (
    CostRow,
    Filter,
    costs,
    count_receipts,
    find,
    list_receipts,
    open_readonly,
    totals,
)
from tests.receipts.story import HOUR_MS, SMALL, START_MS, FakeClock, make_receipt, write_numbers

COUNT = 300
RECEIPTS = [make_receipt(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    write_numbers(path, COUNT)
    return path


@pytest.fixture
def db(home: Path) -> Iterator[sqlite3.Connection]:
    with open_readonly(home) as connection:
        yield connection


def sums_by_hand(receipts: list[Receipt], name: str) -> CostRow:
    row = CostRow(name)
    for receipt in receipts:
        row.calls += 1
        row.errors += receipt.outcome in ("error", "truncated")
        row.refused += receipt.outcome == "refused"
        row.cancelled += receipt.outcome == "cancelled"
        row.cost_nanos[receipt.cost_state] = row.cost_nanos.get(receipt.cost_state, 0) + receipt.cost_nanos
        row.fresh_in += receipt.usage.fresh_in
        row.cache_read += receipt.usage.cache_read
        row.visible_out += receipt.usage.visible_out
        row.reasoning += receipt.usage.reasoning
    return row


def test_costs_by_project_are_the_sums_of_the_receipts(db: sqlite3.Connection) -> None:
    rows = costs(db, "project")
    by_hand = [
        sums_by_hand([each for each in RECEIPTS if each.project == name], name)
        for name in ("project1", "project0")
    ]
    assert rows == by_hand
    assert totals(db) == sums_by_hand(RECEIPTS, "")
    assert totals(db).total_nanos == sum(each.cost_nanos for each in RECEIPTS)


def test_costs_of_a_time_count_whole_hours(db: sqlite3.Connection) -> None:
    first_hour = START_MS - START_MS % HOUR_MS
    since, until = first_hour + HOUR_MS, first_hour + 2 * HOUR_MS
    wanted = [each for each in RECEIPTS if since <= each.started_ms < until]
    assert totals(db, since, until) == sums_by_hand(wanted, "")
    assert totals(db, since + 1, until - 1) == sums_by_hand(wanted, "")
    assert totals(db, 0, first_hour) == CostRow("")


@pytest.mark.parametrize(
    "by",
    ["project", "agent", "session", "task", "key", "model", "deployment", "provider", "day", "hour", "all"],
)
def test_every_grouping_adds_up_to_the_whole(db: sqlite3.Connection, by: str) -> None:
    rows = costs(db, by)  # type: ignore[arg-type]
    assert sum(row.calls for row in rows) == COUNT
    assert sum(row.total_nanos for row in rows) == totals(db).total_nanos


def test_days_and_hours_have_readable_names_in_order(db: sqlite3.Connection) -> None:
    assert costs(db, "day")[0].name == "2026-09-21"
    names = [row.name for row in costs(db, "hour")]
    assert names == sorted(names) and names[0] == "2026-09-21T14:00Z"


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(project="project1"), lambda each: each.project == "project1"),
        (Filter(agent="agent2", outcome="error"),
         lambda each: (each.agent, each.outcome) == ("agent2", "error")),
        (Filter(session="session7"), lambda each: each.session == "session7"),
        (Filter(model="auto"), lambda each: each.model_asked == "auto"),
        (Filter(id_prefix="rc_00001"), lambda each: each.id.startswith("rc_00001")),
        (Filter(since_ms=START_MS + 60_000, until_ms=START_MS + 180_000), lambda each: each.id[-1] in "12"
         and each.id.startswith("rc_00000")),
        (Filter(deployment="elsewhere"), lambda each: False),
        (Filter(project="'; DROP TABLE calls; --"), lambda each: False),
    ],
)  # fmt: skip
def test_filters_give_matching_receipts_newest_first(
    db: sqlite3.Connection, wanted: Filter, matches: object
) -> None:
    expected = [each.id for each in reversed(RECEIPTS) if matches(each)]  # type: ignore[operator]
    assert [row.id for row in list_receipts(db, wanted)] == expected[: wanted.limit]
    assert count_receipts(db, wanted) == len(expected)


def test_pages_follow_each_other(db: sqlite3.Connection) -> None:
    seen: list[str] = []
    before = None
    while page := list_receipts(db, Filter(limit=70, before=before)):
        seen += [row.id for row in page]
        before = page[-1].seq
    assert seen == [each.id for each in reversed(RECEIPTS)]


def test_a_row_knows_its_tokens(db: sqlite3.Connection) -> None:
    row = list_receipts(db, Filter(id_prefix="rc_000042"))[0]
    usage = RECEIPTS[42].usage
    assert (row.input_tokens, row.output_tokens) == (usage.input_total, usage.output_total)
    assert (row.seq, row.attempts, row.cost_nanos) == (42, 1, RECEIPTS[42].cost_nanos)


def test_find_gives_the_whole_entry_by_id_or_beginning(home: Path) -> None:
    assert find(home, "rc_000042") == (42, RECEIPTS[42])
    assert find(home, "rc_000299") == (299, RECEIPTS[299])
    with pytest.raises(LedgerError, match="several receipts begin"):
        find(home, "rc_00004")
    for name in ("rc_9", ""):
        with pytest.raises(LedgerError, match="there is no receipt"):
            find(home, name)


def test_find_sees_a_receipt_that_is_not_projected_yet(tmp_path: Path) -> None:
    write_numbers(tmp_path, 5)
    from freehold.receipts.entries import encode_receipt
    from freehold.receipts.journal import JournalWriter

    journal = JournalWriter(tmp_path / "ledger")
    journal.append([encode_receipt(make_receipt(5)) + b"\n"])
    journal.close()
    assert find(tmp_path, "rc_000005") == (5, make_receipt(5))


def test_reading_beside_a_running_ledger_and_without_receipts(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no receipts"), open_readonly(tmp_path):
        pass
    write_numbers(tmp_path, 3)
    with Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL), open_readonly(tmp_path) as db:
        assert totals(db).calls == 3
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM calls")


def test_ids_are_found_by_their_index_not_by_reading_all(db: sqlite3.Connection) -> None:
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT seq FROM calls WHERE id = 'x' ORDER BY seq LIMIT 1"
    ).fetchall()
    assert "calls_by_id" in plan[0][3]
