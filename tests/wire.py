"""A client of bytes: sends exactly what a test says, reads answers strictly, knows no kindness.

Used where an SDK or HTTP library would tidy up what the test is about.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WAIT_S = 10.0


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    version: str = "HTTP/1.1"
    reason: str = ""
    interim: list[int] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} stands there {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


def request_bytes(
    path: str = "/v1/chat/completions",
    body: bytes | dict | None = None,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    host: str = "127.0.0.1",
) -> bytes:
    """A plain request; `headers` are added and may replace the usual ones (None removes one)."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    usual: dict[str, str | None] = {"host": host}
    if content is not None:
        usual |= {"content-type": "application/json", "content-length": str(len(content))}
    usual |= headers or {}
    lines = [f"{method or ('GET' if content is None else 'POST')} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in usual.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (content or b"")


class ClosedError(Exception):
    """The other side ended the connection before the answer was complete."""


class Wire:
    """One connection. Every read fails after WAIT_S rather than hang."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> float:
        """Returns the moment (monotonic seconds)."""
        self.socket.close()
        return time.monotonic()

    def send(self, data: bytes) -> Wire:
        self.socket.sendall(data)
        return self

    def send_or_closed(self, data: bytes) -> Wire:
        """Send what the other side may refuse to take."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)
        return self

    def call(self, *args: Any, **kwargs: Any) -> Answer:
        """`request_bytes` out, its answer in."""
        self.send(request_bytes(*args, **kwargs))
        return self.answer()

    def answer(self, *, method: str = "POST") -> Answer:
        """One whole answer."""
        answer = self.head()
        answer.body = b"".join(self.pieces(answer, method=method))
        return answer

    def head(self) -> Answer:
        """The answer's head; interim answers (100) are noted and skipped."""
        interim: list[int] = []
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            found = re.fullmatch(r"(HTTP/1\.[01]) (\d\d\d) ?(.*)", lines[0])
            assert found, f"not a status line: {lines[0]!r}"
            headers = [_header(line) for line in lines[1:]]
            if int(found[2]) >= 200:
                return Answer(int(found[2]), headers, version=found[1], reason=found[3], interim=interim)
            interim.append(int(found[2]))

    def pieces(self, answer: Answer, *, method: str = "POST") -> Iterator[bytes]:
        """The body as it comes, framing removed and checked."""
        length, encoding = answer.header("content-length"), answer.header("transfer-encoding")
        assert length is None or encoding is None, "both framings in one answer"
        if method == "HEAD" or answer.status in (204, 304):
            return
        if encoding is not None:
            assert encoding == "chunked"
            while size := int(self._until(b"\r\n"), 16):
                piece = self._exactly(size)
                assert self._exactly(2) == b"\r\n"
                yield piece
            assert self._exactly(2) == b"\r\n"
        elif length is not None:
            left = int(length)
            while left:
                piece = self._some()[:left]
                self._buffer = self._buffer[len(piece) :]
                left -= len(piece)
                yield piece
        else:
            while not self.at_end():
                yield self._some()
                self._buffer = b""

    def events(self, answer: Answer) -> Iterator[bytes]:
        """Server-sent events one by one, each without its blank line."""
        held = b""
        for piece in self.pieces(answer):
            held += piece
            while found := re.search(rb"\r?\n\r?\n", held):
                yield held[: found.start()]
                held = held[found.end() :]
        assert not held, f"the stream ends inside an event: {held!r}"

    def at_end(self) -> bool:
        """True when the other side has closed and nothing is left."""
        if self._buffer:
            return False
        try:
            self._more()
        except ClosedError:
            return True
        return False

    def silent(self, seconds: float) -> bool:
        """Nothing comes and nothing closes for so long. The one wait that cannot be an event."""
        self.socket.settimeout(seconds)
        try:
            return not self._buffer and self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(WAIT_S)

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise ClosedError("reset") from error
        if not data:
            raise ClosedError(f"closed after {self._buffer[:200]!r}")
        self._buffer += data

    def _some(self) -> bytes:
        if not self._buffer:
            self._more()
        return self._buffer

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found


def _header(line: str) -> tuple[str, str]:
    found = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line)
    assert found, f"not a header line: {line!r}"
    return found[1].lower(), found[2]


def free_port() -> int:
    """A loopback port that nobody listens on at this moment, for programs that must be told one. Below those
    that systems give to whoever asks for any, so that no other test is given it before it is used."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
