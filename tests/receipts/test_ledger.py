"""The ledger as its owner sees it: append, publish, fail loudly, come back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.receipts.entries import Receipt, encode_receipt
from freehold.receipts.journal import LedgerError, segments
from freehold.receipts.keys import load_or_create
from freehold.receipts.ledger import Ledger
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.publisher import PublishingWork
from freehold.receipts.verify import verify
from tests.receipts.story import SMALL, FakeClock, make_receipt, rows_of, write_ledger, write_numbers


def log_of(home: Path) -> list[bytes]:
    with LogReader(LogFolder(home / "ledger")) as reader:
        return reader.read(1 << 20)


def test_what_is_appended_is_published_when_the_ledger_closes(tmp_path: Path) -> None:
    write_numbers(tmp_path, 700)
    assert log_of(tmp_path) == [encode_receipt(make_receipt(number)) for number in range(700)]
    assert len(rows_of(tmp_path / "receipts.db", "calls")) == 700
    report = verify(tmp_path)
    assert report.ok and report.covered == report.entries == 700


def test_an_append_is_in_the_file_when_it_returns(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL) as ledger:
        ledger.append(make_receipt(1))
        assert log_of(tmp_path) == [encode_receipt(make_receipt(1))]
        assert ledger.tail(0) == [(0, make_receipt(1))]
        assert ledger.tail(1) == []


def test_oversized_and_misencoded_receipts_are_cut_not_lost(tmp_path: Path) -> None:
    write_ledger(
        tmp_path,
        [
            Receipt(id="long", outcome="error", error="e" * 100_000, started_ms=1),
            Receipt(id="surrogate", outcome="error", agent="\udc80", started_ms=1),
        ],
    )
    assert [row[1] for row in rows_of(tmp_path / "receipts.db", "calls")] == ["long", "surrogate"]
    assert verify(tmp_path).ok


def test_a_second_ledger_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL)
    with pytest.raises(LedgerError, match="in use by process"):
        Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL)
    first.close()
    Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL).close()


def test_a_log_whose_signed_end_was_cut_off_is_not_continued(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path, 100)
    path = segments(folder)[-1].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:90]))
    with pytest.raises(LedgerError, match="holds 90 entries, but 100 were signed"):
        Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL)


def test_a_changed_entry_stops_publishing_visibly_but_not_writing(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path, 100)
    path = segments(folder)[-1].path
    path.write_bytes(path.read_bytes().replace(b"rc_000050", b"rc_000051"))
    with Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL) as ledger:
        ledger.append(make_receipt(100))
    health = ledger.health()
    assert "not those that the last checkpoint signed" in health.error
    assert (health.entries, health.projected) == (101, 0)
    assert len(log_of(tmp_path)) == 101


def test_a_database_of_another_log_stops_publishing_visibly(tmp_path: Path) -> None:
    write_numbers(tmp_path / "one", 20)
    write_numbers(tmp_path / "two", 20, start=500)
    (tmp_path / "two/receipts.db").replace(tmp_path / "one/receipts.db")
    with Ledger.open(tmp_path / "one", clock=FakeClock(), pace=SMALL) as ledger:
        pass
    assert "are not those of the log" in ledger.health().error


def test_a_deleted_database_is_made_again_from_the_log(tmp_path: Path) -> None:
    write_numbers(tmp_path, 700)
    before = rows_of(tmp_path / "receipts.db", "calls"), rows_of(tmp_path / "receipts.db", "rollups")
    (tmp_path / "receipts.db").unlink()
    write_numbers(tmp_path, 0)
    assert before == (
        rows_of(tmp_path / "receipts.db", "calls"),
        rows_of(tmp_path / "receipts.db", "rollups"),
    )


def test_a_database_that_is_deleted_meanwhile_is_noticed_and_made_again(tmp_path: Path) -> None:
    from freehold.receipts.journal import JournalWriter

    keys, journal = load_or_create(tmp_path), JournalWriter(tmp_path / "ledger", 256)
    for number in range(10):
        journal.append([encode_receipt(make_receipt(number)) + b"\n"])
    with closing(PublishingWork(tmp_path, keys.signer, FakeClock(), SMALL)) as work:
        work.step(5)
        for path in list(tmp_path.glob("receipts.db*")):
            path.unlink()
        with pytest.raises(LedgerError, match="was deleted"):
            work.step(10)
    with closing(PublishingWork(tmp_path, keys.signer, FakeClock(), SMALL)) as work:
        while not work.step(10, final=True):
            pass
    journal.close()
    assert len(rows_of(tmp_path / "receipts.db", "calls")) == 10


def test_a_checkpoint_is_signed_at_most_once_an_interval_and_always_at_the_end(tmp_path: Path) -> None:
    clock = FakeClock()
    keys = load_or_create(tmp_path)
    from freehold.receipts.journal import JournalWriter

    pace = replace(SMALL, checkpoint_s=1.0)
    journal = JournalWriter(tmp_path / "ledger", 256)
    with closing(PublishingWork(tmp_path, keys.signer, clock, pace)) as work:
        signed: list[int] = []
        for advance_ms in (0, 400, 400, 400):
            clock.ms += advance_ms
            journal.append([encode_receipt(make_receipt(journal.entries)) + b"\n"])
            work.step(journal.entries)
            signed.append(work.published().checkpointed)
        assert signed == [1, 1, 1, 4]
        journal.append([encode_receipt(make_receipt(4)) + b"\n"])
        assert work.step(5, final=True)
        assert work.published().checkpointed == 5
    journal.close()


def test_segments_are_given_up_only_a_while_after_they_were_signed(tmp_path: Path) -> None:
    from freehold.receipts.journal import JournalWriter

    clock, keys = FakeClock(), load_or_create(tmp_path)
    journal = JournalWriter(tmp_path / "ledger", 256)
    for number in range(600):
        journal.append([encode_receipt(make_receipt(number)) + b"\n"])
    with closing(PublishingWork(tmp_path, keys.signer, clock, replace(SMALL, seal_after_s=40.0))) as work:
        while not work.step(600, final=True):
            pass
        clock.ms += 39_000
        work.step(600)
        assert [segment.first for segment in segments(tmp_path / "ledger")] == [0, 256, 512]
        clock.ms += 1_000
        work.step(600)
        assert [segment.first for segment in segments(tmp_path / "ledger")] == [512]
    journal.close()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 4), st.integers(0, 80)), min_size=1, max_size=4)
)
def test_crashes_between_any_two_steps_lose_and_repeat_nothing(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int, int]]
) -> None:
    """Each run appends, publishes some steps, and dies; the crash may cut the tail that nobody signed."""
    from freehold.receipts.journal import JournalWriter

    home = tmp_path_factory.mktemp("home")
    keys = load_or_create(home)
    pace = replace(SMALL, batch_entries=100)
    expected: list[bytes] = []
    for count, steps, cut in runs:
        journal = JournalWriter(home / "ledger", 256)
        fresh = [encode_receipt(make_receipt(len(expected) + number)) for number in range(count)]
        for entry in fresh:
            journal.append([entry + b"\n"])
        expected += fresh
        with closing(PublishingWork(home, keys.signer, FakeClock(), pace)) as work:
            for _ in range(steps):
                work.step(journal.entries)
            known = max(work.published().projected, work.published().checkpointed)
        journal.close()
        path = segments(home / "ledger")[-1].path
        data = path.read_bytes()
        keep = max(0, len(data) - cut)
        lost = data.count(b"\n") - data[:keep].count(b"\n")
        if len(expected) - lost >= known:
            path.write_bytes(data[:keep])
            expected = expected[: len(expected) - lost]
    write_ledger(home, [])
    assert log_of(home) == expected
    assert [row[0] for row in rows_of(home / "receipts.db", "calls")] == list(range(len(expected)))
    report = verify(home)
    assert report.ok and report.covered == len(expected)


def test_a_busy_database_is_waited_for_or_told(tmp_path: Path) -> None:
    """A disk or database that refuses is an error in `health`, and the log waits for a better time."""
    write_numbers(tmp_path, 10)
    with closing(sqlite3.connect(tmp_path / "receipts.db")) as db:
        db.execute(
            "CREATE TRIGGER no BEFORE INSERT ON rollups BEGIN SELECT RAISE(ABORT, 'disk trouble'); END"
        )
        db.commit()
        with Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL) as ledger:
            ledger.append(make_receipt(10))
        assert "disk trouble" in ledger.health().error
        db.execute("DROP TRIGGER no")
        db.commit()
    write_ledger(tmp_path, [])
    assert len(rows_of(tmp_path / "receipts.db", "calls")) == 11
