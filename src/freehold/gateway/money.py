"""What a call puts aside before it is sent to a place that costs, and gives back at the exit door.

One hold for each attempt: another candidate may be dearer. What the holds come to is posted by `settle`,
with what the receipt says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.costs.budgets.answers import Degrade, Denial, Hold
from freehold.costs.budgets.queue import Waiting
from freehold.costs.budgets.scopes import Payer
from freehold.costs.prices import Rates
from freehold.gateway import bounds, deciding, refusals
from freehold.gateway.lease import deadline_left_s
from freehold.gateway.payer import payer_of
from freehold.gateway.prepared import Prepared
from freehold.gateway.record import Measured
from freehold.gateway.targets import Target

if TYPE_CHECKING:
    from freehold.gateway.call import Call
    from freehold.gateway.parts import Budgets

OVER = "is over the budget"
"""What a route says of a place that was passed over."""
_TALK = frozenset(("chat", "messages", "responses", "ollama.chat", "completions"))
_LEAST_TOKENS, _USUAL_TOKENS, _PLENTY_TOKENS = 256, 4_096, 32_768
"""An answer may be limited to so few where nobody else can be asked, or somebody can; more than the last are
not put aside for one that may need far less."""


class Money:
    """Of one call. Made with its first attempt at a place that costs."""

    __slots__ = ("_budgets", "_call", "_hold", "_last", "_place", "_spent", "_waiting", "limit")

    def __init__(self, call: Call, budgets: Budgets) -> None:
        self._call = call
        self._budgets = budgets
        self._hold: Hold | None = None
        self._place = ""
        """What the hold is for."""
        self._waiting: Waiting | None = None
        self.limit = 0
        """Tokens that the answer may have, because there is not money for more; 0: as the client says."""
        self._last: Denial | None = None
        """What is said if not even a short answer can be paid: nobody else is to be asked."""
        self._spent: list[tuple[Hold, Measured]] = []
        """Of answers that were not good enough."""

    @property
    def waiting(self) -> bool:
        """The call waits for what others may give back."""
        return self._waiting is not None

    def seek(self, target: Target, prepared: Prepared) -> bool:
        """Put aside what the attempt can cost at most. False: not now; the call goes on by itself."""
        call, name = self._call, target.deployment.name
        if self._hold is not None and self._place == name:  # the same place again
            if self.limit:
                call.prepared = bounds.limited(prepared, target, self.limit)
            return True
        self.limit = 0
        self.give_back()
        if target.deployment.server is not None:  # what it costs is posted at the end
            return True
        if bounds.costs_nothing(call.endpoint, call.request):
            return True
        rates = call.rates(target, bounds.asked_terms(prepared.body))
        length = call.request.length
        worst = bounds.worst_nanos(rates, call.endpoint, prepared, target, length)
        self._place = name
        payer = payer_of(call, target.deployment)
        worst = self._limited(payer, rates, worst, target, prepared)
        if self._last is not None and not self.limit:
            self._refuse(self._last)
            return False
        now_ms = call.gateway.clock.now_ms()
        answer = self._budgets.queue.hold(payer, worst, call.started_ms, call.id, self._answered, now_ms)
        if isinstance(answer, Hold):
            self._hold, self._last = answer, None
            return True
        if isinstance(answer, Waiting):
            self._wait(answer)
        else:
            self._denied(answer)
        return False

    def give_back(self) -> None:
        """The attempt came to nothing: no money went."""
        self.stop_waiting()
        hold, self._hold = self._hold, None
        if hold is not None:
            self._budgets.book.release(hold)

    def lost(self) -> None:
        """The attempt was sent and nobody knows what came of it: all of the hold counts, for good."""
        hold, self._hold = self._hold, None
        if hold is not None:
            now_ms = self._call.gateway.clock.now_ms()
            self._budgets.tell(self._budgets.book.expire(hold, now_ms))

    def stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._budgets.queue.cancel(waiting)

    def hold_beside(self, target: Target, prepared: Prepared) -> Hold | bool:
        """Put aside what a second attempt can cost, at once or never. True: it costs nothing; False: there is
        no money for it."""
        call = self._call
        if target.deployment.server is not None or bounds.costs_nothing(call.endpoint, call.request):
            return True
        rates = call.rates(target, bounds.asked_terms(prepared.body))
        worst = bounds.worst_nanos(rates, call.endpoint, prepared, target, call.request.length)
        payer = payer_of(call, target.deployment)
        answer = self._budgets.book.hold(payer, worst, call.started_ms, call.id)
        return answer if isinstance(answer, Hold) else False

    def hand_over(self) -> Hold | None:
        """What is held for the attempt under way, which is the call's no longer."""
        hold, self._hold, self._place = self._hold, None, ""
        return hold

    def take(self, hold: Hold | None, place: str) -> None:
        """An attempt that was another's is the call's now, with what is held for it."""
        self.give_back()
        self._hold, self._place, self.limit = hold, place, 0

    def release(self, hold: Hold) -> None:
        """An attempt beside the call's came to nothing."""
        self._budgets.book.release(hold)

    def spent_on(self, hold: Hold, measured: Measured) -> None:
        """An attempt cost so much whose answer was not given."""
        self._spent.append((hold, measured))

    def settle(self, measured: Measured, now_ms: int) -> int:
        """The call is over; its last attempt cost so much. Unknown: all that was held counts. Returns how
        much of what its attempts cost is posted by that."""
        self.stop_waiting()
        hold, self._hold = self._hold, None
        if hold is not None:
            self._spent.append((hold, measured))
        # What is known first: a line that says what expires is written at once, and takes their ends with it.
        for each, cost in sorted(self._spent, key=lambda one: one[1].cost_state == "unknown"):
            nanos = None if cost.cost_state == "unknown" else cost.cost_nanos
            self._budgets.tell(self._budgets.book.settle(each, nanos, now_ms))
        posted = sum(cost.cost_nanos for _, cost in self._spent)
        self._spent = []
        return posted

    @property
    def held(self) -> bool:
        """Something was put aside for the attempt under way."""
        return self._hold is not None

    # -- inside

    def _limited(
        self, payer: Payer, rates: Rates | None, worst: int | None, target: Target, prepared: Prepared
    ) -> int | None:
        """What is to be held. Where the worst case does not fit because the client has set no limit for its
        answer, we set one; not where the budget would rather have a cheaper place asked."""
        call, book = self._call, self._budgets.book
        if rates is None or worst is None or call.endpoint.name not in _TALK:
            return worst
        account = book.blocked_by(payer, worst, call.started_ms)
        degrades = account is not None and account.rule.action == "degrade"
        if account is None or (degrades and self._last is None and call.climb is None):
            return worst
        left = book.left(payer, call.started_ms)
        if left is None or not bounds.is_open(call.request.body, prepared):
            return worst
        tokens = min(bounds.affordable(rates, call.request.body, prepared, target, left), _PLENTY_TOKENS)
        others = self._last is None and (call.candidates.more or degrades)
        if tokens < (_USUAL_TOKENS if others else _LEAST_TOKENS):
            if self._last is None:
                return worst
            tokens = _LEAST_TOKENS  # there is no room for it: who is told which budget has none is told truly
        self.limit = tokens
        call.route = f"{call.route}; answer limited to {tokens} tokens by the budget {account.rule.label}"
        within = call.prepared = bounds.limited(prepared, target, tokens)
        return bounds.worst_nanos(rates, call.endpoint, within, target, call.request.length)

    def _wait(self, waiting: Waiting) -> None:
        """For what calls under way give back, unless there is somebody else to ask."""
        call = self._call
        if call.candidates.more:
            self._budgets.queue.cancel(waiting)
            self._denied(waiting.denial)
            return
        self._waiting = waiting
        call.deadline_s = 0.0
        allowed_s = deadline_left_s(call)
        if allowed_s is not None:
            call.deadline_s = call.gateway.loop.time() + max(0.0, allowed_s)

    def expire(self) -> None:
        """The caller's own deadline is over."""
        waiting = self._waiting
        assert waiting is not None
        self.stop_waiting()
        self._denied(waiting.denial)

    def _answered(self, answer: Hold | Denial) -> None:
        self._waiting = None
        self._call.deadline_s = 0.0
        if isinstance(answer, Hold):
            self._hold, self._last = answer, None
            self._call.route = f"{self._call.route}; waited for its budget"
            self._call.dispatch()
        else:
            self._denied(answer)

    def _denied(self, denial: Denial) -> None:
        """The next candidate, a cheaper one that was not asked for, or no."""
        self._place = ""
        if self._onward(denial):
            self._call.pass_over(self._told(denial), OVER)
        elif self._last is None:
            self._try_less(denial)
        else:
            self._refuse(denial)

    def _refuse(self, denial: Denial) -> None:
        self._call.refuse(self._told(denial))

    def _told(self, denial: Denial) -> CallError:
        """Who may want to know that there was no room is told, too."""
        now_ms = self._call.gateway.clock.now_ms()
        self._budgets.tell(denial.told(now_ms))
        return refusals.no_money(denial, now_ms)

    def _onward(self, denial: Denial) -> bool:
        """Whether somebody else may be asked. Behind a place that the router chose stand dearer ones: of
        those, only one that costs nothing can help."""
        call = self._call
        degrades = isinstance(denial, Degrade)
        if call.climb is not None and degrades and deciding.cheaper(call, denial.left_nanos):
            return True
        if call.candidates.more:
            free = call.climb is not None and call.candidates.has_ours
            return free or _of_a_place(denial.budget) or (call.climb is None and degrades)
        return call.climb is None and degrades and deciding.cheaper(call, denial.left_nanos)

    def _try_less(self, denial: Denial) -> None:
        """Nobody else is there: the same place with a limit for the answer, or no."""
        call = self._call
        target, prepared = call.target, call.prepared
        assert target is not None and prepared is not None
        self._last = denial
        if self.seek(target, prepared):
            call.dispatch()


def _of_a_place(budget: str) -> bool:
    """Whether a budget is about who answers, so that another candidate may not be under it."""
    return budget.startswith(("provider:", "model:"))
