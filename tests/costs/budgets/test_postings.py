"""What is written of holds, and what a start makes of it after any kind of end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.budgets.answers import Hold
from freehold.costs.budgets.postings import (
    Expired,
    Held,
    Released,
    Settled,
    Standing,
    expire,
    held_line,
    line_of,
    opening,
    released_line,
    settled_line,
    standing_of,
    who_bytes,
)
from freehold.costs.budgets.scopes import Payer
from tests.costs.budgets.budgeting import ANNA, CENT, T0, USD, Paper, held, only, rules, written

WHO = st.builds(Payer, agent=st.text(max_size=8), session=st.text(max_size=8), key=st.text(max_size=8))


def lost(paper: Paper, receipted: dict[str, bool] | None = None) -> list[tuple[str, int]]:
    """What counts as expired at a start: the calls, and how much."""
    standing = standing_of(paper.segments)
    return [(posting.key, posting.nanos) for posting in expire(standing, receipted or {})]


@given(who=WHO, at_ms=st.integers(0, 2**45), nanos=st.integers(0, 2**60), number=st.integers(1, 2**40))
def test_the_fast_lines_are_the_lines(who: Payer, at_ms: int, nanos: int, number: int) -> None:
    key = f"r0-1/{number}"
    held_posting = Held(key=key, at=at_ms, nanos=nanos, who=who)
    assert standing_of([[held_line("r0-1", number, at_ms, nanos, who_bytes(who)).strip()]]) == Standing(
        open={key: held_posting}
    )
    assert settled_line("r0-1", number, nanos) == line_of(Settled(key=key, nanos=nanos))
    assert released_line("r0-1", number) == line_of(Released(key=key))
    assert b"\n" not in line_of(held_posting)[:-1]


def test_a_hold_without_an_end_counts_unless_its_receipt_knows_better() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    for number in range(3):
        held(book.hold(ANNA, 10 * CENT, T0, f"c{number}"))
    assert lost(paper, {"c0": True, "c1": False}) == [("c1/2", 10 * CENT), ("c2/3", 10 * CENT)]


def test_what_was_settled_counts_by_its_receipt_and_by_what_was_settled_where_that_is_missing() -> None:
    """Killed in the very turn of the loop in which the call ended and the next one took its money."""
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.settle(held(book.hold(ANNA, USD, T0, "c1")), 40 * CENT, T0)
    held(book.hold(ANNA, 60 * CENT, T0, "c2"))
    assert lost(paper) == [("c2/2", 60 * CENT), ("c1/1", 40 * CENT)]
    assert lost(paper, {"c1": True}) == [("c2/2", 60 * CENT)]


def test_what_was_given_back_unsent_is_nobody_s_also_when_another_took_it() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.release(held(book.hold(ANNA, USD, T0, "c1")))
    held(book.hold(ANNA, USD, T0, "c2"))
    assert lost(paper) == [("c2/2", USD)]


def test_after_two_ticks_receipts_are_not_looked_for_any_more() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.settle(held(book.hold(ANNA, USD, T0, "c1")), 40 * CENT, T0)
    for expected in ([("c1/1", 40 * CENT)], []):
        book.tick(T0)
        assert lost(paper) == expected
    size = len(paper.segments[-1])
    book.tick(T0)
    assert len(paper.segments[-1]) == size


def test_a_new_segment_says_all_that_matters_of_the_old_ones() -> None:
    book, paper = written(
        {"scope": "all", "limit_usd": 1}, {"scope": "task:*", "limit_usd": 1, "window": "total"}
    )
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c1")), 20 * CENT, T0)
    book.expire(held(book.hold(ANNA, 10 * CENT, T0, "c2")), T0)
    held(book.hold(ANNA, 10 * CENT, T0, "c3"))
    giver, taker = (book.account("task:* in total", name, T0) for name in ("t1", "t2"))
    book.lend(giver, taker, 20 * CENT, T0)
    book.lend(giver, taker, 5 * CENT, T0)
    book.give_back(taker, giver, T0)
    paper.grown = True
    book.tick(T0)
    newest = standing_of(paper.segments[-1:])
    assert newest == standing_of(paper.segments)
    assert list(newest.open) == ["c3/3"]
    assert list(newest.unsure) == ["c1/1"]
    assert [posting.key for posting in newest.expired] == ["c2/2"]
    assert [(each.giver_subject, each.taker_subject, each.nanos) for each in newest.moved] == [
        ("t1", "t2", 25 * CENT)
    ]


def test_a_power_cut_that_took_the_new_segment_s_beginning_leaves_the_old_one() -> None:
    expired = Expired(key="c1/1", at=T0, nanos=CENT, who=ANNA)
    old = [*opening([line_of(expired)]).splitlines(), held_line("c2", 2, T0, CENT, who_bytes(ANNA)).strip()]
    new = opening([line_of(expired)] * 3).splitlines()
    for torn in ([], new[:1], new[:3], [*new[:2], new[2][:20], new[3]]):
        standing = standing_of([old, torn])
        assert ([*standing.open], len(standing.expired)) == (["c2/2"], 1)
    assert standing_of([old, new]).open == {}


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_torn_last_line_is_a_call_that_was_never_sent(cut: int) -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    held(book.hold(ANNA, CENT, T0, "c1"))
    held(book.hold(ANNA, CENT, T0, "c2"))
    paper.segments[-1][-1] = paper.segments[-1][-1][:-cut]
    assert lost(paper) == [("c1/1", CENT)]
    assert standing_of(paper.segments).unreadable == 1


def test_holds_that_could_not_be_written_at_their_end_are_written_later() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    first, second = (held(book.hold(ANNA, CENT, T0, name)) for name in ("c1", "c2"))
    paper.full = True
    book.release(first)
    book.expire(second, T0)
    with pytest.raises(OSError, match="space"):
        book.tick(T0)
    assert not isinstance(book.hold(ANNA, CENT, T0, "c3"), Hold)
    paper.full = False
    book.tick(T0)
    standing = standing_of(paper.segments)
    assert (dict(standing.open), [posting.key for posting in standing.expired]) == ({}, ["c2/2"])


# -- receipts that could not be written


def test_what_calls_without_a_receipt_have_cost_counts_once_however_late_it_is_asked() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    for name, cents in (("c1", 10), ("c2", 20)):
        book.settle(held(book.hold(ANNA, 30 * CENT, T0, name)), cents * CENT, T0)
    book.receipts_lost({"c1"})
    assert [(each.key, each.nanos) for each in standing_of(paper.segments).expired] == [("c1/1", 10 * CENT)]
    assert lost(paper, {"c2": True}) == []
    for grown in (False, True, True):
        paper.grown = grown
        book.tick(T0)
        assert [each.key for each in standing_of(paper.segments).expired] == ["c1/1"]
    assert lost(paper) == []


def test_a_lost_receipt_takes_nothing_from_the_accounts_and_posts_nothing_twice() -> None:
    book, _ = written({"scope": "all", "limit_usd": 1})
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c1")), 10 * CENT, T0)
    for _ in range(2):
        book.receipts_lost({"c1"})
    assert only(book).used == 10 * CENT


def test_a_budget_that_comes_later_knows_what_calls_without_a_receipt_have_cost() -> None:
    book, _ = written({"scope": "all", "limit_usd": 1})
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c1")), 10 * CENT, T0)
    book.receipts_lost({"c1"})
    book.use(rules({"scope": "agent:anna", "limit_usd": 1}))
    assert only(book).used == 10 * CENT


def test_a_lost_receipt_of_a_call_that_is_only_watched_counts_too() -> None:
    """Of its hold nothing was written."""
    book, paper = written({"scope": "all", "limit_usd": 1, "hard": False})
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c1")), 10 * CENT, T0)
    book.tick(T0)
    assert len(paper.segments[-1]) == 1
    book.receipts_lost({"c1"})
    assert [each.nanos for each in standing_of(paper.segments).expired] == [10 * CENT]


def test_a_call_that_cost_nothing_holds_nothing_when_its_receipt_is_lost() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.release(held(book.hold(ANNA, 30 * CENT, T0, "c1")))
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c2")), 0, T0)
    book.receipts_lost({"c1", "c2"})
    assert sum(nanos for _, nanos in lost(paper)) == 0


@pytest.mark.parametrize("grown", [False, True])
def test_a_disk_that_takes_neither_receipts_nor_postings_loses_nothing(grown: bool) -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.settle(held(book.hold(ANNA, 30 * CENT, T0, "c1")), 10 * CENT, T0)
    paper.full = True
    book.receipts_lost({"c1"})
    with pytest.raises(OSError, match="space"):
        book.tick(T0)
    assert lost(paper) == [("c1/1", 30 * CENT)], "killed now, all that was held counts"
    paper.full, paper.grown = False, grown
    for _ in range(3):
        book.tick(T0)
    assert lost(paper) == []
    assert [each.nanos for each in standing_of(paper.segments).expired] == [10 * CENT]
