"""Uploads (multipart): streamed through to the upstream as they come, never held whole.

Only the beginning is held, until the `model` field is found; so files larger than memory pass, and an
upload cannot be tried a second time once its first bytes have left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.gateway import failing
from freehold.gateway.call import Call
from freehold.gateway.connection import ServerConnection
from freehold.gateway.facts import Facts
from freehold.gateway.peek import Peek
from freehold.gateway.prepare import Prepared, client_lines
from freehold.gateway.request import Request
from freehold.gateway.targets import Target
from freehold.gateway.upstream import UpstreamConnection
from freehold.routing.fallback import Failure

if TYPE_CHECKING:
    from freehold.gateway.gateway import Gateway

_MODEL_FIELD = re.compile(
    rb"(?:[^\r\n]+\r\n){0,8}?"
    rb'content-disposition:[^\r\n]*;[ \t]*name="?model"?[ \t]*\r\n'
    rb"(?:[^\r\n]+\r\n){0,8}+\r\n"
    rb"([^\r\n]{1,200})\r\n",
    re.IGNORECASE,
)
"""A part from behind its boundary line to the end of its value; a part has few headers."""


def model_field(start: bytes) -> tuple[str, int, int] | None:
    """The `model` field in the beginning of a multipart body: its value and where it stands.

    A field counts only directly behind a boundary (RFC 2046 §5.1.1), which is the body's first line: what
    a file says about itself is the file's own business.
    """
    first, end, _ = start.removeprefix(b"\r\n").partition(b"\r\n")
    if not end or not first.startswith(b"--"):
        return None
    boundary = first + end
    at = start.find(boundary)
    while at >= 0:
        found = _MODEL_FIELD.match(start, at + len(boundary))
        if found is not None:
            return found[1].decode("utf-8", "replace"), found.start(1), found.end(1)
        at = start.find(b"\r\n" + boundary, at)
        at = at + 2 if at >= 0 else at
    return None


class UploadCall(Call):
    """A call whose body comes in pieces."""

    def __init__(self, gateway: Gateway, conn: ServerConnection, request: Request, facts: Facts) -> None:
        super().__init__(gateway, conn, request, facts)
        self._commitment = gateway.ledger.commitment(self.id, "request")
        self._held = bytearray()
        self._look_at = 0
        """Bytes held at which the model is looked for again."""
        self._span: tuple[str, int, int] | None = None
        self._sending: UpstreamConnection | None = None
        self._waiting = bytearray()
        """Pieces that came before the upstream was there."""
        self._sent = False
        self._done = False
        self._delta = 0

    def start(self) -> None:
        admitted = self.facts.admitted
        if isinstance(admitted, CallError):
            self.refuse(admitted)
            return
        self.key_name = admitted.key_name
        self.gateway.active.add(self)
        fault = self.gateway.fault
        if fault is not None:
            self.refuse(fault)

    def request_commitment(self) -> str:
        return self._commitment.hexdigest()

    # -- the client's pieces

    def body_piece(self, data: bytes) -> None:
        if self.settled:
            return
        self._commitment.update(data)
        self.request_bytes += len(data)
        if self._sent:
            self._forward(data)
            return
        self._held += data
        if len(self._held) < self._look_at:
            return
        self._look_at = len(self._held) * 5 // 4  # not at every piece: pieces may be one byte each
        found = model_field(bytes(self._held))
        if found is not None or len(self._held) > self.gateway.limits.upload_head_bytes:
            self._route(found)

    def body_complete(self) -> None:
        if self.settled:
            return
        if not self._sent:
            self._done = True  # `dispatch` sends the end along, whenever that is
            self._route(model_field(bytes(self._held)))
        elif self._is_chunked():
            self._forward(b"", last=True)

    def _route(self, found: tuple[str, int, int] | None) -> None:
        self._sent = True
        if found is None and self.gateway.catalog.default_provider is None:
            self.refuse(
                CallError(
                    kind="invalid_request",
                    status=400,
                    param="model",
                    message="no 'model' field in the beginning of the form: put it before the file",
                )
            )
            return
        self.seen = Peek(model=found[0] if found is not None else None)
        if self.choose():
            self._span = found
            self.attempt()

    # -- the upstream

    def lease_body(self) -> bytes:
        """Its bytes are never here as a whole: nothing names it but itself."""
        return self.id.encode()

    def send_to(self, target: Target) -> None:
        self.target = target
        if target.anthropic:
            message = (
                f"{target.deployment.name} takes no uploads: its provider speaks Anthropic messages only"
            )
            self.refuse(CallError(kind="unsupported", status=501, message=message))
            return
        prepared = self.prepared = Prepared(body=b"", target=self.request.target, dialect="chat")
        if self.gateway.budgets is None or self.afford(target, prepared):
            self.dispatch()

    def dispatch(self) -> None:
        target = self.target
        assert target is not None
        body = bytes(self._held)
        new = target.deployment.model_id.encode()
        if self._span is not None and self._span[0] != target.deployment.model_id and new:
            _, start, end = self._span
            self._delta = len(new) - (end - start)
            body = body[:start] + new + body[end:]
        self._held = bytearray()
        self._begin_try(target)
        self.gateway.pool.dial(target.origin, self._head(target) + self._framed(body), self)

    def _head(self, target: Target) -> bytes:
        lookup = self.request.lookup
        assert self.prepared is not None
        framing = b"transfer-encoding: chunked"
        if not self._is_chunked():
            framing = b"content-length: %d" % ((self.request.length or 0) + self._delta)
        return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%bcontent-type: %b\r\n%b\r\n\r\n" % (
            self.request.method,
            target.path_of(self.request.target),
            target.origin.authority,
            client_lines(self.request.headers, target, self.prepared, self.facts.lines),
            target.set_headers,
            lookup[b"content-type"],
            framing,
        )

    def connected(self, connection: UpstreamConnection) -> None:
        super().connected(connection)
        self._sending = connection
        if self._waiting:
            connection.write(bytes(self._waiting))
            self._waiting.clear()
        self.conn.resume_reading()

    def completed(self) -> None:
        self._sending = None
        super().completed()

    def failed(self, reason: str) -> None:
        self._sending = None
        super().failed(reason)

    def give_up_on(self, failure: Failure, error: CallError) -> None:
        """An upload is never tried again: its bytes are gone."""
        if not self.settled:
            failing.tell(self, error)

    def writable(self, ready: bool) -> None:
        if ready:
            self.conn.resume_reading()
        else:
            self.conn.pause_reading()

    def _forward(self, data: bytes, *, last: bool = False) -> None:
        framed = (self._framed(data) if data else b"") + (b"0\r\n\r\n" if last else b"")
        if self._sending is not None:
            self._sending.write(framed)
            self.heard = True  # a long upload is no silence of the upstream
            return
        self._waiting += framed
        if len(self._waiting) > self.gateway.limits.upload_head_bytes:
            self.conn.pause_reading()

    def _framed(self, data: bytes) -> bytes:
        if not self._is_chunked():
            return data
        end = b"0\r\n\r\n" if self._done else b""
        return b"%x\r\n%b\r\n" % (len(data), data) + end if data else end

    def _is_chunked(self) -> bool:
        return self.request.length is None

    def body_failed(self, error: CallError) -> None:
        if not self.settled:
            self.drop_upstream()
            self.refuse(error)

    def drop_upstream(self) -> None:
        self._sending = None
        super().drop_upstream()
