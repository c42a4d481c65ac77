"""An attempt that goes on beside the call's own: a second place that was asked because the first is slow, or
an answer that was not good enough and is kept until there is a better one.

It has its own slot, its own money and its own line in the receipt. It either becomes the call's attempt
(`take`), or is dropped and counted for what it cost. Which of both is decided in `hedging` and `escalating`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from freehold.core.servers import Lease
from freehold.costs.budgets.answers import Hold
from freehold.gateway.measuring import measure_beside, measure_broken
from freehold.gateway.prepared import Prepared
from freehold.gateway.stay import Stay
from freehold.gateway.targets import Target
from freehold.gateway.tries import Try
from freehold.gateway.upstream import UpstreamConnection
from freehold.routing.fallback import Failure

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_MOST_BYTES = 16 * 1024 * 1024


class Beside:
    """Implements `upstream.Answer`. `kind`: a `hedge` has not answered yet, a `held` answer has."""

    __slots__ = (
        "_bytes",
        "_fields",
        "_headers",
        "_pieces",
        "call",
        "hold",
        "kind",
        "lease",
        "over",
        "prepared",
        "status",
        "stay",
        "taken",
        "target",
        "tried",
        "upstream",
    )

    def __init__(
        self, call: Call, kind: Literal["hedge", "held"], target: Target, prepared: Prepared, tried: Try
    ) -> None:
        self.call = call
        self.kind: Literal["hedge", "held"] = kind
        self.target = target
        self.prepared = prepared
        self.tried = tried
        self.lease: Lease | None = None
        self.stay: Stay | None = None
        self.hold: Hold | None = None
        self.upstream: UpstreamConnection | None = None
        self.status = 0
        self.over = False
        """Nothing more comes: it is whole, or was given up."""
        self.taken = False
        """It is the call's own now."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._fields: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._bytes = 0

    def has_said(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """What has come of its answer so far."""
        self.status = status
        self._headers, self._fields = headers, dict(headers)
        self._pieces, self._bytes = [body], len(body)

    @property
    def streamed(self) -> bool:
        """Whether its answer is a stream of events."""
        return self._fields.get(b"content-type", b"").startswith(b"text/event-stream")

    # -- upstream.Answer

    def connected(self, connection: UpstreamConnection) -> None:
        if self.taken and self.call.settled:
            connection.abandon()
        elif self.taken:
            self.call.connected(connection)
        else:
            self.upstream = connection

    def began(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        if self.taken:
            self.call.began(status, headers, fields)
        elif status >= 400:
            self.tried.status = status
            self._gone(f"answered {status}", Failure(status=status))
        else:
            self.take(f"{self.tried.deployment} began first")
            self.call.began(status, headers, fields)

    def received(self, data: bytes) -> None:
        if self.taken:
            self.call.received(data)
            return
        self._pieces.append(data)
        self._bytes += len(data)
        if self.lease is not None:
            self.lease.heard_s = self.call.gateway.clock.monotonic_s()
        if self._bytes > _MOST_BYTES:
            self._broken("its answer is too large to be kept", Failure(status=200))

    def flush(self) -> None:
        if self.taken:
            self.call.flush()

    def completed(self) -> None:
        if self.taken:
            self.call.completed()
            return
        self.upstream = None
        self.over = True
        self.tried.ended_ns = time.perf_counter_ns()
        self._give_back(failed=False)

    def failed(self, reason: str) -> None:
        if self.taken:
            self.call.failed(reason)
        else:
            self.upstream = None
            self._give_back(failed=True)
            self._broken(reason, Failure(status=0))

    def writable(self, ready: bool) -> None:
        """The request is one piece."""

    # -- its two ends

    def take(self, words: str) -> None:
        """From now on this is the call's attempt. What the call had under way is over, or is dropped here."""
        call = self.call
        _lose(call, self)
        call.gateway.pool.follow_dial(self, call)
        call.beside = None
        self.taken = True
        call.route = f"{call.route}; {words}"
        call.target, call.prepared, call.losses = self.target, self.prepared, self.prepared.losses
        call.lease, call.stay, call.upstream = self.lease, self.stay, self.upstream
        call.relay = call.bad = None
        call.deadline_s = call.gateway.now_s + self.target.timeout_s
        if call.money is not None:
            call.money.take(self.hold, self.tried.deployment)
        if self.tried in call.tries:
            call.tries.remove(self.tried)
        call.tries.append(self.tried)
        if self.kind == "hedge":
            call.candidates.go_on()
            call.candidates.tries_here = 1

    def replay(self) -> None:
        """Let the call have what came before it was taken."""
        call = self.call
        call.pass_on(self.status, self._headers, self._fields)
        for piece in self._pieces:
            call.received(piece)
        self._pieces = []
        if self.over:
            call.completed()
        else:
            call.flush()

    def outrun(self) -> None:
        """The call's own attempt has begun to answer."""
        if self.kind == "hedge" or not self.over:
            self.drop("another place began first" if self.kind == "hedge" else "")

    def drop(self, words: str) -> None:
        """It is not needed. What it has cost counts."""
        call = self.call
        call.beside = None
        sent = self.upstream is not None or self.status != 0
        whole = self.over
        self._stop()
        spent = measure_beside(self, b"".join(self._pieces), sent=sent, whole=whole)
        self.tried.cost_nanos, self.tried.usage = spent.cost_nanos, spent.usage
        if words:
            self.tried.error = words
        self._note()
        if sent:
            call.earlier = (*call.earlier, spent)
        if self.hold is not None and call.money is not None:
            if sent:
                call.money.spent_on(self.hold, spent)
            else:
                call.money.release(self.hold)

    # -- inside

    def _broken(self, reason: str, failure: Failure) -> None:
        """It broke off: what had come of an answer by then was paid."""
        if not self.status:
            self._gone(reason, failure)
            return
        self.drop(reason)
        self.call.gateway.went_wrong(self.tried.deployment, failure)

    def _gone(self, reason: str, failure: Failure) -> None:
        """It came to nothing, and cost nothing."""
        call = self.call
        call.beside = None
        self._stop()
        self.tried.error = reason
        self._note()
        if self.hold is not None and call.money is not None:
            call.money.release(self.hold)
        call.gateway.went_wrong(self.tried.deployment, failure)

    def _stop(self) -> None:
        self.over = True
        self.call.gateway.pool.cancel_dial(self)
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abandon()
        self._give_back(failed=False)
        self.tried.ended_ns = self.tried.ended_ns or time.perf_counter_ns()

    def _give_back(self, *, failed: bool) -> None:
        lease, self.lease = self.lease, None
        if lease is not None:
            if self.stay is not None:
                self.stay.leave()
            self.call.gateway.servers.release(lease, failed=failed)

    def _note(self) -> None:
        """Its line in the receipt, before that of the attempt under way."""
        tries = self.call.tries
        if self.tried not in tries:
            tries.insert(max(0, len(tries) - 1), self.tried)


def let_fall(call: Call) -> None:
    """The attempt under way had begun to answer, and nobody gets it: what had come by then was paid."""
    if call.relay is None or call.target is None or not call.target.deployment.provider:
        return
    spent, tried = measure_broken(call), call.tries[-1]
    tried.cost_nanos, tried.usage = spent.cost_nanos, spent.usage
    call.earlier = (*call.earlier, spent)
    hold = call.money.hand_over() if call.money is not None else None
    if hold is not None and call.money is not None:
        call.money.spent_on(hold, spent)


def _lose(call: Call, other: Beside) -> None:
    """The call's own attempt is not waited for any longer."""
    tried = call.tries[-1]
    if tried.ended_ns or tried is other.tried:  # it is over already, or was not begun
        let_fall(call)
        call.give_back(failed=False)  # a slot that it got and did not use
        if call.money is not None:
            call.money.give_back()
        return
    assert call.target is not None and call.prepared is not None
    own = Beside(call, "hedge", call.target, call.prepared, tried)
    own.status = tried.status
    own.lease, own.stay, own.upstream = call.lease, call.stay, call.upstream
    own.hold = call.money.hand_over() if call.money is not None else None
    call.lease, call.stay, call.upstream = None, None, None
    call.gateway.pool.cancel_dial(call)
    own.drop("another place began first")
