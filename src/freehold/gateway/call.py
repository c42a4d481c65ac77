"""One call from its first byte to its receipt: candidates, attempts, and the one exit door.

A state machine of callbacks. Before the first byte goes to the client, another attempt may be made
(`routing.fallback` decides); after it, only `relay` may end the answer, honestly. Whatever happens,
`settle` runs exactly once and writes exactly one receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.core.servers import Lease, LeaseRefusal
from freehold.dialects.context import TranslationError
from freehold.gateway import cached, deciding, escalating, failing, refusals
from freehold.gateway.allowing import note
from freehold.gateway.bad_answer import BadAnswer
from freehold.gateway.beside import let_fall
from freehold.gateway.call_state import CallState
from freehold.gateway.dying import ask_why
from freehold.gateway.error_answer import answer_error
from freehold.gateway.escalating import brings_back
from freehold.gateway.lease import answered, seek
from freehold.gateway.money import Money
from freehold.gateway.peek import look_into
from freehold.gateway.prepare import Prepared, client_lines, prepare_same, prepare_translated, request_head
from freehold.gateway.settle import settle
from freehold.gateway.sharing import doubt, goes_on, join, leave_again
from freehold.gateway.targets import Target, upstream_dialect
from freehold.gateway.tries import Try
from freehold.gateway.upstream import UpstreamConnection
from freehold.gateway.ways import relay_for
from freehold.routing.fallback import Failure

if TYPE_CHECKING:
    pass


class Call(CallState):
    """See the module. Implements `connection.Handler` and `upstream.Answer`."""

    __slots__ = ()

    # -- beginning

    def start(self) -> None:
        """Judge the request and make the first attempt, or refuse."""
        admitted = self.facts.admitted
        if isinstance(admitted, CallError):
            self.refuse(admitted)
            return
        self.key_name = admitted.key_name
        self.gateway.active.add(self)
        fault = self.gateway.fault or self.facts.fault
        if fault is not None:
            self.refuse(fault)
            return
        if self.read():
            if (self.gateway.answers is not None or self.facts.cache_mode) and cached.look(self):
                return
            self.proceed()

    def proceed(self) -> None:
        """No kept answer: ask somebody."""
        sharing = self.gateway.sharing
        if (sharing is None or not join(self, sharing)) and self.choose():
            self.attempt()

    def read(self) -> bool:
        """Look into the body; False when the call was refused over it."""
        has_default = self.gateway.catalog.default_provider is not None
        seen = look_into(self.request.body, self.endpoint, has_default=has_default)
        if isinstance(seen, CallError):
            return self.refuse(seen)
        self.seen = seen
        return True

    def choose(self) -> bool:
        """Fill in the candidates; False when the call was refused because there are none."""
        return deciding.choose(self)

    # -- attempts

    def attempt(self) -> None:
        """Try the current candidate."""
        deployment = self.candidates.current
        if deployment.server is not None:
            seek(self, deployment)
            return
        found = self.gateway.target_of(deployment)
        if isinstance(found, CallError):
            self.pass_over(found)
        else:
            self.send_to(found)

    def lease_body(self) -> bytes:
        """What names this request, should a server die under it again."""
        return self.request.body

    def leased(self, answer: Lease | LeaseRefusal) -> None:
        """A slot that was waited for is there, or will not be."""
        answered(self, answer)

    def give_back(self, *, failed: bool) -> None:
        """Free the slot, if the call holds one. `failed`: its server broke the connection or kept silent."""
        lease = self.lease
        if lease is not None:
            self.lease = None
            if self.stay is not None:
                self.stay.leave()
            self.gateway.servers.release(lease, failed=failed)

    def send_to(self, target: Target) -> None:
        """Make the attempt; a server of ours has a slot for it."""
        self.target = target
        try:
            prepared = self.prepare(target)
        except TranslationError as error:
            self.refuse(error.error)
            return
        if isinstance(prepared, CallError):
            self.pass_over(prepared)
            return
        gateway = self.gateway
        if target.anthropic and gateway.marker is not None:
            prepared = gateway.marker.mark(prepared, target, self.started_ms)
        self.prepared = prepared
        self.losses = prepared.losses
        if self.losses and b"x-freehold-strict" in self.request.lookup:
            self.refuse(refusals.strict(self.losses))
            return
        if gateway.budgets is None or self.afford(target, prepared):
            self.dispatch()

    def afford(self, target: Target, prepared: Prepared) -> bool:
        """Put aside what the attempt can cost. False: it goes on by itself, now or later."""
        money = self.money
        if money is None:
            assert self.gateway.budgets is not None
            money = self.money = Money(self, self.gateway.budgets)
        return money.seek(target, prepared)

    def dispatch(self) -> None:
        """Send what is prepared."""
        target, prepared = self.target, self.prepared
        assert target is not None and prepared is not None
        lines = client_lines(self.request.headers, target, prepared, self.facts.lines)
        head = request_head(self.request.method, prepared, target, lines, self.request.lookup)
        self._begin_try(target)
        self.gateway.pool.send(target.origin, head + prepared.body, self)
        if self.gateway.hedging is not None:
            self.gateway.hedging.watch(self)

    def _begin_try(self, target: Target) -> None:
        self.candidates.tries_here += 1
        self.bad = None
        self.relay = None
        self.upstream = None
        self.tries.append(Try(deployment=target.deployment.name, started_ns=time.perf_counter_ns()))
        self.deadline_s = self.gateway.now_s + target.timeout_s

    def prepare(self, target: Target) -> Prepared | CallError:
        """The request for this target, or why this target cannot take it."""
        if self.endpoint.carriage == "dialect":
            if upstream_dialect(target, self.dialect) != self.dialect:
                body, created_s = self.request.body, self.started_ms // 1000
                return prepare_translated(body, target, self.dialect, answer_id=self.id, created_s=created_s)
        elif target.anthropic and self.dialect != "messages":
            return refusals.unsupported(self.endpoint.name, target.deployment.name)
        return prepare_same(self.request.body, self.seen, target, self.dialect, self.request.target)

    # -- upstream.Answer

    def connected(self, connection: UpstreamConnection) -> None:
        self.upstream = connection

    def began(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        tried = self.tries[-1]
        tried.first_byte_ns = time.perf_counter_ns()
        tried.status = status
        gateway, target = self.gateway, self.target
        if gateway.allowances is not None and target is not None and target.deployment.provider is not None:
            note(gateway.allowances, target.deployment, status, fields, gateway.clock.now_ms())
        if status >= 400:
            self.bad = BadAnswer(status, headers, target.secret if target is not None else b"")
            return
        if not self.signs_silent() and not fields.get(b"content-type", b"").startswith(b"text/event-stream"):
            self.drop_upstream()
            self.refuse(refusals.no_stream(tried.deployment))
            return
        self.gateway.went_well(tried.deployment)
        if self.beside is not None:
            self.beside.outrun()
        if gateway.hedging is not None:
            gateway.hedging.began(self)
        self.pass_on(status, headers, fields)

    def pass_on(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        """This is the answer, as far as is known."""
        self.relay = relay_for(self, status, headers, fields)

    def received(self, data: bytes) -> None:
        self.heard = True
        relay = self.relay
        if relay is not None:
            if relay.judge is None or escalating.passes(self, relay, data):
                relay.feed(data)
            return
        assert self.bad is not None
        if not self.bad.add(data):
            self.drop_attempt()
            self.failed("the upstream's error answer is too large")

    def flush(self) -> None:
        if self.relay is not None:
            self.relay.flush()
            if self.flight is not None and self.flight.followers:
                self.flight.grown()

    def completed(self) -> None:
        self.upstream = None
        self.gateway.ending.pop(self, None)
        self.heard, self.deadline_s = False, 0.0
        bad = self.bad
        self.give_back(failed=bad is not None and bad.status in _BROKEN)
        self.tries[-1].ended_ns = time.perf_counter_ns()
        relay = self.relay
        if relay is None:
            failing.refused(self)
        elif relay.judge is None or escalating.passes_whole(self, relay):
            relay.end()

    def failed(self, reason: str) -> None:
        held = self.relay.judge if self.relay is not None else None
        if held is not None and held.holds and held.ended:  # whole before its server broke off
            self.completed()
            return
        timed_out = reason.startswith(failing.TIMED_OUT)
        self.upstream = None
        self.gateway.ending.pop(self, None)
        self.heard, self.deadline_s = False, 0.0
        self.give_back(failed=True)
        tried = self.tries[-1]
        tried.ended_ns = time.perf_counter_ns()
        tried.error = reason
        relay = self.relay
        if relay is not None and (relay.committed or self.settled):
            if timed_out or self.settled:
                relay.cut(reason)
            else:
                ask_why(self, reason, relay.cut)
            return
        if not timed_out:
            let_fall(self)
        self.relay = None
        if timed_out and self.money is not None:
            self.money.lost()
        error = CallError(
            kind="timeout" if timed_out else "upstream",
            status=504 if timed_out else 502,
            source="upstream",
            message=f"{tried.deployment}: {reason}",
        )
        self.give_up_on(Failure(status=0, timed_out=timed_out), error)

    def writable(self, ready: bool) -> None:
        """Only uploads send more than one piece."""

    # -- after a failed attempt

    def give_up_on(self, failure: Failure, error: CallError) -> None:
        """The current candidate failed: again, elsewhere, or tell the client."""
        failing.give_up_on(self, failure, error)

    def again_in(self, delay_s: float) -> None:
        """The same place once more."""
        self.after(delay_s, self.attempt)

    def after(self, delay_s: float, then: Callable[[], None]) -> None:
        """Do it later, unless something else comes in between."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.gateway.loop.call_later(delay_s, then)

    def pass_over(self, error: CallError, how: str = "failed") -> None:
        """The current candidate cannot even be tried: at once the next one, or tell the client."""
        if self.candidates.more:
            self.go_on(how)
        else:
            self.refuse(error)

    def go_on(self, how: str) -> None:
        """To the next candidate; the current one did so."""
        self.route = f"{self.route}; {self.candidates.current.name} {how}"
        self.candidates.go_on()
        self.attempt()

    def refuse(self, error: CallError) -> bool:
        """Answer with an error in the caller's dialect. Always False, for the callers' brevity."""
        if self.settled or (self.beside is not None and brings_back(self)):
            return False
        if not self.signs_silent():
            assert self.signs is not None
            self.signs.fail(error)
            return False
        answer_error(self, error)
        return False

    # -- connection.Handler

    def client_gone(self) -> None:
        """Stop the upstream and keep the record, unless somebody else wants the answer."""
        sharing, following = self.gateway.sharing, self.following
        if self.flight is not None and goes_on(self, sharing):
            return
        if following is not None:
            self.following = None
            leave_again(following, sharing)
        self.nobody_waits()

    def replaced(self) -> None:
        """The client has come again on another connection: this one is dead."""
        self.conn.abort()
        self.client_gone()

    def nobody_waits(self) -> None:
        """It is over: there is nobody to answer."""
        self.drop_upstream()
        if not self.settled:
            self.status = self.status or 499
            if self.tries and not self.tries[-1].ended_ns:
                self.tries[-1].ended_ns = time.perf_counter_ns()
            settle(self, "cancelled", "the client left before the answer was whole")

    def client_writable(self, ready: bool) -> None:
        if self.following is not None:
            self.following.writable(ready)
        elif self.upstream is not None:
            if ready:
                self.upstream.resume()
            else:
                self.upstream.pause()

    def body_piece(self, data: bytes) -> None:
        """Only uploads take their body in pieces."""

    def body_complete(self) -> None:
        """Only uploads take their body in pieces."""

    def body_failed(self, error: CallError) -> None:
        """Only uploads see their body fail."""

    def probe(self) -> None:
        if self.flight is not None and self.gateway.sharing is not None:
            doubt(self, self.gateway.sharing)
        if self.following is not None and self.following.started:
            self.following.probe()
        elif self.relay is not None and self.relay.committed:
            self.relay.probe()
        elif not self.signs_silent() and self.signs is not None:
            self.signs.sign()
        elif not self.request.http10:
            self.conn.write(b"HTTP/1.1 102 Processing\r\n\r\n")

    # -- shared

    def expire(self) -> None:
        """The gateway's sweep: the attempt, or the wait for a server, took too long."""
        failing.expired(self)

    def drop_upstream(self) -> None:
        """Stop whatever is under way upstream, and every timer."""
        if self.beside is not None and self.beside.kind == "hedge":
            self.beside.drop("")
        self.drop_attempt()

    def drop_attempt(self) -> None:
        """The same for the attempt under way alone."""
        self.stop_waiting()
        self.gateway.pool.cancel_dial(self)
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abandon()
            self.gateway.ending.pop(self, None)
        self.give_back(failed=False)

    def stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.climb is not None and self.climb.checking is not None:
            self.climb.checking.stop()
        if self.signs is not None:
            self.signs.stop()
        if self.money is not None:
            self.money.stop_waiting()
        if self.kept is not None:
            self.kept.stop()


_BROKEN = (500, 502)
"""What a server answers whose model has broken; 501 and 503 it says on purpose."""
