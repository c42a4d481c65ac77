"""The owner of all budgets' accounts: asked before a call is sent, told when it has ended.

Everything here is immediate: no waiting, no reading; of a hold under a hard budget one line is written. Use
it from one thread. Times are UTC milliseconds and passed in. What a call holds and spends counts when it
started, as in its receipt, so that receipts and accounts put it into the same window.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from freehold.costs.budgets import lending
from freehold.costs.budgets.accounts import EXPIRED, FREE, HELD, LENT, SPENT, Account, post
from freehold.costs.budgets.answers import BudgetEvent, Denial, Hold
from freehold.costs.budgets.chart import Chart
from freehold.costs.budgets.matching import Matched, without_price, without_room
from freehold.costs.budgets.postings import (
    Expired,
    Held,
    Moved,
    Sure,
    held_line,
    line_of,
    opening,
    released_line,
    settled_line,
    who_bytes,
)
from freehold.costs.budgets.rules import Rule
from freehold.costs.budgets.scopes import Payer, full_model, subject_of

_SETTLED = 4096
"""More calls do not end between two ticks."""
_FORGET_EVERY_MS = 60_000


class PostingsWriter(Protocol):
    """`journal.PostingsFile` as the book needs it."""

    def write(self, data: bytes) -> None: ...
    @property
    def grown(self) -> bool: ...
    def follow(self, first: bytes) -> None: ...


class BudgetBook:
    """Accounts by budget, subject and window. Nothing is written before `write_to`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._chart = Chart(rules)
        self._matched = self._chart.matched
        self._writer: PostingsWriter | None = None
        self._open: set[Hold] = set()
        self._expired: list[Expired] = []
        self._ended: list[bytes] = []
        """Ends of holds that are not written yet: they go with the next hold, which may use their money."""
        self._settled: list[tuple[Hold, int]] = []
        self._settled_before: list[tuple[Hold, int]] = []
        """Since the last tick, and the one before: their receipts may just be on their way."""
        self._loans: dict[tuple[Account | None, Account], int] = {}
        """Giver (None: from outside) and taker -> how much."""
        self._grants: list[tuple[int, Account, int]] = []
        """To windows that roll: when they end, as what was spent does."""
        self._forgot_ms = 0
        self._count = 0
        self.freed: Callable[[tuple[Account, ...]], None] | None = None
        """Is told after money came back to accounts; for the queue of those who wait for it."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those in force."""
        return self._chart.rules

    # -- for calls

    def hold(self, who: Payer, worst_nanos: int | None, now_ms: int, call: str = "") -> Hold | Denial:
        """Put aside what a call can cost at most, in every budget that it is on, or in none.

        `worst_nanos` None: nobody can say. `now_ms`: the call's start. `call`: its id (letters, digits,
        dashes), by which a later start finds its receipt. When this returns a hold, the call may be sent;
        the hold goes to `settle`, `release` or `expire`, once.
        """
        matched = self._matched.get(who)
        if matched is None or not matched.from_ms <= now_ms < matched.until_ms:
            matched = self._chart.find(who, now_ms)
        if worst_nanos is None:
            worst_nanos = matched.ceiling_nanos
            if worst_nanos is None:
                unnamed = who.model in ("", who.provider)
                what = f"a call to {who.provider} that names no model" if unnamed else full_model(who)
                return without_price(matched, what)
        for account in matched.rolling:
            if now_ms >= account.lapse_ms:
                account.lapse(now_ms)
        if worst_nanos:
            for balances in matched.hard:
                if worst_nanos > balances[FREE]:
                    return without_room(matched, worst_nanos)
            for account in matched.watched:
                if account.full:
                    return without_room(matched, worst_nanos)
        if not (worst_nanos and matched.accounts):
            return Hold(call, 0, 0, now_ms, who, ())
        self._count = number = self._count + 1
        durable = bool(matched.hard) and self._writer is not None
        if durable:
            try:
                self._write(held_line(call, number, now_ms, worst_nanos, matched.who))
            except OSError as error:
                return Denial(code="budget_unavailable", detail=error.strerror or str(error))
        hold = Hold(call, number, worst_nanos, now_ms, who, matched.accounts, durable)
        for balances in matched.balances:
            post(balances, FREE, HELD, worst_nanos)
        self._open.add(hold)
        return hold

    def settle(self, hold: Hold, actual_nanos: int | None, now_ms: int) -> tuple[BudgetEvent, ...]:
        """The call has ended and its receipt is written, or is in this turn of the loop: what it cost is
        spent, the rest is free again. None: nobody knows what it cost; then all of it counts.

        A second time does nothing. What a provider charges beyond the hold is posted all the same.
        """
        if actual_nanos is None:
            return self.expire(hold, now_ms)
        if not hold.open:
            return ()
        hold.open = False
        held = hold.nanos
        if not held:
            return self.spent(hold.who, actual_nanos, hold.at_ms) if actual_nanos else ()
        events: tuple[BudgetEvent, ...] = ()
        for account in hold.accounts:
            balances = account.balances
            post(balances, HELD, SPENT, held)
            post(balances, SPENT, FREE, held - actual_nanos)
            if account.slice_ms:
                account.date(hold.at_ms, actual_nanos, SPENT)
            if actual_nanos > held:
                events += (account.event("overrun", now_ms),)
            if balances[SPENT] + balances[EXPIRED] >= account.next_mark:
                events += account.reached(now_ms)
        self._open.discard(hold)
        if hold.durable:
            self._ended.append(settled_line(hold.call, hold.number, actual_nanos))
        self._settled.append((hold, actual_nanos))
        if len(self._settled) >= _SETTLED:
            self._settled, self._settled_before = [], self._settled
        if self.freed is not None:
            self.freed(hold.accounts)
        return events

    def release(self, hold: Hold) -> None:
        """Nothing was sent: all of it is free again. A second time does nothing."""
        if not hold.open:
            return
        hold.open = False
        for account in hold.accounts:
            post(account.balances, HELD, FREE, hold.nanos)
        self._open.discard(hold)
        if hold.durable:
            self._ended.append(released_line(hold.call, hold.number))
        if self.freed is not None:
            self.freed(hold.accounts)

    def expire(self, hold: Hold, now_ms: int) -> tuple[BudgetEvent, ...]:
        """It was sent, and no receipt will say what it cost: all of it counts, for good."""
        if not hold.open:
            return ()
        hold.open = False
        self._open.discard(hold)
        for account in hold.accounts:
            post(account.balances, HELD, EXPIRED, hold.nanos)
            account.date(hold.at_ms, hold.nanos, EXPIRED)
        if hold.nanos:
            self._keep(Expired(key=hold.key, at=hold.at_ms, nanos=hold.nanos, who=hold.who))
        return tuple(event for account in hold.accounts for event in account.reached(now_ms))

    def blocked_by(self, who: Payer, nanos: int, now_ms: int) -> Account | None:
        """The first hard budget without room, found at less cost than a denial."""
        for account in self._found(who, now_ms).accounts:
            if account.rule.hard and account.balances[FREE] < nanos:
                return account
        return None

    def left(self, who: Payer, now_ms: int) -> int | None:
        """The most that a call may cost and still be sent; None: there is no hard budget for it."""
        return min((balances[FREE] for balances in self._found(who, now_ms).hard), default=None)

    # -- between accounts

    def lend(self, giver: Account, taker: Account, nanos: int, now_ms: int) -> None:
        """Let one account spend what another may: from a task to one that works for it. Raises LendingError,
        OSError when it cannot be written; then nothing is lent."""
        lending.refuse_to_lend(giver, taker, nanos)
        self._move(giver, taker, nanos, now_ms)

    def give_back(self, giver: Account, taker: Account, now_ms: int) -> int:
        """What is left of a loan returns to the lender; how much that is. Raises OSError."""
        nanos = max(0, min(self._loans.get((giver, taker), 0), taker.balances[FREE]))
        if nanos:
            self._move(giver, taker, -nanos, now_ms)
        return nanos

    def grant(self, taker: Account, nanos: int, now_ms: int) -> None:
        """More than the limit, for this window: a person has said so. Below zero: less. Raises OSError."""
        self._move(None, taker, nanos, now_ms)

    def moved(self, posting: Moved) -> None:
        """A loan or grant of an earlier start."""
        taker = self._chart.account(posting.taker, posting.taker_subject, posting.at)
        giver = (
            self._chart.account(posting.giver, posting.giver_subject, posting.at) if posting.giver else None
        )
        if taker is not None:
            self._post_move(giver, taker, posting.nanos, posting.at)
        elif giver is not None:  # the borrower's budget is no longer configured: what it had is with nobody
            post(giver.balances, FREE, LENT, posting.nanos)

    def _move(self, giver: Account | None, taker: Account, nanos: int, now_ms: int) -> None:
        self._write(line_of(_moved(giver, taker, nanos, now_ms)))
        self._post_move(giver, taker, nanos, now_ms)
        if self.freed is not None:
            self.freed((taker,) if giver is None else (giver, taker))

    def _post_move(self, giver: Account | None, taker: Account, nanos: int, at_ms: int) -> None:
        lending.move(giver, taker, nanos)
        if giver is None and nanos > 0 and taker.rule.window.rolls:
            self._grants.append((at_ms + taker.rule.window.length_ms, taker, nanos))
        left = self._loans.pop((giver, taker), 0) + nanos
        if left:
            self._loans[giver, taker] = left

    # -- beside calls

    def spent(self, who: Payer, nanos: int, at_ms: int) -> tuple[BudgetEvent, ...]:
        """Money that went without a hold: told by somebody else's telemetry, or by a receipt at the start."""
        return self._charge(who, nanos, at_ms, SPENT)

    def spent_by(self, label: str, subject: str, nanos: int, at_ms: int) -> None:
        """What one account has spent, as sums of receipts say it at the start. Marks that this reaches are
        not told again."""
        account = self.account(label, subject, at_ms)
        account.charge(at_ms, nanos, SPENT)
        account.reached(at_ms)

    def held(self, posting: Held) -> None:
        """A hold that another process has, for a look at its book."""
        matched = self._chart.find(posting.who, posting.at)
        for balances in matched.balances:
            post(balances, FREE, HELD, posting.nanos)

    def expired(self, posting: Expired, now_ms: int) -> tuple[BudgetEvent, ...]:
        """A call of an earlier start whose end nobody saw."""
        self._expired.append(posting)
        return self._charge(posting.who, posting.nanos, posting.at, EXPIRED, now_ms)

    def took_stock(self, now_ms: int) -> None:
        """All that earlier starts have spent is posted. What of it leads to a mark was told then."""
        for account in self._chart:
            account.took_stock(now_ms)

    def lapse(self, now_ms: int) -> None:
        """Forget what has left windows that roll."""
        self._chart.lapse(now_ms)

    def accounts(self) -> Iterator[Account]:
        """All that there are; only to be looked at."""
        return iter(self._chart)

    def account(self, label: str, subject: str, now_ms: int) -> Account:
        """The account in whose window a moment lies. Raises KeyError for no budget of ours."""
        account = self._chart.account(label, subject, now_ms)
        if account is None:
            raise KeyError(label)
        return account

    @property
    def open_holds(self) -> int:
        """Calls that hold something."""
        return len(self._open)

    def tick(self, now_ms: int) -> None:
        """Now and then: write down what has ended, forget what is over. Raises OSError when it cannot be
        written; then it is tried again."""
        unsure = any(hold.durable for hold, _ in (*self._settled, *self._settled_before))
        if unsure or self._ended:
            self._write(line_of(Sure()))
        self._settled, self._settled_before = [], self._settled
        if self._writer is not None and self._writer.grown:
            self._writer.follow(self.opening())
        if now_ms - self._forgot_ms >= _FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            self._forget(now_ms)

    def receipts_lost(self, calls: Collection[str]) -> None:
        """These calls have ended, and their receipts could not be written: what they have cost counts at the
        next start, too."""
        settled, self._settled = self._settled, []
        before, self._settled_before = self._settled_before, []
        for hold, nanos in (*before, *settled):
            if hold.call not in calls:
                self._settled.append((hold, nanos))
            elif nanos:
                self._keep(Expired(key=hold.key, at=hold.at_ms, nanos=nanos, who=hold.who))
        if self._ended:  # also what cost nothing has no receipt that could say so
            with suppress(OSError):
                self._write(b"")

    def opening(self) -> bytes:
        """All that a new segment of postings must say."""
        settled = [each for each in (*self._settled_before, *self._settled) if each[0].durable]
        holds = (
            Held(key=hold.key, at=hold.at_ms, nanos=hold.nanos, who=hold.who)
            for hold in (*(hold for hold in self._open if hold.durable), *(hold for hold, _ in settled))
        )
        ends = (settled_line(hold.call, hold.number, nanos) for hold, nanos in settled)
        moves = [each for pair, nanos in self._loans.items() for each in self._moves(*pair, nanos)]
        return opening([*(line_of(each) for each in (*holds, *self._expired, *moves)), *ends])

    def use(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Other rules from now on; returned are the new ones, which have nothing on their accounts but what
        calls under way hold and what has expired: `spent_by` tells them the rest. Raises OSError."""
        for hold in self._open:
            hard = any(rule.hard and subject_of(rule.scope, hold.who) is not None for rule in rules)
            if hard and not hold.durable and hold.nanos:
                line = held_line(hold.call, hold.number, hold.at_ms, hold.nanos, who_bytes(hold.who))
                self._write(line)
                hold.durable = True
        fresh = self._chart.use(rules)
        known = set(self._chart)
        self._loans = {pair: nanos for pair, nanos in self._loans.items() if pair[1] in known}
        self._grants = [grant for grant in self._grants if grant[1] in known]
        for hold in self._open:
            accounts = self._chart.accounts_for(fresh, hold.who, hold.at_ms)
            for account in accounts:
                post(account.balances, FREE, HELD, hold.nanos)
            hold.accounts += tuple(accounts)
        for posting in self._expired:
            for account in self._chart.accounts_for(fresh, posting.who, posting.at):
                account.charge(posting.at, posting.nanos, EXPIRED)
        return fresh

    def write_to(self, writer: PostingsWriter) -> None:
        """From now on holds are written down; `opening` stands there already."""
        self._writer = writer

    # -- inside

    def _found(self, who: Payer, now_ms: int) -> Matched:
        """As the accounts stand now."""
        matched = self._chart.find(who, now_ms)
        for account in matched.rolling:
            if now_ms >= account.lapse_ms:
                account.lapse(now_ms)
        return matched

    def _charge(
        self, who: Payer, nanos: int, at_ms: int, into: int, now_ms: int | None = None
    ) -> tuple[BudgetEvent, ...]:
        """`now_ms` None: it was spent just now."""
        events: tuple[BudgetEvent, ...] = ()
        for account in self._chart.find(who, at_ms).accounts:
            account.charge(at_ms, nanos, into)
            events += account.reached(at_ms if now_ms is None else now_ms)
        return events

    def _write(self, line: bytes) -> None:
        """Raises OSError; then what has ended is written another time."""
        if self._ended:
            line = b"".join((*self._ended, line))
        if self._writer is not None:
            self._writer.write(line)
        self._ended.clear()

    def _keep(self, posting: Expired) -> None:
        """At once: no receipt says it. Where it cannot be written, its hold still stands in the file."""
        self._expired.append(posting)
        line = line_of(posting)
        try:
            self._write(line)
        except OSError:
            self._ended.append(line)

    def _moves(self, giver: Account | None, taker: Account, nanos: int) -> Iterator[Moved]:
        """A loan, or grants, each of which ends in its own time where the window rolls."""
        for until_ms, account, part in self._grants:
            if account is taker and giver is None:
                nanos -= part
                yield _moved(None, taker, part, until_ms - taker.rule.window.length_ms)
        if nanos:
            yield _moved(giver, taker, nanos, self._moved_ms(giver, taker))

    def _moved_ms(self, giver: Account | None, taker: Account) -> int:
        """In whose window it is, and of a grant to one that rolls, when it was made."""
        ends = [until_ms for until_ms, account, _ in self._grants if account is taker and giver is None]
        if ends:
            return max(ends) - taker.rule.window.length_ms
        return max(each.span.start_ms for each in (giver, taker) if each)

    def _end_grants(self, now_ms: int) -> None:
        over = [grant for grant in self._grants if grant[0] <= now_ms]
        for grant in over:
            _, taker, nanos = grant
            left = min(nanos, self._loans.get((None, taker), 0))
            if left > 0:
                self._move(None, taker, -left, now_ms)
            self._grants.remove(grant)

    def _forget(self, now_ms: int) -> None:
        self._end_grants(now_ms)
        self._chart.forget(now_ms)
        over = [
            (giver, taker)
            for giver, taker in self._loans
            if taker.is_over(now_ms) and (giver is None or giver.is_over(now_ms))
        ]
        for pair in over:
            del self._loans[pair]


def _moved(giver: Account | None, taker: Account, nanos: int, at_ms: int) -> Moved:
    return Moved(
        at=at_ms,
        nanos=nanos,
        giver=giver.rule.label if giver else "",
        giver_subject=giver.subject if giver else "",
        taker=taker.rule.label,
        taker_subject=taker.subject,
    )
