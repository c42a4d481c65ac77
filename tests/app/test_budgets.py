"""Budgets over the lives of a Freehold: what receipts and postings come to at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.app import budgets
from freehold.app.budgets import HouseBudgets, look
from freehold.core.config_budgets import BudgetConfig
from freehold.core.usage import Usage
from freehold.costs.budgets.accounts import EXPIRED, FREE, SPENT
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.journal import read_segments
from freehold.costs.budgets.postings import standing_of
from freehold.costs.budgets.scopes import Payer
from freehold.receipts.entries import Attempt, Receipt
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.receipts.query import open_readonly
from freehold.receipts.spend import Spending
from freehold.receipts.sums import Between, calls, sums
from tests.cli.ledgers import FixedClock
from tests.costs.budgets.budgeting import CENT, DAY, HOUR, T0, USD, in_balance, only

ALL = BudgetConfig(scope="all", limit_usd=1, window="day")
ANNA = Payer(provider="openai", model="gpt-5", agent="anna", session="s1")


def receipt(name: str, nanos: int, at_ms: int = T0, **more: str) -> Receipt:
    fields: dict[str, object] = {"outcome": "ok", "cost_state": "computed", "agent": "anna", **more}
    return Receipt(
        id=name,
        cost_nanos=nanos,
        started_ms=at_ms,
        provider="openai",
        deployment="openai/gpt-5",
        session="s1",
        usage=Usage(),
        **fields,  # type: ignore[arg-type]
    )


def record(home: Path, *receipts: Receipt) -> None:
    with Ledger.open(home, clock=FixedClock()) as ledger:
        for each in receipts:
            ledger.append(each)


def opened(
    home: Path, *budgets: BudgetConfig, now_ms: int = T0, say: Callable[[str], None] = print
) -> HouseBudgets:
    return HouseBudgets.open(home, budgets or (ALL,), now_ms, say)


def hold(house: HouseBudgets, name: str, cents: int) -> Hold:
    answer = house.book.hold(ANNA, cents * CENT, T0, name)
    assert isinstance(answer, Hold)
    return answer


def test_a_start_knows_what_was_spent_in_each_window_by_everyone(tmp_path: Path) -> None:
    record(
        tmp_path,
        receipt("r1", 10 * CENT),
        receipt("r2", 20 * CENT, agent="bert"),
        receipt("r3", 40 * CENT, T0 - DAY),
        receipt("r4", 5 * CENT, T0 - 3 * HOUR),
    )
    labels = (
        "all per day",
        "agent:* per day",
        "model:* per 2h",
        "provider:openai in total",
        "session:s1 per day",
    )
    budgets = tuple(
        BudgetConfig(scope=label.split()[0], limit_usd=1, window=label.split()[-1]) for label in labels
    )
    house = opened(tmp_path, *budgets)
    spent = {(each.rule.label, each.subject): each.used // CENT for each in house.book.accounts()}
    assert spent == {
        ("all per day", ""): 35,
        ("agent:* per day", "anna"): 15,
        ("agent:* per day", "bert"): 20,
        ("model:* per 2h", "openai/gpt-5"): 30,
        ("provider:openai in total", "openai"): 75,
        ("session:s1 per day", "s1"): 35,
    }
    house.close()


def test_holds_of_a_run_that_was_killed_count_once_however_often_it_is_started(tmp_path: Path) -> None:
    house = opened(tmp_path)
    for name in ("r1", "r2", "r3"):
        hold(house, name, 10)
    record(tmp_path, receipt("r1", 3 * CENT), receipt("r2", 0, cost_state="unknown"))
    for _ in range(3):
        house = opened(tmp_path)
        account = only(house.book)
        assert account.balances == [-USD, 77 * CENT, 0, 3 * CENT, 20 * CENT, 0]
        in_balance(house.book)
        house.close()


def test_what_the_last_run_s_end_comes_to_is_told_and_what_was_told_before_is_not(tmp_path: Path) -> None:
    record(tmp_path, receipt("r0", 60 * CENT))
    told: list[str] = []
    house = opened(tmp_path, say=told.append)
    assert told == []
    hold(house, "r1", 25)
    opened(tmp_path, say=told.append)
    assert told == ["budget all per day: 80 % is spent, 0.85 of 1.00 USD"]
    opened(tmp_path, say=told.append)
    assert len(told) == 1


def test_electricity_of_our_own_machine_is_no_matter_of_budgets(tmp_path: Path) -> None:
    own = replace(receipt("r1", 60 * CENT), provider="", server="qwen", deployment="qwen")
    record(tmp_path, receipt("r0", 30 * CENT), own)
    house = opened(tmp_path)
    house.spent(replace(own, id="r2"))
    assert only(house.book).balances[SPENT] == 30 * CENT
    (tmp_path / "receipts.db").unlink()
    assert only(opened(tmp_path).book).balances[SPENT] == 30 * CENT, "also from the log alone"


def test_an_answer_that_was_not_given_is_on_the_accounts_of_who_made_it(tmp_path: Path) -> None:
    """A server of ours answered in the end; before it, two providers were paid."""
    usage = Usage(fresh_in=10, visible_out=5)
    tried = (
        Attempt(deployment="openai/gpt-5", cost_nanos=10 * CENT, usage=usage),
        Attempt(deployment="other/m", cost_nanos=20 * CENT, usage=usage),
        Attempt(deployment="big"),
    )
    own = replace(
        receipt("r1", 37 * CENT),
        provider="",
        server="big",
        deployment="big",
        attempts=tried,
        usage=Usage(fresh_in=50, visible_out=20),
    )
    record(tmp_path, own, receipt("r2", 40 * CENT))
    labels = ("all per day", "agent:* per 2h", "model:* per 2h", "provider:* per day", "session:s1 per day")
    budgets = tuple(
        BudgetConfig(scope=label.split()[0], limit_usd=1, window=label.split()[-1]) for label in labels
    )
    wanted = {
        ("all per day", ""): 70,
        ("agent:* per 2h", "anna"): 70,
        ("model:* per 2h", "openai/gpt-5"): 50,
        ("model:* per 2h", "other/m"): 20,
        ("provider:* per day", "openai"): 50,
        ("provider:* per day", "other"): 20,
        ("session:s1 per day", "s1"): 70,
    }

    def spent(book: BudgetBook) -> dict[tuple[str, str], int]:
        return {(each.rule.label, each.subject): each.used // CENT for each in book.accounts()}

    assert spent(opened(tmp_path, *budgets).book) == wanted
    late = opened(tmp_path, BudgetConfig(scope="key:k", limit_usd=1))
    late.use(budgets, T0)
    assert spent(late.book) == wanted, "also when the budgets come later"
    with open_readonly(tmp_path) as db:
        found = {row.by[0]: row for row in sums(db, ("provider",), Between(0, 1 << 50))}
        assert {name: row.cost_nanos // CENT for name, row in found.items()} == {
            "openai": 50,
            "other": 20,
            "": 7,
        }
        assert [found[name].usage.visible_out for name in ("openai", "other", "")] == [5, 5, 10]
        call = next(call for call in calls(db, Between(0, 1 << 50)) if call.id == "r1")
        assert (call.cost_nanos, call.other_nanos) == (37 * CENT, 30 * CENT)
        assert call.usage == Usage(fresh_in=30, visible_out=10), "of the answer that was given"
    (tmp_path / "receipts.db").unlink()
    assert spent(opened(tmp_path, *budgets).book) == wanted, "also from the log alone"


def test_limits_may_be_changed_between_two_runs(tmp_path: Path) -> None:
    record(tmp_path, receipt("r0", 60 * CENT))
    hold(opened(tmp_path), "r1", 30)
    lower = opened(tmp_path, BudgetConfig(scope="all", limit_usd=0.5, window="day"))
    assert only(lower.book).balances[FREE] == -40 * CENT
    other = opened(tmp_path, BudgetConfig(scope="agent:*", limit_usd=1, window="24h"))
    assert only(other.book).balances[SPENT : EXPIRED + 1] == [60 * CENT, 30 * CENT]


def test_a_look_beside_a_running_freehold_shows_what_is_held_and_changes_nothing(tmp_path: Path) -> None:
    house = opened(tmp_path)
    hold(house, "r1", 25)
    house.book.settle(hold(house, "r2", 25), 5 * CENT, T0)
    record(tmp_path, receipt("r2", 5 * CENT))
    before = read_segments(tmp_path / "budgets")
    (view,) = look(tmp_path, (ALL,), T0)
    assert (view.spent_nanos, view.held_nanos, view.left_nanos) == (5 * CENT, 25 * CENT, 70 * CENT)
    assert read_segments(tmp_path / "budgets") == before
    assert house.views(T0)[0] == view


def test_at_the_next_tick_what_has_ended_is_written(tmp_path: Path) -> None:
    house = opened(tmp_path)
    house.book.release(hold(house, "r1", 25))
    assert list(standing_of(read_segments(tmp_path / "budgets")).open) == ["r1/1"]
    house.tick(T0)
    assert not standing_of(read_segments(tmp_path / "budgets")).open
    house.close()


async def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    house = opened(tmp_path, say=told.put_nowait)
    house.book.release(hold(house, "r1", 25))
    house.close()
    keeping = asyncio.create_task(house.keep(FixedClock(), every_s=0.001))
    async with asyncio.timeout(10):
        assert (await told.get()).startswith("what budgets hold cannot be written down")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await told.get()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


# -- the configuration is read again


def test_another_limit_is_in_force_at_once_with_what_was_spent(tmp_path: Path) -> None:
    house = opened(tmp_path)
    under_way = hold(house, "r1", 90)
    assert not isinstance(house.book.hold(ANNA, 20 * CENT, T0, "r2"), Hold)
    house.use([BudgetConfig(scope="all", limit_usd=2, window="day")], T0)
    other = hold(house, "r2", 20)
    house.book.settle(under_way, 80 * CENT, T0)
    house.book.release(other)
    assert only(house.book).balances == [-2 * USD, 120 * CENT, 0, 80 * CENT, 0, 0]
    house.use([BudgetConfig(scope="all", limit_usd=0.5, window="day")], T0)
    assert only(house.book).balances[FREE] == -30 * CENT
    house.close()


def test_a_new_budget_knows_what_was_spent_before_it_and_what_calls_under_way_hold(tmp_path: Path) -> None:
    record(tmp_path, receipt("r1", 30 * CENT))
    house = opened(tmp_path, BudgetConfig(scope="key:other", limit_usd=1))
    assert not hold(house, "r2", 25).durable  # on no account yet
    house.use([BudgetConfig(scope="agent:*", limit_usd=1, window="24h")], T0)
    assert only(house.book).balances[FREE] == 70 * CENT
    second = hold(house, "r3", 25)
    house.use([BudgetConfig(scope="agent:*", limit_usd=1, window="24h"), ALL], T0)
    assert [each.balances[FREE] for each in house.book.accounts()] == [45 * CENT, 45 * CENT]
    house.book.settle(second, 5 * CENT, T0)
    assert [each.balances for each in house.book.accounts()] == [[-USD, 65 * CENT, 0, 35 * CENT, 0, 0]] * 2
    house.close()


def test_a_call_under_a_watched_budget_is_written_down_once_a_hard_one_is_for_it(tmp_path: Path) -> None:
    house = opened(tmp_path, BudgetConfig(scope="all", limit_usd=1, window="day", hard=False))
    hold(house, "r1", 25)
    assert not standing_of(read_segments(tmp_path / "budgets")).open
    house.use([BudgetConfig(scope="agent:*", limit_usd=1, window="day")], T0)
    assert list(standing_of(read_segments(tmp_path / "budgets")).open) == ["r1/1"]
    house.use([], T0)
    assert list(house.book.accounts()) == []
    house.close()


def test_a_start_tells_no_mark_that_only_was_reached_long_ago(tmp_path: Path) -> None:
    budget, told = BudgetConfig(scope="all", limit_usd=1, window="5h"), list[str]()
    later = T0 + 4 * DAY
    for cents, at_ms in ((70, T0), (15, later)):  # killed each time: nobody sees these calls end
        house = opened(tmp_path, budget, now_ms=at_ms, say=told.append)
        house.book.hold(ANNA, cents * CENT, at_ms, f"r{cents}")
        house = opened(tmp_path, budget, now_ms=at_ms + 1_000, say=told.append)
        assert told == ["budget all per 5h: 50 % is spent, 0.70 of 1.00 USD"]
    (view,) = house.views(later + 1_000)
    assert (view.expired_nanos, view.left_nanos) == (15 * CENT, 85 * CENT)
    (view,) = look(tmp_path, (budget,), later + 1_000)
    assert (view.expired_nanos, view.left_nanos) == (15 * CENT, 85 * CENT)
    house.spent(receipt("r3", 40 * CENT, later + 1_000))
    assert told[1:] == ["budget all per 5h: 50 % is spent, 0.55 of 1.00 USD"], "now it is true"


def test_views_of_a_running_house_forget_what_has_left_the_window(tmp_path: Path) -> None:
    house = opened(tmp_path, BudgetConfig(scope="all", limit_usd=1, window="5h"))
    house.book.settle(hold(house, "r1", 30), 30 * CENT, T0)
    (view,) = house.views(T0 + 6 * HOUR)
    assert (view.spent_nanos, view.left_nanos) == (0, USD)


# -- the configuration is read again, and something goes wrong


def refuse(*_: object) -> Spending:
    raise LedgerError("cannot read")


def test_a_reload_that_fails_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, receipt("r1", 90 * CENT))
    house = opened(tmp_path, BudgetConfig(scope="all", limit_usd=1, window="week"))
    monkeypatch.setattr(budgets, "read_spending", refuse)
    with pytest.raises(LedgerError):
        house.use([ALL], T0)
    assert [rule.label for rule in house.book.rules] == ["all per week"]
    assert isinstance(house.book.hold(ANNA, 50 * CENT, T0, "r2"), Denial)


def test_a_reload_that_works_the_second_time_knows_what_was_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, receipt("r1", 90 * CENT))
    house = opened(tmp_path, BudgetConfig(scope="agent:x", limit_usd=1, window="day"))
    with monkeypatch.context() as broken:
        broken.setattr(budgets, "read_spending", refuse)
        with pytest.raises(LedgerError):
            house.use([ALL], T0)
    house.use([ALL], T0)
    assert isinstance(house.book.hold(ANNA, 50 * CENT, T0, "r2"), Denial)


def test_calls_under_a_watched_budget_that_becomes_hard_count_after_a_kill(tmp_path: Path) -> None:
    house = opened(tmp_path, BudgetConfig(scope="all", limit_usd=1, window="day", hard=False))
    hold(house, "r1", 80)
    house.use([ALL], T0)
    assert only(opened(tmp_path).book).balances[EXPIRED] == 80 * CENT


def test_who_waits_goes_on_when_a_limit_is_raised(tmp_path: Path) -> None:
    house, told = opened(tmp_path), list[Hold | Denial]()
    hold(house, "r1", 80)
    house.queue.hold(ANNA, 50 * CENT, T0, "r2", told.append)
    house.use([BudgetConfig(scope="all", limit_usd=10, window="day")], T0)
    assert [type(answer) for answer in told] == [Hold]


def test_a_second_grant_to_a_window_that_rolls_does_not_prolong_the_first(tmp_path: Path) -> None:
    budget = BudgetConfig(scope="all", limit_usd=1, window="24h")
    house = opened(tmp_path, budget)
    house.grant("all per 24h", 5 * USD, T0)
    house.grant("all per 24h", CENT, T0 + 23 * HOUR)
    for _ in range(2):
        house = opened(tmp_path, budget, now_ms=T0 + 23 * HOUR + 1)
    house.tick(T0 + 25 * HOUR)
    assert only(house.book).granted == USD + CENT


def test_a_damaged_database_of_receipts_forgets_nothing_that_was_spent(tmp_path: Path) -> None:
    record(tmp_path, receipt("r1", 30 * CENT))
    (tmp_path / "receipts.db").write_bytes(b"\0garbage" * 2000)
    house = opened(tmp_path)
    assert house.views(T0)[0].spent_nanos == 30 * CENT
