"""What the gateway is built from: the ports that other rooms fill, and the values it is given."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Literal, Protocol

import msgspec

from freehold.cache.answers import Answers
from freehold.core.clock import Clock
from freehold.core.servers import ModelServers
from freehold.core.usage import Usage
from freehold.costs.budgets.answers import BudgetEvent
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue
from freehold.costs.limits.book import LimitBook
from freehold.costs.local import LocalMeter
from freehold.costs.prices import Rates
from freehold.gateway.access import Access
from freehold.gateway.limits import Limits
from freehold.receipts.commitments import Commitment, Part
from freehold.receipts.entries import CostState, Receipt
from freehold.routing.fallback import Policy
from freehold.routing.hedge import HedgeRules
from freehold.routing.router import Router
from freehold.routing.shadow import Shadows
from freehold.routing.validating import Verdict
from freehold.routing.world import Check


class Cost(Protocol):
    """What `Prices` answers."""

    @property
    def nanos(self) -> int: ...
    @property
    def state(self) -> CostState: ...
    @property
    def snapshot(self) -> str: ...


class Prices(Protocol):
    """`costs.book.PriceBook` as the gateway needs it."""

    def price(
        self,
        provider_price_id: str | None,
        provider_name: str | None,
        model_id: str,
        usage: Usage,
        at_ms: int,
        billed_nanos: int | None = None,
    ) -> Cost: ...
    def rates(
        self, provider_price_id: str | None, provider_name: str | None, model_id: str, at_ms: int
    ) -> Rates | None: ...
    def under(self, **when: str) -> Prices: ...


class Budgets(Protocol):
    """What may still be spent: asked before an attempt, told after the call."""

    @property
    def book(self) -> BudgetBook: ...
    @property
    def queue(self) -> BudgetQueue: ...
    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """What a person may want to know; mostly nothing. Must not block."""
        ...


class Validators(Protocol):
    """Programs of the person's that say whether an answer is good."""

    def check(self, check: Check, document: bytes) -> Coroutine[None, None, Verdict]:
        """Bounded in time, and nothing raised. When cancelled, the program has ended."""
        ...


class Ledger(Protocol):
    """`receipts.ledger.Ledger` as the gateway needs it."""

    def line(self, receipt: Receipt) -> bytes: ...
    def append_lines(self, lines: Sequence[bytes]) -> None: ...
    @property
    def commitment(self) -> Callable[[str, Part], Commitment]: ...


class Capture(msgspec.Struct, frozen=True):
    """Where bodies are kept, when the configuration asks for it: `put` never blocks."""

    put: Callable[[str, Part, bytes], bool]
    errors_only: bool


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway is built from."""

    ledger: Ledger
    prices: Prices
    servers: ModelServers
    clock: Clock
    access: Access
    limits: Limits = Limits()
    policy: Policy = Policy()
    capture: Capture | None = None
    budgets: Budgets | None = None
    """None here and below: the house does without, and calls pay one look."""
    answers: Answers | None = None
    router: Router | None = None
    allowances: LimitBook | None = None
    """What providers say is left of their limits."""
    meter: LocalMeter | None = None
    """What time on servers of ours costs."""
    shadow: Shadows | None = None
    """Who wants answers to compare them with those of cheaper places."""
    validators: Validators | None = None
    share: bool = False
    """Identical calls under way share one upstream."""
    hedge: HedgeRules = HedgeRules()
    """When a second place is asked; by default never."""
    prompt_help: Literal["off", "translated", "all"] = "off"
    """Which requests to Anthropic get marks for its prompt cache."""
