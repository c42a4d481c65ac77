"""The gateway: owns what all calls share, and decides what each request is.

State with one owner here: calls in flight, open connections, receipts that are about to be written. What is
known of places is in `places`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from freehold.core.catalog import Catalog
from freehold.core.errors import CallError
from freehold.gateway import local
from freehold.gateway.access import Admitted, admit
from freehold.gateway.asgi import AsgiApp, AsgiExchange
from freehold.gateway.call import Call
from freehold.gateway.connection import ServerConnection
from freehold.gateway.count import CountCall
from freehold.gateway.endpoints import allowed_methods, endpoint_of
from freehold.gateway.facts import Facts
from freehold.gateway.hedging import Hedging
from freehold.gateway.ids import ReceiptIds
from freehold.gateway.marking import Marker
from freehold.gateway.parts import Parts, Prices
from freehold.gateway.places import Places
from freehold.gateway.request import Handler, Request
from freehold.gateway.settle import end_without
from freehold.gateway.sharing import Sharing
from freehold.gateway.upload import UploadCall
from freehold.gateway.upstream import UpstreamPool
from freehold.receipts.entries import Receipt, decode_receipt

_SWEEP_S = 0.25


class Gateway(Places):
    """See the module. Lives in `async with`; implements `connection.Requests`."""

    def __init__(self, parts: Parts, catalog: Catalog, control: AsgiApp) -> None:
        super().__init__(catalog, parts.clock, parts.allowances)
        self.ledger = parts.ledger
        self.servers = parts.servers
        self.access = parts.access
        self.limits = parts.limits
        self.policy = parts.policy
        self.ids = ReceiptIds()
        self.pool = UpstreamPool(parts.limits)
        self.active: set[Call] = set()
        self.ending: dict[Call, float] = {}
        """Calls with a receipt whose upstream has not ended its answer, and until when (loop time) it may."""
        self.calls = 0
        """Calls since the start."""
        self.capture = parts.capture
        self.prompt_help = "off"
        self.sharing: Sharing | None = None
        self.hedging: Hedging | None = None
        self.marker: Marker | None = None
        self.use_parts(parts)
        self.prices = parts.prices
        self._control = control
        self._connections: set[ServerConnection] = set()
        self.now_s = self.loop.time()
        """The loop's clock at the last sweep: near enough for time-outs of seconds."""
        self._lines: list[bytes] = []
        self._thens: list[Callable[[], None]] = []
        self.fault: CallError | None = None
        """Why no call may be made now: an answer without a receipt is not given."""
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Gateway:
        await self.pool.__aenter__()
        self._sweep()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for connection in list(self._connections):
            connection.abort()
        self.sharing = None
        for call in list(self.active):
            call.client_gone()
        self.write_down()
        for task in self._tasks:  # a control answer may stream for as long as somebody listens
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.__aexit__()

    def connection(self) -> ServerConnection:
        """A protocol for one accepted client: what `loop.create_server` calls."""
        return ServerConnection(self, self.loop)

    async def drain(self, within_s: float) -> None:
        """Let calls in flight end, and their last bytes leave; returns when all is quiet or time is up."""
        self._draining = True
        for connection in list(self._connections):
            connection.drain()
        if self.sharing is not None:
            self.sharing.stop()
        try:
            async with asyncio.timeout(within_s):
                while self.active or self._connections:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return

    # -- changes from outside

    def use_parts(self, parts: Parts) -> None:
        """Calls that begin from now on find these rooms; calls under way keep theirs."""
        self.budgets = parts.budgets
        self.answers = parts.answers
        self.router = parts.router
        self.allowances = parts.allowances
        self.meter = parts.meter
        self.shadow = parts.shadow
        self.validators = parts.validators
        if not parts.share and self.sharing is not None:
            self.sharing.stop()
            self.sharing = None
        elif parts.share and self.sharing is None:
            self.sharing = Sharing()
        if parts.hedge.share <= 0:
            self.hedging = None
        elif self.hedging is None:
            self.hedging = Hedging(parts.hedge)
        else:
            self.hedging.rules = parts.hedge
        if self.prompt_help != parts.prompt_help:
            self.prompt_help = parts.prompt_help
            self.marker = None if parts.prompt_help == "off" else Marker(parts.prompt_help)

    def use_prices(self, prices: Prices) -> None:
        self.prices = prices
        self.changed()

    # -- connection.Requests

    def opened(self, connection: ServerConnection) -> bool:
        self._connections.add(connection)
        if self._draining:  # accepted in the turn in which the listening ended
            self.loop.call_soon(connection.drain)
        return len(self._connections) <= self.limits.connections

    def closed(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()

    def wants_stream(self, request: Request) -> bool:
        if not request.lookup.get(b"content-type", b"").startswith(b"multipart/form-data"):
            return False
        endpoint = endpoint_of(request.method, request.path)
        return endpoint is not None and endpoint.carriage in ("upload", "relay")

    def handle(self, connection: ServerConnection, request: Request) -> Handler | None:
        facts: Facts | None = request.head.facts if request.head is not None else None
        if facts is None or facts.access is not self.access:  # keys may be others meanwhile
            facts = self._facts_of(request)
            if facts is None:
                return self._handle_local(connection, request)
            allowed = allowed_methods(request.path)
            if allowed is not None and request.method not in allowed:
                connection.reply(local.method_not_allowed(allowed))
                return None
            if request.head is not None:
                request.head.facts = facts
        self.calls += 1
        if not request.complete:
            call: Call = UploadCall(self, connection, request, facts)
        elif facts.endpoint.carriage == "count":
            call = CountCall(self, connection, request, facts)
        else:
            call = Call(self, connection, request, facts)
        call.start()
        return call

    def _facts_of(self, request: Request) -> Facts | None:
        """What the head of a model call says; None when the request is no model call."""
        endpoint = endpoint_of(request.method, request.path)
        if endpoint is None or (
            request.path.startswith(b"/v1/models") and request.method in (b"GET", b"HEAD")
        ):
            return None
        return Facts.of(self.access, request, endpoint)

    def reject(self, connection: ServerConnection, request: Request, error: CallError) -> bool:
        endpoint = endpoint_of(request.method, request.path)
        if endpoint is None:
            return False
        self.calls += 1
        Call(self, connection, request, Facts.of(self.access, request, endpoint)).refuse(error)
        return True

    def _handle_local(self, connection: ServerConnection, request: Request) -> Handler | None:
        if request.path == b"/health":
            connection.reply(local.health(request, well=self.fault is None))
            return None
        admitted = admit(self.access, request.lookup)
        if not isinstance(admitted, Admitted):
            connection.reply(local.refusal(request, admitted))
            return None
        answer = local.answer(self.catalog, request, self.clock.now_ms())
        if answer is not None:
            connection.reply(answer)
            return None
        exchange = AsgiExchange(self._control, connection, request, self.access)
        exchange.start(self)
        return exchange

    # -- used by calls

    def record(self, receipt: Receipt, call: Call, then: Callable[[], None] | None) -> None:
        """Store the receipt of an ended call, then run `then`.

        Calls that end in the same turn of the loop share one write to the journal. A call that ends alone
        does not wait for others.
        """
        if not self.active:
            self._idle.set()
        capture = self.capture
        if capture is not None and not (capture.errors_only and receipt.outcome == "ok"):
            capture.put(receipt.id, "request", call.request.body)
            capture.put(receipt.id, "response", b"".join(call.captured or ()))
        self._lines.append(self.ledger.line(receipt))
        if then is None or not self.active:
            self.write_down()
            if then is not None:
                then()
            return
        self._thens.append(then)
        if len(self._thens) == 1:
            self.loop.call_soon(self.write_down)

    def write_down(self) -> None:
        """Receipts of this turn of the loop go to the journal: at its end, and before somebody reads there
        what was spent."""
        lines, self._lines = self._lines, []
        thens, self._thens = self._thens, []
        try:
            if lines:
                self.ledger.append_lines(lines)
                if self.fault is not None and self.fault.code == "ledger_unavailable":
                    self.fault = None  # the receipt of a refused call was stored: there is room again
        except Exception as error:
            message = f"receipts cannot be stored, so no calls are taken: {error}"
            self.fault = CallError(kind="overloaded", status=503, code="ledger_unavailable", message=message)
            if self.budgets is not None:
                lost = lines[getattr(error, "stored", 0) :]
                self.budgets.book.receipts_lost({decode_receipt(line).id for line in lost})
        for then in thens:
            then()

    def keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run the waiting part of a call; awaited when the gateway ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- inside

    def _sweep(self) -> None:
        now_s = self.now_s = self.loop.time()
        self._sweep_timer = self.loop.call_later(_SWEEP_S, self._sweep)
        for connection in list(self._connections):
            connection.check(now_s)
        if self.sharing is not None:
            self.sharing.sweep(self)
        for call in [each for each, until_s in self.ending.items() if now_s > until_s]:
            del self.ending[call]
            end_without(call)
        heard_s = self.clock.monotonic_s()
        for call in list(self.active):
            if call.heard and call.target is not None:
                call.heard = False
                call.deadline_s = now_s + call.target.timeout_s
                if call.lease is not None:
                    call.lease.heard_s = heard_s
            elif call.deadline_s and now_s > call.deadline_s:
                call.expire()
