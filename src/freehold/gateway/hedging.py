"""A second place is asked when the first is slower to begin than it usually is; whoever begins first answers.

Not for what a provider would do or keep twice: stored answers, tools that it runs itself. Tools that the
client runs are no obstacle: it gets one answer. A server of ours is only asked when it has a slot free.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from freehold.cache.parts import uncacheable
from freehold.core.catalog import Deployment
from freehold.core.errors import CallError
from freehold.core.servers import Lease
from freehold.dialects.context import TranslationError
from freehold.gateway.beside import Beside
from freehold.gateway.lease import ask_of
from freehold.gateway.prepare import client_lines, request_head
from freehold.gateway.stay import Stay
from freehold.gateway.targets import Target
from freehold.gateway.tries import Try
from freehold.routing.hedge import HedgeRules, hedge_after_s

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_SEEN = 64
_NEVER = "freehold-shadow"
"""The agent of calls that nobody waits for."""
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Hedging:
    """The owner of what is known of how fast places begin, and of how many calls were asked twice."""

    def __init__(self, rules: HedgeRules) -> None:
        self.rules = rules
        self.calls = 0
        self.hedged = 0
        self._paces: dict[tuple[str, bool], deque[float]] = {}

    def began(self, call: Call) -> None:
        """A place has begun to answer."""
        tried = call.tries[-1]
        where = (tried.deployment, call.seen.stream is True)
        pace = self._paces.get(where)
        if pace is None:
            pace = self._paces[where] = deque(maxlen=_SEEN)
        pace.append((tried.first_byte_ns - tried.started_ns) / 1e9)

    def watch(self, call: Call) -> None:
        """An attempt has begun: see to it that it is not waited for too long."""
        if call.endpoint.carriage != "dialect" or not call.candidates.more or call.beside is not None:
            return
        self.calls += 1
        tried = call.tries[-1]
        history = self._paces.get((tried.deployment, call.seen.stream is True), ())
        after_s = hedge_after_s(history, self.rules, calls=self.calls, hedged=self.hedged)
        if after_s is not None and call.facts.caller.agent != _NEVER:
            call.after(after_s, lambda: self.due(call, tried))

    def due(self, call: Call, tried: Try) -> None:
        """The attempt is slow by now: ask the next candidate, too, if that can be."""
        if call.settled or call.beside is not None or tried.first_byte_ns or call.tries[-1] is not tried:
            return
        if not call.candidates.more or (call.money is not None and call.money.limit):
            return  # nobody else is there, or hardly money for one
        if self.hedged > self.rules.share * self.calls or not _may_be_asked_twice(call):
            return
        beside = _prepared(call, call.candidates.following)
        if beside is None:
            return
        self.hedged += 1
        call.beside = beside
        call.route = f"{call.route}; {tried.deployment} is slow, asked {beside.tried.deployment} too"
        _send(beside)


def _may_be_asked_twice(call: Call) -> bool:
    try:
        document = _decode(call.request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return uncacheable(call.endpoint.name, document, ()) is None


def _prepared(call: Call, deployment: Deployment) -> Beside | None:
    """Everything that the second attempt needs, or None, and nothing is held."""
    found = _place(call, deployment)
    if found is None:
        return None
    target, lease = found
    beside = _affordable(call, target)
    if beside is None:
        if lease is not None:
            call.gateway.servers.release(lease)
        return None
    beside.lease = lease
    meter = call.gateway.meter
    if lease is not None and meter is not None:
        beside.stay = Stay(meter, call.gateway.clock)
        beside.stay.enter()
    return beside


def _place(call: Call, deployment: Deployment) -> tuple[Target, Lease | None] | None:
    gateway = call.gateway
    if deployment.server is None:
        target = gateway.target_of(deployment)
        return None if isinstance(target, CallError) else (target, None)
    if call.barred is not None:
        return None
    try:
        lease = gateway.servers.lease(deployment.server, ask_of(call))
    except KeyError:
        return None
    if not isinstance(lease, Lease):
        return None
    return gateway.server_target(deployment, lease.base_url), lease


def _affordable(call: Call, target: Target) -> Beside | None:
    try:
        prepared = call.prepare(target)
    except TranslationError:
        return None
    if isinstance(prepared, CallError) or (prepared.losses and b"x-freehold-strict" in call.request.lookup):
        return None
    marker, money = call.gateway.marker, call.money
    if target.anthropic and marker is not None:
        prepared = marker.mark(prepared, target, call.started_ms)
    beside = Beside(call, "hedge", target, prepared, Try(target.deployment.name, time.perf_counter_ns()))
    if money is not None:
        hold = money.hold_beside(target, prepared)
        if hold is False:
            return None
        beside.hold = None if hold is True else hold
    return beside


def _send(beside: Beside) -> None:
    call, target, prepared = beside.call, beside.target, beside.prepared
    lines = client_lines(call.request.headers, target, prepared, call.facts.lines)
    head = request_head(call.request.method, prepared, target, lines, call.request.lookup)
    call.gateway.pool.send(target.origin, head + prepared.body, beside)
