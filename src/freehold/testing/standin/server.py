"""The stand-in itself: a listening socket, one event loop in a thread of its own, one task per connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import deque
from collections.abc import Generator, Sequence
from typing import Self

from freehold.testing.standin.behaviour import Behaviour, behaviour_from_header
from freehold.testing.standin.exchange import answer_on_wire
from freehold.testing.standin.http1 import GoneError, Head, Inbound, Outbound
from freehold.testing.standin.records import WAIT_S, Book, Gate, Seen
from freehold.testing.standin.speech import Answer, Asked, answer_to, error_answer

LOADING = Behaviour(
    status=503, body=b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
)


@contextlib.contextmanager
def refused_port() -> Generator[int]:
    """A loopback port where every connection is refused, and that nobody else can take meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


class Standin:
    """A model server on `http://127.0.0.1:PORT`. Use it as a context manager.

    What a request gets is decided in this order: its `x-standin` header; the next scripted behaviour
    (POST only, so that probes do not eat the script); `by_model`; `default`.
    """

    def __init__(self, models: Sequence[str] = ("small", "large"), *, api_key: str | None = None) -> None:
        self.models = tuple(models)
        self.api_key = api_key
        self.default = Behaviour()
        self.by_model: dict[str, Behaviour] = {}
        self.loading = False
        """While true, everything is answered 503 as llama.cpp's server does."""
        self.book = Book()
        self.connections = 0
        self.most_at_once = 0
        """POST requests that were being answered at the same time, at most, since the last `reset`."""
        self._busy = 0
        self.port = 0
        self._script: deque[Behaviour] = deque()
        self._gates: dict[str, Gate] = {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._refusing: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    @property
    def url(self) -> str:
        """Without `/v1`: what an Anthropic base_url wants; OpenAI ones add `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *behaviours: Behaviour) -> None:
        """The next POST requests get these, one each, in order."""
        self._script.extend(behaviours)

    def gate(self, name: str) -> Gate:
        """The gate of that name, made when first named."""
        return self._gates.setdefault(name, Gate(self._loop))

    def wait_for(self, count: int, timeout_s: float = WAIT_S) -> list[Seen]:
        """At least `count` requests since the last `reset`. Raises TimeoutError."""
        return self.book.wait_for(count, timeout_s)

    @property
    def seen(self) -> list[Seen]:
        return self.book.all()

    def reset(self) -> None:
        """Forget scripts, requests and gates (those waiting are let go); behave well again."""
        self._script.clear()
        for gate in self._gates.values():
            gate.open()
        self._gates.clear()
        self.by_model.clear()
        self.default = Behaviour()
        self.loading = False
        self.most_at_once = 0
        self.book.clear()

    def refuse(self) -> None:
        """Drop all connections and refuse new ones until `accept` is called."""
        self._run(self._refuse())

    def accept(self) -> None:
        if self._refusing is not None:
            self._refusing.close()
            self._refusing = None
            self._run(self._listen())

    def _run(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        await self._close()
        self._refusing = socket.socket()
        self._refusing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._refusing.bind(("127.0.0.1", self.port))

    async def _close(self) -> None:
        if self._refusing is not None:
            self._refusing.close()
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections = self.connections + 1
        inbound, outbound = Inbound(reader), Outbound(writer)
        try:
            while await self._exchange(inbound, outbound, number):
                pass
        except (GoneError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            outbound.shut()

    async def _exchange(self, inbound: Inbound, outbound: Outbound, connection: int) -> bool:
        """One request and its answer; true when the connection may carry another."""
        head = await inbound.head()
        seen = Seen(head.method, head.target, head.headers, connection)
        self.book.add(seen)
        told = self._told_by_head(head)
        try:
            if not (told and told.early):
                await self._read_body(inbound, outbound, head, seen, told or self.default)
            told = told or self.by_model.get(str(seen.json().get("model")), self.default)
            answer = self._answer(head, seen, told)
            with self._counted(head):
                return await answer_on_wire(seen, told, answer, (inbound, outbound), self.gate)
        except GoneError:
            seen.note_cancelled()
            raise

    @contextlib.contextmanager
    def _counted(self, head: Head) -> Generator[None]:
        calls = head.method == "POST"
        self._busy += calls
        self.most_at_once = max(self.most_at_once, self._busy)
        try:
            yield
        finally:
            self._busy -= calls

    def _told_by_head(self, head: Head) -> Behaviour | None:
        if self.loading:
            return LOADING
        if named := head.get("x-standin"):
            return behaviour_from_header(named)
        if head.method == "POST" and self._script:
            return self._script.popleft()
        return None

    async def _read_body(
        self, inbound: Inbound, outbound: Outbound, head: Head, seen: Seen, told: Behaviour
    ) -> None:
        if told.hold_body:
            await self.gate(told.hold_body).passed()
        if head.get("expect").lower() == "100-continue":
            await outbound.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        pieces: list[bytes] = []

        def took(piece: bytes) -> None:
            pieces.append(piece)
            seen.received_bytes += len(piece)
            seen.body_started.set()

        await inbound.body(head, took)
        seen.body = b"".join(pieces)
        seen.complete.set()

    def _answer(self, head: Head, seen: Seen, told: Behaviour) -> Answer:
        asked = Asked(
            method=seen.method,
            path=seen.path,
            body=seen.body,
            number=len(self.book.all()),
            models=self.models,
            anthropic=bool(head.get("anthropic-version")),
        )
        given = (head.get("authorization").removeprefix("Bearer "), head.get("x-api-key"))
        if self.api_key is not None and self.api_key not in given:
            return error_answer(asked, 401, "Incorrect API key provided.")
        return answer_to(asked, told)
