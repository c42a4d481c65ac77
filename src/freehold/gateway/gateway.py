"""The gateway: owns what all calls share, and decides what each request is.

State with one owner here: the catalog in force, circuit breakers, calls in flight, open connections.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping

from freehold.cache.keys import route_label
from freehold.core.catalog import Catalog, Deployment, Provider
from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.costs.prices import Rates
from freehold.gateway import local, refusals
from freehold.gateway.access import Admitted, admit
from freehold.gateway.allowing import spent_last
from freehold.gateway.asgi import AsgiApp, AsgiExchange
from freehold.gateway.call import Call
from freehold.gateway.connection import Handler, Request, ServerConnection
from freehold.gateway.count import CountCall
from freehold.gateway.endpoints import allowed_methods, endpoint_of
from freehold.gateway.facts import Facts
from freehold.gateway.ids import ReceiptIds
from freehold.gateway.marking import Marker
from freehold.gateway.parts import Cost, Parts, Prices
from freehold.gateway.targets import Target, provider_target, server_target
from freehold.gateway.upload import UploadCall
from freehold.gateway.upstream import UpstreamPool
from freehold.receipts.entries import Receipt
from freehold.routing import breaker
from freehold.routing.choose import Choice, NoSuchModel, choose
from freehold.routing.fallback import Failure

_SWEEP_S = 0.25
_STORED_IDS = 10_000
_CHOICES = 4096
"""Names remembered; clients make them up, so there is a bound."""


class Gateway:
    """See the module. Lives in `async with`; implements `connection.Requests`."""

    def __init__(self, parts: Parts, catalog: Catalog, control: AsgiApp) -> None:
        self.ledger = parts.ledger
        self.servers = parts.servers
        self.clock = parts.clock
        self.access = parts.access
        self.limits = parts.limits
        self.policy = parts.policy
        self.catalog = catalog
        self.ids = ReceiptIds()
        self.loop = asyncio.get_running_loop()
        self.pool = UpstreamPool(parts.limits)
        self.active: set[Call] = set()
        self.calls = 0
        """Calls since the start."""
        self.capture = parts.capture
        self.budgets = parts.budgets
        self.answers = parts.answers
        self.router = parts.router
        self.allowances = parts.allowances
        self.meter = parts.meter
        self.marker = None if parts.prompt_help == "off" else Marker(parts.prompt_help)
        self.prices = parts.prices
        self.changed: Callable[[], None] = _nothing
        """Is called when catalog or prices are others."""
        self._control = control
        self._connections: set[ServerConnection] = set()
        self._breakers: dict[str, breaker.Breaker] = {}
        self._targets: dict[str, Target] = {}
        self._choices: dict[str, Choice | NoSuchModel] = {}
        self._labels: dict[str, bytes] = {}
        self.now_s = self.loop.time()
        """The loop's clock at the last sweep: near enough for time-outs of seconds."""
        self._stored: OrderedDict[str, str] = OrderedDict()
        self._lines: list[bytes] = []
        self._thens: list[Callable[[], None]] = []
        self.fault: CallError | None = None
        """Why no call may be made now: an answer without a receipt is not given."""
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
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
        for call in list(self.active):
            call.client_gone()
        self._write_lines()
        for task in self._tasks:  # a control answer may stream for as long as somebody listens
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.__aexit__()

    def connection(self) -> ServerConnection:
        """A protocol for one accepted client: what `loop.create_server` calls."""
        return ServerConnection(self, self.loop)

    async def drain(self, within_s: float) -> None:
        """Let calls in flight end, and their last bytes leave; returns when all is quiet or time is up."""
        for connection in list(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(within_s):
                while self.active or self._connections:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return

    # -- changes from outside

    def use_catalog(self, catalog: Catalog) -> None:
        """From now on calls choose from this one; calls under way keep theirs."""
        self.catalog = catalog
        self._targets = {}
        self._choices = {}
        self._labels = {}
        self.changed()

    def use_prices(self, prices: Prices) -> None:
        self.prices = prices
        self.changed()

    # -- connection.Requests

    def opened(self, connection: ServerConnection) -> bool:
        self._connections.add(connection)
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
        if facts is None:
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

    def target_of(self, deployment: Deployment) -> Target | CallError:
        """Where to send what a provider's deployment shall answer."""
        target = self._targets.get(deployment.name)
        if target is None:
            provider = self.catalog.providers.get(deployment.provider or "")
            if provider is None:
                return refusals.gone(deployment.name)
            target = self._targets[deployment.name] = provider_target(
                deployment, provider, only_maker=self._is_only_maker(provider)
            )
        if not breaker.allows(self._breakers.get(deployment.name, breaker.CLOSED), self.loop.time()):
            return self._paused(deployment.name)
        return target

    def _is_only_maker(self, provider: Provider) -> bool:
        alike = [p for p in self.catalog.providers.values() if p.dialect == provider.dialect]
        return len(alike) == 1

    def server_target(self, deployment: Deployment, base_url: str) -> Target:
        """Where to send what a server of ours shall answer, which is there now."""
        target = self._targets.get(deployment.name)
        if target is None or target.base_url != base_url:
            target = self._targets[deployment.name] = server_target(deployment, base_url)
        return target

    def choice_of(self, asked: str) -> Choice | NoSuchModel:
        """`routing.choose` over the catalog in force, remembered until that changes."""
        found = self._choices.get(asked)
        if found is None:
            found = choose(self.catalog, asked)
            if len(self._choices) < _CHOICES:
                self._choices[asked] = found
        return found

    def label_of(self, asked: str) -> bytes:
        """What a name stands for, as the cache's keys want it."""
        found = self._labels.get(asked)
        if found is None:
            choice = self.choice_of(asked)
            found = route_label(asked, () if isinstance(choice, NoSuchModel) else choice.candidates)
            if len(self._labels) < _CHOICES:
                self._labels[asked] = found
        return found

    def best_first(self, candidates: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
        """The candidates less those that are paused, unless all are; last those whose limits are nearly
        used up."""
        if len(candidates) == 1:
            return candidates
        if self._breakers:
            now_s = self.loop.time()
            fit = [d for d in candidates if breaker.allows(self._breakers.get(d.name, breaker.CLOSED), now_s)]
            candidates = tuple(fit) or candidates
        allowances = self.allowances
        if allowances is not None:
            candidates = spent_last(allowances, candidates, self.clock.now_ms())
        return candidates

    def barred(self, deployment: Deployment, now_ms: int) -> str:
        """Why a provider's deployment should not be asked now; empty when it may be."""
        found = self._breakers.get(deployment.name)
        if found is not None and not breaker.allows(found, self.loop.time()):
            return f"rests for {found.open_until_s - self.loop.time():.0f} s"
        if self.allowances is not None and deployment.provider:
            spent = self.allowances.exhausting(deployment.provider, now_ms, deployment.model_id)
            return "" if spent is None else spent.text
        return ""

    def place_named(self, name: str) -> Deployment:
        """A deployment by its name, which may be one of a provider that takes any model."""
        found = self.catalog.deployments.get(name)
        if found is None:
            provider, slash, model = name.partition("/")
            found = Deployment(name=name, model_id=model, provider=provider if slash else None)
        return found

    def went_well(self, name: str) -> None:
        if self._breakers:
            self._breakers.pop(name, None)

    def went_wrong(self, name: str, failure: Failure) -> None:
        """Count a failure against a deployment (faults of the request itself are not its fault)."""
        before = self._breakers.get(name, breaker.CLOSED)
        now_s = self.loop.time()
        if failure.status == 429:
            if failure.retry_after_s:
                self._breakers[name] = breaker.after_rate_limit(before, now_s, failure.retry_after_s)
        elif (failure.status == 0 or failure.status >= 500) and breaker.allows(before, now_s):
            self._breakers[name] = breaker.after_failure(before, now_s)

    def price(self, target: Target, model_id: str, usage: Usage, at_ms: int, billed: int | None) -> Cost:
        return self.prices.price(target.price_id, target.deployment.provider, model_id, usage, at_ms, billed)

    def rates(self, target: Target, at_ms: int) -> Rates | None:
        """What tokens cost there; None when nobody knows."""
        deployment = target.deployment
        return self.prices.rates(target.price_id, deployment.provider, deployment.model_id, at_ms)

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
            self._write_lines()
            if then is not None:
                then()
            return
        self._thens.append(then)
        if len(self._thens) == 1:
            self.loop.call_soon(self._write_lines)

    def _write_lines(self) -> None:
        lines, self._lines = self._lines, []
        thens, self._thens = self._thens, []
        try:
            if lines:
                self.ledger.append_lines(lines)
        except Exception as error:
            message = f"receipts cannot be stored, so no calls are taken: {error}"
            self.fault = CallError(kind="overloaded", status=503, code="ledger_unavailable", message=message)
        for then in thens:
            then()

    def remember_stored(self, call: Call, answer_id: str) -> None:
        """A Responses answer may be asked for later by its id: keep where it lies."""
        if call.endpoint.dialect != "responses" or not answer_id or call.target is None:
            return
        self._stored[answer_id] = call.target.deployment.name
        if len(self._stored) > _STORED_IDS:
            self._stored.popitem(last=False)

    def stored_place(self, path: bytes) -> Deployment | None:
        """Where `/v1/responses/ID...` lies: where it was made, else the one provider that keeps responses."""
        if not path.startswith(b"/v1/responses/"):
            return None
        name = self._stored.get(path.split(b"/")[3].decode("latin-1"))
        if name is not None:
            return self.place_named(name)
        keepers = [provider.name for provider in self.catalog.providers.values() if provider.responses]
        if len(keepers) == 1:
            return Deployment(name=keepers[0], model_id="", provider=keepers[0])
        return None

    def keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run the waiting part of a call; awaited when the gateway ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def breaker_states(self) -> Mapping[str, breaker.Breaker]:
        """For the status page."""
        return self._breakers

    # -- inside

    def _paused(self, name: str) -> CallError:
        wait_s = self._breakers[name].open_until_s - self.loop.time()
        return CallError(
            kind="overloaded",
            status=503,
            code="deployment_paused",
            message=f"{name} failed several times in a row or asked for quiet; it rests for {wait_s:.0f} s",
            retry_after_s=max(1.0, wait_s),
        )

    def _sweep(self) -> None:
        now_s = self.now_s = self.loop.time()
        self._sweep_timer = self.loop.call_later(_SWEEP_S, self._sweep)
        for connection in list(self._connections):
            connection.check(now_s)
        heard_s = self.clock.monotonic_s()
        for call in list(self.active):
            if call.heard and call.target is not None:
                call.heard = False
                call.deadline_s = now_s + call.target.timeout_s
                if call.lease is not None:
                    call.lease.heard_s = heard_s
            elif call.deadline_s and now_s > call.deadline_s:
                call.expire()


def _nothing() -> None:
    """Nobody wants to know."""
