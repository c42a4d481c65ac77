"""How a model server of ours is doing, as a choice sees it. Pure."""

from __future__ import annotations

from freehold.core.servers import ServerLoad, ServerState, ServerView
from freehold.routing.world import Rates, Standing

LOAD_S = 20.0
"""Taken for the load of a server that has never been loaded."""
_LEAST_S = 1.0
_COMING = frozenset((ServerState.STARTING, ServerState.LOADING))


def standing_of(
    view: ServerView, load: ServerLoad, queue_s: float | None, now_s: float, rates: Rates | None = None
) -> Standing:
    """`queue_s` is how long a call that comes now waits for a slot once the server is ready
    (`ModelServers.estimated_wait_s`); `now_s` the monotonic clock of `view.started_load_s`; `rates` what its
    tokens have cost lately, where that is known."""
    ready = view.state is ServerState.READY
    busy = load.in_flight + load.queued
    return Standing(
        barred=f"has failed: {view.detail}"[:200] if view.state is ServerState.FAILED else "",
        loaded=ready,
        wait_s=(queue_s or 0.0) + (0.0 if ready else load_s(view, now_s)),
        outstanding=busy,
        slots=view.slots,
        rates=rates,
    )


def load_s(view: ServerView, now_s: float) -> float:
    """Seconds until a server that is not ready will be, if nothing is in its way."""
    whole_s = LOAD_S if view.eta_s is None else view.eta_s
    if view.state in _COMING and view.started_load_s is not None:
        return max(_LEAST_S, whole_s - (now_s - view.started_load_s))
    return max(_LEAST_S, whole_s)
