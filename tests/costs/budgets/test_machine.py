"""The whole book under any order of events, crashes included: money is conserved, no limit is passed, and
nothing leaks. The model beside it knows only what was really charged, and when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from freehold.app.budgets import book_of
from freehold.costs.budgets.accounts import EXPIRED, GRANTED, HELD, SPENT, Account
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.lending import LendingError
from freehold.costs.budgets.postings import call_of, expire, standing_of
from freehold.costs.budgets.scopes import Payer, subject_of
from freehold.costs.budgets.windows import leaves_ms, span_at
from freehold.receipts.entries import Receipt
from freehold.receipts.spend import Spending
from tests.costs.budgets.budgeting import DAY, HOUR, T0, USD, Paper, in_balance, rules

RULES = rules(
    {"scope": "all", "limit_usd": 2, "window": "day", "time_zone": "America/New_York"},
    {"scope": "agent:a", "limit_usd": 1, "window": "90m"},
    {"scope": "task:*", "limit_usd": 0.6, "window": "total"},
    {"scope": "provider:p1", "limit_usd": 1, "window": "hour", "hard": False},
)
TASKS = "task:* in total"
PROVIDERS, TASK_NAMES = st.sampled_from(["p1", "p2"]), st.sampled_from(["x", "y"])
PAYERS = st.builds(Payer, provider=PROVIDERS, agent=st.sampled_from(["a", "b"]), task=TASK_NAMES)
LATE = st.builds(Payer, provider=PROVIDERS, agent=st.just("b"), task=TASK_NAMES)
"""What is held late counts in the window in which its call began; a rolling one looks at the present only."""
NANOS = st.one_of(st.sampled_from([USD // 2, 6 * USD // 10, USD]), st.integers(1, USD))


@dataclass
class Charge:
    who: Payer
    nanos: int
    at_ms: int


@dataclass
class World:
    """What is true whatever the book thinks."""

    charges: list[Charge] = field(default_factory=list[Charge])
    receipts: dict[str, Receipt] = field(default_factory=dict[str, Receipt])
    on_their_way: dict[str, Receipt] = field(default_factory=dict[str, Receipt])


class Budgets(RuleBasedStateMachine):
    holds = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.paper = Paper()
        self.book = BudgetBook(RULES)
        self.book.write_to(self.paper)
        self.now_ms = T0
        self.count = 0
        self.runs = 0
        self.ticked = False
        self.in_doubt = 0
        """Calls without a receipt whose ends may not be written yet."""
        self.under_way: set[Hold] = set()

    @rule(target=holds, who=PAYERS, nanos=NANOS)
    def ask(self, who: Payer, nanos: int) -> object:
        self.count += 1
        return self._asked(self.book.hold(who, nanos, self.now_ms, f"r{self.runs}-{self.count}"))

    @rule(target=holds, who=LATE, nanos=NANOS, before_ms=st.integers(0, HOUR))
    def ask_late(self, who: Payer, nanos: int, before_ms: int) -> object:
        """A call that began a while ago."""
        self.count += 1
        return self._asked(self.book.hold(who, nanos, self.now_ms - before_ms, f"r{self.runs}-{self.count}"))

    @rule(taken=consumes(holds), share=st.fractions(0, 1))
    def settle(self, taken: tuple[int, Hold], share: float) -> None:
        if (hold := self._of_this_run(taken)) is None:
            return
        nanos = int(hold.nanos * share)
        self.book.settle(hold, nanos, self.now_ms)
        self.book.settle(hold, nanos, self.now_ms)
        self.world.on_their_way[hold.call] = receipt_of(hold, nanos)
        self.world.charges.append(Charge(hold.who, nanos, hold.at_ms))

    @rule(taken=consumes(holds))
    def cancel_before_sending(self, taken: tuple[int, Hold]) -> None:
        if (hold := self._of_this_run(taken)) is not None:
            self.book.release(hold)
            self.world.on_their_way[hold.call] = receipt_of(hold, 0)

    @rule(taken=consumes(holds))
    def end_without_a_figure(self, taken: tuple[int, Hold]) -> None:
        if (hold := self._of_this_run(taken)) is not None:
            self.book.settle(hold, None, self.now_ms)
            self.world.charges.append(Charge(hold.who, hold.nanos, hold.at_ms))

    @rule(giver=st.sampled_from("xy"), taker=st.sampled_from("xyz"), nanos=NANOS)
    def lend(self, giver: str, taker: str, nanos: int) -> None:
        one, other = (self.book.account(TASKS, name, self.now_ms) for name in (giver, taker))
        try:
            self.book.lend(one, other, nanos, self.now_ms)
        except LendingError:
            assert giver == taker or one.balances[1] < nanos

    @rule(giver=st.sampled_from("xy"), taker=st.sampled_from("xyz"))
    def give_back(self, giver: str, taker: str) -> None:
        one, other = (self.book.account(TASKS, name, self.now_ms) for name in (giver, taker))
        self.book.give_back(one, other, self.now_ms)

    @rule(passed_ms=st.one_of(st.integers(1, HOUR), st.integers(1, 3 * DAY)))
    def time_passes(self, passed_ms: int) -> None:
        self._turn()
        self.now_ms += passed_ms

    @rule(grown=st.booleans())
    def tick(self, grown: bool) -> None:
        if self.ticked:
            self._turn()
        self.paper.grown = grown
        self.book.tick(self.now_ms)
        self.ticked, self.in_doubt = True, 0

    @rule(full=st.booleans())
    def the_receipts_of_this_turn_cannot_be_written(self, full: bool) -> None:
        """Nor can postings, perhaps; those have room again a moment later."""
        lost, self.world.on_their_way = self.world.on_their_way, {}
        self.paper.full = full
        self.book.receipts_lost(lost)
        self.paper.full = False
        self.ticked = False
        if full:
            self.in_doubt += len(lost)
            return
        standing = standing_of(self.paper.segments)
        unsure = {call_of(key) for key, hold in standing.unsure.items() if hold.nanos}
        assert not lost.keys() & ({call_of(key) for key in standing.open} | unsure), "it is known what counts"

    @rule()
    def crash(self) -> None:
        """All that is left: what was written, and the receipts that were."""
        unwritten, self.world.on_their_way = self.world.on_their_way, {}
        open_before = self.book.open_holds
        standing = standing_of(self.paper.segments)
        known = dict.fromkeys(self.world.receipts, True)
        spending = Spending(tuple(() for _ in RULES), tuple(self.world.receipts.values()))
        lost = expire(standing, known)
        self.book = book_of(RULES, spending, standing, self.now_ms)
        for posting in lost:
            self.book.expired(posting, self.now_ms)
        assert sum(posting.nanos > 0 for posting in lost) <= open_before + len(unwritten) + self.in_doubt
        self.in_doubt = 0
        self.paper = Paper()
        self.paper.segments = [self.book.opening().splitlines()]
        self.book.write_to(self.paper)
        self.runs += 1
        self.under_way.clear()
        self._follow_the_book()

    def _follow_the_book(self) -> None:
        """After a crash the book is the only witness of what nobody saw: the model follows it, but never
        downward."""
        standing = standing_of(self.paper.segments)
        charges = [
            Charge(Payer(provider=r.provider, agent=r.agent, task=r.task), r.cost_nanos, r.started_ms)
            for r in self.world.receipts.values()
        ]
        charges += [Charge(posting.who, posting.nanos, posting.at) for posting in standing.expired]
        assert sum(each.nanos for each in charges) >= sum(each.nanos for each in self.world.charges)
        self.world.charges = charges

    def _turn(self) -> None:
        """The end of a turn of the event loop: its receipts are written."""
        self.world.receipts |= self.world.on_their_way
        self.world.on_their_way = {}
        self.ticked = False

    def _asked(self, answer: Hold | Denial) -> object:
        if not isinstance(answer, Hold):
            return multiple()
        self.under_way.add(answer)
        return self.runs, answer

    def _of_this_run(self, taken: tuple[int, Hold]) -> Hold | None:
        if taken[0] != self.runs:
            return None
        self.under_way.discard(taken[1])
        return taken[1]

    @invariant()
    def every_posting_has_two_sides_and_no_hard_limit_is_passed(self) -> None:
        if hasattr(self, "book"):
            in_balance(self.book)

    @invariant()
    def what_is_granted_in_all_is_what_the_limits_say(self) -> None:
        if not hasattr(self, "book"):
            return
        for account in self.book.accounts():
            if account.rule.label != TASKS:
                assert -account.balances[GRANTED] == account.rule.limit_nanos
        tasks = [each for each in self.book.accounts() if each.rule.label == TASKS]
        assert sum(each.granted for each in tasks) == sum(each.rule.limit_nanos for each in tasks)

    @invariant()
    def held_is_exactly_what_calls_under_way_hold(self) -> None:
        if not hasattr(self, "book"):
            return
        expected: Counter[int] = Counter()
        for hold in self.under_way:
            expected.update({id(account): hold.nanos for account in hold.accounts})
        assert {
            id(each): each.balances[HELD] for each in self.book.accounts() if each.balances[HELD]
        } == expected

    @invariant()
    def what_was_really_charged_is_on_the_accounts_and_within_hard_limits(self) -> None:
        if not hasattr(self, "book"):
            return
        for account in self.book.accounts():
            charged = [
                c for c in self.world.charges if subject_of(account.rule.scope, c.who) == account.subject
            ]
            if account.slice_ms:
                self._rolls(account, charged)
                continue
            span = span_at(account.rule.window, account.first_ms)
            inside = sum(c.nanos for c in charged if span.start_ms <= c.at_ms < span.end_ms)
            assert account.balances[SPENT] + account.balances[EXPIRED] == inside

    def _rolls(self, account: Account, charged: list[Charge]) -> None:
        window = account.rule.window
        account.lapse(self.now_ms)
        kept = sum(c.nanos for c in charged if leaves_ms(window, c.at_ms // window.slice_ms) > self.now_ms)
        assert account.balances[SPENT] + account.balances[EXPIRED] == kept
        length_ms = window.length_ms
        for edge in charged:
            within = sum(c.nanos for c in charged if edge.at_ms - length_ms < c.at_ms <= edge.at_ms)
            assert within <= account.rule.limit_nanos


def receipt_of(hold: Hold, nanos: int) -> Receipt:
    who = hold.who
    return Receipt(
        id=hold.call,
        outcome="ok",
        started_ms=hold.at_ms,
        provider=who.provider,
        agent=who.agent,
        task=who.task,
        cost_nanos=nanos,
        cost_state="computed",
    )


Budgets.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_budgets = Budgets.TestCase
