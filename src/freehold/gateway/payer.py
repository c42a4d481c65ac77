"""Whom a call is by, as budgets see it, and what is left for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.core.catalog import Deployment
from freehold.costs.budgets.scopes import Payer

if TYPE_CHECKING:
    from freehold.gateway.call import Call


def payer_of(call: Call, deployment: Deployment | None) -> Payer:
    """Whom the call is by, and where it goes; as its receipt will say."""
    provider = (deployment.provider or "") if deployment is not None else ""
    name = deployment.name if deployment is not None else ""
    caller = call.facts.caller
    return Payer(
        provider=provider,
        model=name.removeprefix(f"{provider}/") if provider else name,
        project=caller.project,
        agent=caller.agent,
        session=caller.session,
        task=caller.task,
        key=call.key_name,
    )


def budget_left(call: Call) -> int | None:
    """What the call may still cost wherever it goes; None: there is no hard budget for it."""
    budgets = call.gateway.budgets
    return None if budgets is None else budgets.book.left(payer_of(call, None), call.started_ms)
