"""Answers that are wanted for comparing: kept while they pass, handed over when they are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.routing.shadow import ShadowCall, Shadows

if TYPE_CHECKING:
    from freehold.gateway.call import Call
    from freehold.gateway.climb import Climb


def begin(call: Call, climb: Climb, shadow: Shadows) -> None:
    """The router has chosen: from now on keep what the client gets, where that is wanted."""
    ask = climb.routed.ask
    climb.shadow = shadow.wants(climb.routed.decision, critical=ask.critical, side_effects=ask.needs.tools)
    if climb.shadow is not None and call.captured is None:
        call.captured = []


def end(call: Call, climb: Climb, shadow: Shadows) -> None:
    """The call was answered whole. Only answers of the first candidate are compared: others were not chosen
    for what they are worth."""
    plan, decision, answered = climb.shadow, climb.routed.decision, call.tries[-1].deployment
    if plan is None or call.status != 200 or answered != decision.candidates[0].name:
        return
    caller = call.facts.caller
    shadow.offer(
        ShadowCall(
            plan=plan,
            body=call.request.body,
            endpoint=call.endpoint.name,
            dialect=call.dialect,
            answer=b"".join(call.captured or ()),
            receipt=call.id,
            deployment=answered,
            task=decision.task,
            project=caller.project,
            agent=caller.agent,
            session=caller.session,
        )
    )
