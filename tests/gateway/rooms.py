"""A gateway with every other room played by a test: upstreams that answer when told to, servers that get
ready when told to, a ledger that is a list."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from freehold.core.catalog import Catalog, Deployment, Provider
from freehold.core.servers import (
    Lease,
    LeaseAsk,
    LeaseRefusal,
    ServerLoad,
    ServerSpec,
    ServerState,
    ServerView,
)
from freehold.costs.book import PriceBook
from freehold.gateway.access import Access
from freehold.gateway.gateway import Gateway, Parts
from freehold.gateway.limits import Limits
from freehold.gateway.upstream import Answer, Origin
from freehold.receipts.entries import Receipt, decode_receipt, encode_receipt
from freehold.routing.fallback import Policy
from freehold.supervisor.slots import Slots
from tests.gateway.wires import Transport

NOW_MS = 1_790_000_000_000


class Clock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_s(self) -> float:
        return 0.0


class ListLedger:
    """Receipts as a list; `broken` makes the disk full."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.broken = False

    def line(self, receipt: Receipt) -> bytes:
        return encode_receipt(receipt)

    def append_lines(self, lines: Sequence[bytes]) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.receipts += [decode_receipt(line) for line in lines]

    def commitment(self, receipt_id: str, part: str = "request") -> Any:
        return hashlib.sha256(f"{receipt_id}/{part}".encode())


class Servers:
    """Model servers that change when a test says so, behind the port `ModelServers`. Their slots are real.

    `become` tells those who wait at once, so that a test needs no turn of the loop.
    """

    def __init__(self, *names: str, slots: int = 100) -> None:
        self.states = dict.fromkeys(names, ServerState.STOPPED)
        self.slots = {name: Slots(ServerSpec(name=name, slots=slots, max_queue=8)) for name in names}
        self.asked: list[str] = []
        """Servers that were asked to run, because a call waits."""
        self.released: list[tuple[str, bool]] = []
        """Calls whose slot was given back, and whether their server failed them."""
        self.load_s: float | None = None
        self.blocked: set[bytes] = set()
        """Bodies in quarantine."""
        self.now_s = 0.0
        self._watching: list[tuple[str, Callable[[ServerView], None]]] = []

    def view(self, name: str) -> ServerView:
        state = self.states[name]
        url = "http://127.0.0.1:7" if state is ServerState.READY else None
        return ServerView(name=name, engine="e", model="m", model_id=name, state=state, base_url=url)

    def views(self) -> list[ServerView]:
        return [self.view(name) for name in self.states]

    def load(self, name: str) -> ServerLoad:
        return self.slots[name].load(self.now_s)

    def lease(self, name: str, ask: LeaseAsk) -> Lease | LeaseRefusal | None:
        if (refusal := self._refusal(name, ask)) is not None:
            return refusal
        url = self.view(name).base_url
        return None if url is None else self.slots[name].take(url, ask, self.now_s)

    def wait(
        self, name: str, ask: LeaseAsk, callback: Callable[[Lease | LeaseRefusal], None]
    ) -> Callable[[], None]:
        refusal = self._refusal(name, ask)
        waiter = refusal or self.slots[name].join(ask, callback, self.now_s)
        if isinstance(waiter, LeaseRefusal):
            return asyncio.get_running_loop().call_soon(callback, waiter).cancel
        if self.states[name] is not ServerState.READY:
            self.asked.append(name)
        asyncio.get_running_loop().call_soon(self.grant, name)
        return lambda: self.slots[name].leave(waiter)

    def release(self, lease: Lease, *, failed: bool = False) -> None:
        assert lease in self.slots[lease.server].in_flight, "given back twice"
        self.released.append((lease.call_id, failed))
        self.slots[lease.server].give_back(lease, self.now_s)
        asyncio.get_running_loop().call_soon(self.grant, lease.server)

    def estimated_wait_s(self, name: str) -> float | None:
        if self.states[name] is not ServerState.READY:
            return self.load_s
        return self.slots[name].estimated_wait_s(self.now_s)

    def ensure_started(self, name: str) -> None:
        self.asked.append(self.view(name).name)

    def when_ready(self, name: str, callback: Callable[[ServerView], None]) -> Callable[[], None]:
        entry = (name, callback)
        self._watching.append(entry)
        return lambda: self._watching.remove(entry) if entry in self._watching else None

    # -- what tests do and see

    def become(self, state: ServerState) -> None:
        """Every server is in this state from now on; who waited is told."""
        for name in self.states:
            self.one_becomes(name, state)

    def one_becomes(self, name: str, state: ServerState) -> None:
        self.states[name] = state
        self.grant(name)
        if (refusal := self._refusal(name, None)) is not None:
            for callback, answer in self.slots[name].refuse_all(refusal):
                callback(answer)
        watching = [entry for entry in self._watching if entry[0] == name]
        for entry in watching:
            self._watching.remove(entry)
            entry[1](self.view(name))

    def pass_s(self, seconds: float) -> None:
        """Let time pass; who has waited for too long is told."""
        self.now_s += seconds
        for slots in self.slots.values():
            for callback, refusal in slots.overdue(self.now_s):
                callback(refusal)

    def grant(self, name: str) -> None:
        url = self.view(name).base_url
        if url is not None:
            for callback, lease in self.slots[name].grant(url, self.now_s):
                callback(lease)

    def limit(self, slots: int, **spec: Any) -> None:
        """So many slots for every server from now on."""
        for name in self.slots:
            self.slots[name].use(ServerSpec(name=name, slots=slots, **spec))

    @property
    def waiting(self) -> int:
        return sum(slots.load(self.now_s).queued for slots in self.slots.values())

    @property
    def in_flight(self) -> list[Lease]:
        return [lease for slots in self.slots.values() for lease in slots.in_flight]

    def _refusal(self, name: str, ask: LeaseAsk | None) -> LeaseRefusal | None:
        if ask is not None and ask.body in self.blocked:
            return LeaseRefusal(code="quarantined", message="two servers died under this request")
        if self.states[name] is ServerState.FAILED:
            return LeaseRefusal(code="failed", message=f"model server '{name}' has failed: see its log")
        return None


class Sent:
    """A request on its way to an upstream: what the test, as that upstream, does with it."""

    def __init__(self, origin: Origin, request: bytes, answer: Answer) -> None:
        self.origin = origin
        head, _, self.body = request.partition(b"\r\n\r\n")
        self.head = head.split(b"\r\n")
        self.answer = self.owner = answer
        self.stage = "dialling"
        self.paused = False

    @property
    def over(self) -> bool:
        return self.stage in ("over", "abandoned")

    def connect(self) -> None:
        self.stage = "connected"
        self.answer.connected(self)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.stage = "body"
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.answer.began(status, lines, dict(lines))

    def say(self, data: bytes) -> None:
        self.answer.received(data)

    def flush(self) -> None:
        self.answer.flush()

    def complete(self) -> None:
        self.stage = "over"
        self.answer.completed()

    def fail(self, reason: str = "the upstream closed the connection before its answer was whole") -> None:
        self.stage = "over"
        self.answer.failed(reason)

    # -- as `UpstreamConnection` is seen by its call

    def abandon(self) -> None:
        assert not self.over, "what is over cannot be given up"
        self.stage = "abandoned"

    def hand_over(self, answer: Answer) -> None:
        self.answer = answer

    def write(self, data: bytes) -> None:
        self.body += data

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Upstreams:
    """`UpstreamPool`: keeps what is sent until the test answers."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    async def __aenter__(self) -> Upstreams:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    def send(self, origin: Origin, request: bytes, answer: Answer) -> None:
        self.sent.append(Sent(origin, request, answer))

    dial = send

    def cancel_dial(self, answer: Answer) -> None:
        for sent in self.sent:
            if sent.owner is answer and sent.stage == "dialling":
                sent.stage = "abandoned"

    def follow_dial(self, before: Answer, after: Answer) -> None:
        for sent in self.sent:
            if sent.owner is before:
                sent.owner = after

    @property
    def open(self) -> list[Sent]:
        return [sent for sent in self.sent if not sent.over]


async def no_control(*_: object) -> None:
    raise AssertionError("no control application here")


CATALOG = Catalog(
    providers={
        "alpha": Provider(name="alpha", dialect="openai", base_url="http://alpha/v1", api_key="sk-alpha"),
        "beta": Provider(name="beta", dialect="openai", base_url="http://beta/v1"),
        "claude": Provider(name="claude", dialect="anthropic", base_url="http://claude"),
    },
    deployments={
        "alpha/m": Deployment(name="alpha/m", model_id="m", provider="alpha"),
        "beta/m": Deployment(name="beta/m", model_id="m", provider="beta"),
        "claude/m": Deployment(name="claude/m", model_id="m", provider="claude"),
        "local": Deployment(name="local", model_id="local", server="local"),
    },
    aliases={
        "two": ("alpha/m", "beta/m"),
        "local-first": ("local", "beta/m"),
        "foreign": ("claude/m", "beta/m"),
    },
    default_provider="alpha",
)


class House:
    """A gateway between a client that is a `Transport` and `Upstreams`. Lives in `async with`."""

    def __init__(
        self, *, limits: Limits | None = None, policy: Policy | None = None, control: Any = None
    ) -> None:
        self.ledger = ListLedger()
        self.servers = Servers("local")
        self.upstreams = Upstreams()
        self.parts = Parts(
            ledger=self.ledger,
            prices=PriceBook.empty(),
            servers=self.servers,
            clock=Clock(),
            access=Access.of({}, "127.0.0.1", 8400),
            limits=limits or Limits(),
            policy=policy or Policy(backoff_s=0.0),
        )
        self.gateway = Gateway(self.parts, CATALOG, control or no_control)
        self.gateway.pool = self.upstreams
        self.transport = Transport()
        self.connection = self.gateway.connection()
        self.gone = False

    async def __aenter__(self) -> House:
        await self.gateway.__aenter__()
        self.connection.connection_made(self.transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.__aexit__()
        if not self.gone:
            self.leave()

    def ask(
        self, path: str, body: Mapping[str, Any] | None = None, method: str = "POST", **headers: str
    ) -> None:
        sent = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(sent)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.connection.data_received("\r\n".join((*lines, "", "")).encode() + sent)

    def leave(self) -> None:
        self.gone = True
        self.transport.ended = self.transport.ended or "abort"
        self.connection.connection_lost(None)

    @property
    def written(self) -> bytes:
        return bytes(self.transport.written)

    @property
    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The whole answer so far: status, headers, body without its framing."""
        head, _, body = self.written.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        if "chunked" in headers.get("transfer-encoding", ""):
            body = unchunked(body)
        return int(lines[0].split()[1]), headers, body


def unchunked(framed: bytes) -> bytes:
    """The body inside chunks. Fails unless the last one is there and nothing follows."""
    body = b""
    while True:
        size, found, framed = framed.partition(b"\r\n")
        assert found, "the last chunk is missing"
        length = int(size, 16)
        body, end, framed = body + framed[:length], framed[length : length + 2], framed[length + 2 :]
        assert end == b"\r\n"
        if not length:
            assert not framed, "something stands behind the last chunk"
            return body
