"""One request as its connection hands it on, and who answers it. No bytes are read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from freehold.core.errors import CallError
from freehold.gateway.limits import Limits

if TYPE_CHECKING:
    from freehold.gateway.connection import ServerConnection


class Head:
    """The head of a request less its length, kept by its connection: clients repeat their headers, and what
    was judged about them once need not be judged again. `facts` is what the gateway remembers of it."""

    __slots__ = ("facts", "headers", "lookup", "method", "path", "target", "url")

    def __init__(self, request: Request, url: bytes) -> None:
        self.url = url
        self.method = request.method
        self.headers = request.headers
        self.lookup = request.lookup
        self.target = request.target
        self.path = request.path
        self.facts: Any = None


class Request:
    """One request. Header names are lower case, and `content-length` is in `length` instead; `body` is whole
    unless a handler took it in pieces."""

    __slots__ = (
        "body",
        "chunks",
        "complete",
        "head",
        "headers",
        "http10",
        "keep_alive",
        "length",
        "lookup",
        "method",
        "path",
        "target",
    )

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        """Path and query as the client wrote them."""
        self.path = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.lookup: dict[bytes, bytes] = {}
        self.length: int | None = None
        self.chunks: list[bytes] = []
        self.body = b""
        self.complete = False
        self.keep_alive = True
        self.http10 = False
        self.head: Head | None = None


class Handler(Protocol):
    """Who answers a request: told when the client leaves, or reads too slowly, or sends more body."""

    def client_gone(self) -> None: ...
    def client_writable(self, ready: bool) -> None: ...
    def body_piece(self, data: bytes) -> None: ...
    def body_complete(self) -> None: ...
    def body_failed(self, error: CallError) -> None: ...
    def probe(self) -> None:
        """The client closed its sending side: write something harmless if possible, so that a
        vanished client shows itself by a reset."""
        ...


class Requests(Protocol):
    """The gateway as a connection sees it."""

    limits: Limits

    def reject(self, connection: ServerConnection, request: Request, error: CallError) -> bool:
        """Refuse a request whose head is sound but whose body is not; False when it is no model call."""
        ...

    def opened(self, connection: ServerConnection) -> bool: ...
    def closed(self, connection: ServerConnection) -> None: ...
    def wants_stream(self, request: Request) -> bool:
        """Whether this request's body goes to its handler in pieces."""
        ...

    def handle(self, connection: ServerConnection, request: Request) -> Handler | None:
        """Answer now (None) or later (a handler)."""
        ...
