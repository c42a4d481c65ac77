"""What the control API shows of money and of choices, as values, and the port by which it asks for them.

What may still be spent, what providers allow, who answers a call and why, and how answers did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from freehold.core.config_routing import Tier
from freehold.costs.budgets.views import BudgetView
from freehold.costs.limits.window import LimitView
from freehold.routing.explain import ExplainIn, Explanation
from freehold.routing.outcomes import Source


class GrantIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More for a budget, in its present window. The body of POST /api/v1/budgets/grant."""

    budget: str
    """As in messages and in `freehold budgets`: `all per month`, `agent:writer per day`."""
    usd: Annotated[float, Meta(gt=-1e9, lt=1e9)]
    """How much more; below zero takes back."""


class OutcomeIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /api/v1/outcomes."""

    receipt: str
    """Id of the call's receipt, or an unambiguous beginning of it."""
    score: float | Literal["pass", "fail"]
    """0 (useless) to 1 (good)."""
    source: Source = "person"
    task: str = ""
    """The kind of task, where the call did not say it."""
    note: str = ""


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, and what is believed now."""

    id: str
    """The entry's own receipt."""
    receipt: str
    task: str
    deployment: str
    score: float
    chance: float
    """That this deployment answers this kind of task well."""
    deviation: float
    trials: float


class BeliefView(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of one deployment in one kind of task."""

    task: str
    deployment: str
    chance: float
    deviation: float
    trials: float


class ShadowPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Of one place in one kind of task: answers that were compared, and how many of them would have done."""

    deployment: str
    tier: Tier
    compared: int
    good: int


class ShadowTask(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of task: answers of local places that were compared, and how many would have done."""

    task: str
    compared: int
    good: int
    places: tuple[ShadowPlace, ...] = ()
    """All that were compared, also those of other tiers."""


class ShadowView(msgspec.Struct, frozen=True, kw_only=True):
    """What shadow evaluation found. Money is integer nano-USD."""

    at_work: bool
    spent_nanos: int = 0
    """Today."""
    budget_nanos: int = 0
    """For a day."""
    waiting: int = 0
    """Calls that are still to be compared."""
    dropped: int = 0
    """Since the start: calls that were not compared after all, because too many waited or a server had no
    time."""
    tasks: tuple[ShadowTask, ...] = ()


class CacheMeter(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of calls that could be answered without a model. Money is integer nano-USD."""

    hits: Mapping[str, int] = {}
    """By how: `exact`, `semantic`, ..."""
    saved_nanos: Mapping[str, int] = {}
    misses: int = 0
    entries: int = 0
    """Answers in memory now."""


class ChoiceMeter(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of calls that left the choice to the router."""

    tiers: Mapping[str, int] = {}
    """By the tier of the first candidate."""
    escalations: int = 0
    """Answers that were not good enough and were passed up."""


class MoneyMeter(msgspec.Struct, frozen=True, kw_only=True):
    """What `/metrics` tells of money and choices."""

    budgets: Sequence[BudgetView] = ()
    limits: Sequence[LimitView] = ()
    """Only of models that the catalog names."""
    cache: CacheMeter = CacheMeter()
    choices: ChoiceMeter = ChoiceMeter()
    shadow: ShadowView = ShadowView(at_work=False)


class MoneyControl(Protocol):
    """Answers at once, on the event loop; `shadow` reads files, in worker threads."""

    def budgets(self) -> Sequence[BudgetView]:
        """How all budgets stand, in the order of the configuration."""
        ...

    def is_owner(self, key: str) -> bool:
        """Whether a key proves that its bearer can read the state folder."""
        ...

    def grant(self, asked: GrantIn) -> BudgetView:
        """Raises KeyError for no budget of ours, FreeholdError when it cannot be done."""
        ...

    def limits(self) -> Sequence[LimitView]:
        """What is left of what providers allow."""
        ...

    def beliefs(self) -> Sequence[BeliefView]:
        """What outcomes taught, the most tried first."""
        ...

    async def outcome(self, body: bytes) -> OutcomeView:
        """Record how an answer did. Raises FreeholdError with what is wrong with `body`."""
        ...

    async def explain(self, asked: ExplainIn) -> Explanation:
        """Who would answer a prompt now, or what else a past call could have been. Raises LedgerError for no
        such receipt."""
        ...

    def shadow(self) -> ShadowView:
        """Which calls could have been answered by cheaper places. Raises FreeholdError."""
        ...
