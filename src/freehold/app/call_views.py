"""Calls under way, as people and the control API see them."""

from __future__ import annotations

from typing import Literal

from freehold.gateway.call import Call
from freehold.web.control import CallView


def call_view(call: Call) -> CallView:
    """What is known of a call before its receipt."""
    target = call.target
    caller = call.facts.caller
    return CallView(
        id=call.id,
        model=(call.seen.model or "")[:200],
        deployment=target.deployment.name if target is not None else "",
        server=(target.deployment.server or "") if target is not None else "",
        state=_state(call),
        project=caller.project,
        agent=caller.agent,
        session=caller.session,
        started_ms=call.started_ms,
        attempts=len(call.tries),
        answer_bytes=call.response_bytes,
    )


def _state(call: Call) -> Literal["waiting", "sent", "answering"]:
    if call.relay is not None:
        return "answering"
    if call.tries and not call.tries[-1].ended_ns:
        return "sent"
    return "waiting"
