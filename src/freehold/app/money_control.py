"""What the control API asks about money and choices, answered from the rooms. Implements `web.money`."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from pathlib import Path

from freehold.app.explain import explain_call, explain_receipt
from freehold.app.outcomes import OutcomeBook
from freehold.app.rooms import OptionalRooms
from freehold.core.catalog import Deployment
from freehold.core.clock import Clock
from freehold.core.config_budgets import nanos_of
from freehold.core.errors import ConfigError, FreeholdError
from freehold.costs.budgets.scopes import Payer
from freehold.costs.budgets.views import BudgetView
from freehold.costs.limits.window import LimitView
from freehold.gateway.deciding import standing_now
from freehold.gateway.gateway import Gateway
from freehold.receipts.query import find
from freehold.routing.explain import ExplainIn, Explanation
from freehold.routing.world import Standing
from freehold.web.money import BeliefView, GrantIn, OutcomeView, ShadowView


class HouseMoney:
    """See the module."""

    def __init__(
        self, rooms: OptionalRooms, gateway: Gateway, home: Path, clock: Clock, owner_key: str
    ) -> None:
        self._owner_key = owner_key.encode()
        self._rooms = rooms
        self._gateway = gateway
        self._home = home
        self._clock = clock

    def budgets(self) -> Sequence[BudgetView]:
        budgets = self._rooms.budgets
        return () if budgets is None else budgets.views(self._clock.now_ms())

    def is_owner(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(), self._owner_key)

    def grant(self, asked: GrantIn) -> BudgetView:
        if self._rooms.budgets is None:
            raise KeyError(asked.budget)
        try:
            nanos = nanos_of(asked.usd)
        except ConfigError as error:
            raise FreeholdError(error.message) from None
        return self._rooms.budgets.grant(asked.budget, nanos, self._clock.now_ms())

    def limits(self) -> Sequence[LimitView]:
        return self._rooms.limits.views()

    def beliefs(self) -> Sequence[BeliefView]:
        return self._outcomes.beliefs()

    async def outcome(self, body: bytes) -> OutcomeView:
        return await self._outcomes.post(body)

    async def explain(self, asked: ExplainIn) -> Explanation:
        router, now_ms = self._rooms.router, self._clock.now_ms()
        if not asked.receipt:
            budgets = self._rooms.budgets
            who = Payer(agent=asked.agent, session=asked.session, task=asked.task)
            left = None if budgets is None else budgets.book.left(who, now_ms)
            return explain_call(router, self._standing, asked, now_ms, left)
        _, receipt = await asyncio.to_thread(find, self._home, asked.receipt)
        return explain_receipt(router, self._standing, receipt, now_ms)

    @property
    def _outcomes(self) -> OutcomeBook:
        assert self._rooms.outcomes is not None
        return self._rooms.outcomes

    def shadow(self) -> ShadowView:
        if self._rooms.shadow is not None:
            return self._rooms.shadow.view()
        from freehold.app.shadow_tally import shadow_view  # noqa: PLC0415 - only for who asks

        return shadow_view(self._home)

    def shadow_now(self) -> ShadowView:
        """The same without reading files: nothing where it is not at work."""
        shadow = self._rooms.shadow
        return ShadowView(at_work=False) if shadow is None else shadow.view()

    def _standing(self, deployment: Deployment) -> Standing:
        return standing_now(self._gateway, deployment, self._clock.now_ms())
