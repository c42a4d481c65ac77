"""What the book says to a call that wants money, and what it tells when a budget comes to its marks. Pure."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from freehold.core.errors import CallError
from freehold.costs.budgets.scopes import Payer

if TYPE_CHECKING:  # accounts tell events, so they know this module
    from freehold.costs.budgets.accounts import Account

Code = Literal["budget_exhausted", "budget_price_unknown", "budget_unavailable"]
"""No room for it; no bound on what it can cost; what is held cannot be written down."""

EventKind = Literal["reached", "refused", "overrun"]

SOON_S = 1.0
"""When to come again for what calls under way may give back."""


class Hold(msgspec.Struct, eq=False, gc=False):
    """Money put aside for one attempt at an answer. The book's; others only keep it and hand it back."""

    call: str
    """The id of the call, and of its receipt."""
    number: int
    nanos: int
    at_ms: int
    """In whose window it counts: the call's start."""
    who: Payer
    accounts: tuple[Account, ...]
    durable: bool = False
    """It was written down before the call was sent."""
    open: bool = True

    @property
    def key(self) -> str:
        """No two holds have the same."""
        return f"{self.call}/{self.number}"


class BudgetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody may want to know. Money is integer nano-USD.

    `reached`: spending came to `percent` of the limit, or beyond; `refused`: a call did not fit; both once
    for each window. `overrun`: a provider charged more than its prices allow.
    """

    kind: EventKind
    budget: str
    subject: str = ""
    percent: int = 0
    used_nanos: int
    limit_nanos: int
    need_nanos: int = 0
    """What the call could have cost that did not fit."""
    at_ms: int
    asks: bool = False
    """A person may allow more, and is asked to."""

    @property
    def text(self) -> str:
        """For a person."""
        who = named(self.budget, self.subject)
        sums = f"{usd(self.used_nanos)} of {usd(self.limit_nanos)} USD"
        match self.kind:
            case "reached":
                return f"budget {who}: {self.percent} % is spent, {sums}"
            case "refused":
                more = f"; to allow more: {grant_words(who)}" if self.asks else ""
                need = f"no room for a call of up to {usd(self.need_nanos)} USD"
                return f"budget {who}: {need}, {sums} is spent{more}"
            case "overrun":
                return f"budget {who}: a provider charged more than its prices allow, {sums} is spent"


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """The call does not fit, and is not to be sent. Nothing is held for it anywhere.

    Of several budgets without room, the one that says no longest is named.
    """

    code: Code = "budget_exhausted"
    budget: str = ""
    subject: str = ""
    need_nanos: int = 0
    left_nanos: int = 0
    limit_nanos: int = 0
    held_nanos: int = 0
    """By calls under way; what of it they do not spend comes back."""
    may_free_up: bool = False
    """Room may come back when calls under way end: waiting a little is better than a refusal."""
    may_free_up_at: int | None = None
    """When time alone makes room (the next window, or what leaves a rolling one); None: never. UTC, in
    milliseconds."""
    detail: str = ""
    full: tuple[Account, ...] = ()
    """Those that have no room for it, whatever the calls under way give back."""

    def told(self, now_ms: int) -> tuple[BudgetEvent, ...]:
        """What is to be told where the call is really not sent: that a budget has no room, once for each
        window."""
        return tuple(event for account in self.full for event in account.refused(now_ms, self.need_nanos))

    def retry_after_s(self, now_ms: int) -> float | None:
        """When it is worth to ask again."""
        if self.may_free_up:
            return SOON_S
        return None if self.may_free_up_at is None else max(SOON_S, (self.may_free_up_at - now_ms) / 1000)

    @property
    def message(self) -> str:
        """For the caller: which budget, how it stands, what to do."""
        name = named(self.budget, self.subject)
        if self.code == "budget_price_unknown":
            return (
                f"{self.detail or 'this model'} has no known price, and the budget {name} is never to be "
                "passed: give its price under prices, or a ceiling_usd_per_call for this budget"
            )
        if self.code == "budget_unavailable":
            return f"what is held for calls cannot be written down, so none is sent: {self.detail}"
        held = f", and {usd(self.held_nanos)} is held for calls under way" if self.held_nanos else ""
        if self.left_nanos <= 0 and not held:
            spent = f"{usd(self.limit_nanos - self.left_nanos)} of {usd(self.limit_nanos)} USD"
            return f"the budget {name} is used up, {spent}. {self._what_next}"
        return (
            f"the budget {name} has {usd(self.left_nanos)} of {usd(self.limit_nanos)} USD left{held}; "
            f"this call could cost {usd(self.need_nanos)}. {self._what_next}"
        )

    @property
    def _what_next(self) -> str:
        if self.may_free_up:
            return "Try again in a moment, or allow it fewer output tokens."
        if self.may_free_up_at is not None:
            return f"There is room for it at {moment(self.may_free_up_at)}."
        if self.left_nanos <= 0:
            return "Somebody has to raise it."
        return "Raise the limit, or allow it fewer output tokens."


class Degrade(Denial, frozen=True, kw_only=True):
    """The call does not fit, but a cheaper candidate may be tried; where none is left, it is a denial."""


class Ask(Denial, frozen=True, kw_only=True):
    """The call does not fit, but a person may grant it; until somebody has, it is a denial."""

    @property
    def _what_next(self) -> str:
        return f"{super()._what_next} Whoever runs Freehold may allow more, and was told so."


def refusal(denial: Denial, now_ms: int) -> CallError:
    """The denial for a client. 429 where it may come again, 402 where only somebody with a purse helps."""
    told = denial.message
    if denial.code == "budget_unavailable":
        return CallError(kind="overloaded", status=503, code="budget_unavailable", message=told)
    if denial.code == "budget_price_unknown":
        return CallError(kind="billing", status=402, code="budget_price_unknown", message=told)
    wait_s = denial.retry_after_s(now_ms)
    if wait_s is None:
        return CallError(kind="billing", status=402, code="budget_exhausted", message=told)
    return CallError(
        kind="rate_limit", status=429, code="budget_exhausted", message=told, retry_after_s=wait_s
    )


def named(budget: str, subject: str) -> str:
    """A budget by its label; one for each, by whom it is about: `agent:writer per day`."""
    return budget.replace(":*", f":{subject}" if subject else ":(none)", 1)


def subject_in(budget: str, name: str) -> str | None:
    """Whom a name as `named` makes it is about; None when it is no name of this budget."""
    if name == budget:
        return "" if ":*" not in budget else None
    head, each, tail = budget.partition(":*")
    if not each or not name.startswith(f"{head}:") or not name.endswith(tail):
        return None
    subject = name[len(head) + 1 : len(name) - len(tail)]
    return "" if subject == "(none)" else subject


def grant_words(name: str) -> str:
    """The command by which a person allows more."""
    return f"freehold budgets grant {shlex.quote(name)} USD"


def usd(nanos: int) -> str:
    """Dollars to the cent, or with two digits that say something below that."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    digits = 2
    while digits < 9 and nanos and nanos < 10 ** (10 - digits):
        digits += 1
    step = 10 ** (9 - digits)
    whole, part = divmod((nanos + step // 2) // step, 10**digits)
    return f"{sign}{whole:,}.{part:0{digits}d}"


def moment(at_ms: int) -> str:
    """A time as people and programs read it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
