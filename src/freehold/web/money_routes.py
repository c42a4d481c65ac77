"""The routes about budgets, limits, choices and how answers did."""

from __future__ import annotations

from difflib import get_close_matches

from fastapi import HTTPException, Request

from freehold.core.errors import FreeholdError
from freehold.core.progress import OWNER_HEADER
from freehold.costs.budgets.views import BudgetView
from freehold.costs.limits.window import LimitView
from freehold.receipts.journal import LedgerError
from freehold.routing.explain import ExplainIn, Explanation
from freehold.web.answers import Json, Route, error_answer, taken
from freehold.web.money import BeliefView, GrantIn, MoneyControl, OutcomeIn, OutcomeView, ShadowView


class _MoneyApi:
    """Coroutines answer on the event loop; plain methods read files, in worker threads."""

    def __init__(self, control: MoneyControl) -> None:
        self._control = control

    async def budgets(self) -> Json:
        """How the configured budgets stand: spent, held by calls under way, left, and until when."""
        return Json(self._control.budgets())

    async def grant(self, request: Request) -> Json:
        """Allow a budget more, or less, in its present window. Calls that wait for it go on.

        Callers cannot raise their own limits: `x-freehold-owner` holds the `owner_key` of `run.json` in the
        state folder.
        """
        asked = taken(await request.body(), GrantIn)
        if not self._control.is_owner(request.headers.get(OWNER_HEADER, "")):
            words = "only who can read the state folder may grant: `freehold budgets grant` on that machine"
            return error_answer(403, "not_the_owner", words)
        try:
            return Json(self._control.grant(asked))
        except KeyError:
            known = [view.budget for view in self._control.budgets()]
            near = get_close_matches(asked.budget, known, n=3, cutoff=0.5) or known[:3]
            meant = f"; there are {', '.join(map(repr, near))}" if near else "; none is configured"
            raise HTTPException(404, f"there is no budget {asked.budget!r}{meant}") from None

    async def limits(self) -> Json:
        """What is left of what providers allow, and how long it lasts at the present pace."""
        return Json(self._control.limits())

    async def beliefs(self) -> Json:
        """What outcomes taught: the chance that a deployment answers a kind of task well."""
        return Json(self._control.beliefs())

    async def outcome(self, request: Request) -> Json:
        """Say how an answer did: pass, fail, or 0 to 1. It is recorded, and counts in later choices."""
        try:
            return Json(await self._control.outcome(await request.body()))
        except FreeholdError as error:
            raise HTTPException(400, str(error)) from error

    async def explain(self, request: Request) -> Json:
        """Who would answer a prompt, or why a past call went where it did, and what all others would cost."""
        asked = taken(await request.body(), ExplainIn)
        try:
            return Json(await self._control.explain(asked))
        except LedgerError as error:
            raise HTTPException(404, str(error)) from error

    def shadow(self) -> Json:
        """How many of the calls that were also put to a cheaper place could have stayed there."""
        return Json(self._control.shadow())


def money_routes(control: MoneyControl) -> tuple[Route, ...]:
    api = _MoneyApi(control)
    return (
        Route("/budgets", api.budgets, list[BudgetView], "Budgets"),
        Route("/budgets/grant", api.grant, BudgetView, "Grant a budget more", "POST", GrantIn),
        Route("/limits", api.limits, list[LimitView], "Limits of providers"),
        Route("/outcomes", api.beliefs, list[BeliefView], "What outcomes taught"),
        Route("/outcomes", api.outcome, OutcomeView, "Say how an answer did", "POST", OutcomeIn),
        Route("/route/explain", api.explain, Explanation, "Explain a choice", "POST", ExplainIn),
        Route("/shadow", api.shadow, ShadowView, "What could have been local"),
    )
