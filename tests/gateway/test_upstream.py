"""Answers of an upstream: whatever the pieces, each call hears its own and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway import upstream
from freehold.gateway.limits import Limits
from freehold.gateway.upstream import Origin, UpstreamConnection, UpstreamPool
from tests.gateway.wires import Transport, cut

HERE = Origin("127.0.0.1", 9, False, b"127.0.0.1:9")
ASKED = b"POST /v1/x HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"


class Heard:
    """`upstream.Answer`: what one call heard. `then` runs when it ends."""

    def __init__(self, then: Any = None) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.ends: list[str] = []
        self.told: list[str] = []
        self.connection: UpstreamConnection | None = None
        self.over = asyncio.Event()
        self._then = then

    def connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection

    def began(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        assert not self.status, "an answer begins once"
        assert fields == dict(headers)
        self.status, self.headers = status, headers

    def received(self, data: bytes) -> None:
        assert not self.ends
        self.body += data

    def flush(self) -> None:
        self.told.append("flush")

    def completed(self) -> None:
        self._end("whole")

    def failed(self, reason: str) -> None:
        self._end(reason)

    def writable(self, ready: bool) -> None:
        self.told.append("writable" if ready else "full")

    def _end(self, how: str) -> None:
        self.ends.append(how)
        self.over.set()
        if self._then is not None:
            self._then()


class Pool:
    """As much of `UpstreamPool` as one connection uses."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.idle: list[UpstreamConnection] = []
        self.forgotten = 0
        self.dialled: list[tuple[bytes, Any]] = []

    def put_back(self, connection: UpstreamConnection) -> None:
        self.idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self.forgotten += 1

    def dial(self, origin: Origin, request: bytes, answer: Any) -> None:
        self.dialled.append((request, answer))


class Line:
    """One upstream connection with a call on it."""

    def __init__(self, limits: Limits | None = None, *, then: Any = None, asked: bytes = ASKED) -> None:
        self.pool = Pool(limits)
        self.transport = Transport()
        self.connection = UpstreamConnection(self.pool, HERE)
        self.connection.connection_made(self.transport)
        self.heard = Heard(then)
        self.connection.start(self.heard, asked, reused=False)

    def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            if self.transport.ended is None:
                self.connection.data_received(piece)

    def ends(self, error: Exception | None = None) -> None:
        self.connection.connection_lost(error)


class Said(NamedTuple):
    """An answer as its upstream means it."""

    status: int
    body: bytes
    chunks: tuple[int, ...] | None
    interim: bool

    def written(self) -> bytes:
        interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" if self.interim else b""
        line = b"%bHTTP/1.1 %d Whatever\r\nX-Id: 7\r\n" % (interim, self.status)
        if self.chunks is None:
            return b"%bContent-Length: %d\r\n\r\n%b" % (line, len(self.body), self.body)
        framed, rest = line + b"transfer-encoding: chunked\r\n\r\n", self.body
        for size in self.chunks:
            piece, rest = rest[:size], rest[size:]
            framed += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        framed += b"%x\r\n%b\r\n" % (len(rest), rest) if rest else b""
        return framed + b"0\r\n\r\n"


SAID = st.builds(
    Said,
    status=st.sampled_from([200, 201, 302, 400, 429, 503, 529]),
    body=st.binary(max_size=100),
    chunks=st.none() | st.lists(st.integers(1, 30), max_size=4).map(tuple),
    interim=st.booleans(),
)
CUTS = st.lists(st.integers(0, 2000), max_size=12)


@given(st.lists(SAID, min_size=1, max_size=3), CUTS)
def test_any_pieces_give_the_same_answers(answers, cuts):
    line = Line()
    for number, said in enumerate(answers):
        line.says(*cut(said.written(), cuts))
        heard = line.heard
        assert (heard.status, heard.body, heard.ends) == (said.status, said.body, ["whole"])
        assert (b"x-id", b"7") in heard.headers
        assert line.pool.idle == [line.connection] * (number + 1)
        line.heard = Heard()
        line.connection.start(line.heard, ASKED, reused=True)


@given(SAID, CUTS, st.data())
def test_an_answer_that_breaks_off_is_never_whole(said, cuts, data):
    whole = said.written()
    line = Line()
    line.says(*cut(whole[: data.draw(st.integers(0, len(whole) - 1))], cuts))
    line.ends()
    assert len(line.heard.ends) == 1
    assert "closed the connection before" in line.heard.ends[0]
    assert line.pool.idle == []


@given(st.binary(max_size=80), CUTS)
def test_a_body_without_a_length_ends_with_its_connection(body, cuts):
    line = Line()
    line.says(*cut(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n" + body, cuts))
    assert line.heard.ends == []
    line.ends()
    assert (line.heard.body, line.heard.ends) == (body, ["whole"])
    assert line.pool.idle == []


def test_a_reset_is_no_end_of_a_body():
    line = Line()
    line.says(b"HTTP/1.1 200 OK\r\n\r\nsome")
    line.ends(ConnectionResetError())
    assert line.heard.ends != ["whole"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_only_if_the_upstream_keeps_it(said, kept):
    line = Line()
    line.says(said)
    assert line.heard.ends == ["whole"]
    assert (line.pool.idle == [line.connection], line.transport.ended) == (kept, None if kept else "close")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not valid HTTP"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "switch protocols",
        ),
        (
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(300)) + b"\r\n",
            "too large",
        ),
        (b"HTTP/1.1 200 OK\r\nx-big: " + b"y" * 70_000 + b"\r\n\r\n", "too large"),
        (b"HTTP/1.1 200 OK\r\nx-endless: " + b"y" * 70_000, "too large"),
    ],
    ids=lambda value: repr(value[:60]),
)
def test_what_is_no_clear_answer_is_a_failure_and_ends_the_connection(said, reason):
    line = Line()
    line.says(*cut(said, list(range(0, len(said), 16_000))))
    assert len(line.heard.ends) == 1
    assert reason in line.heard.ends[0]
    assert (line.transport.ended, line.pool.idle) == ("abort", [])


def test_bytes_that_nobody_asked_for_end_the_connection():
    line = Line()
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n")
    assert line.transport.ended == "close"


def test_a_second_answer_in_the_same_packet_is_nobodys():
    """The next call may begin the moment the first is whole: it hears nothing from before its request."""
    following = Heard()
    line: Line

    def ask_again() -> None:
        for connection in line.pool.idle:
            connection.start(following, ASKED, reused=True)

    line = Line(then=ask_again)
    poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" + poison)
    assert line.heard.ends == ["whole"]
    assert (following.status, following.body, following.ends) == (0, b"", [])


def test_the_answer_to_a_head_request_has_no_body_whatever_its_length_says():
    line = Line(asked=b"HEAD /v1/files HTTP/1.1\r\nhost: h\r\n\r\n")
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    assert line.heard.ends == ["whole"]


def test_a_pooled_connection_that_died_of_age_costs_no_failure():
    line = Line()
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    again = Heard()
    line.connection.start(again, b"request", reused=True)
    line.ends()
    assert line.pool.dialled == [(b"request", again)]
    assert again.ends == []


def test_a_new_connection_that_dies_is_a_failure():
    line = Line()
    line.ends()
    assert len(line.heard.ends) == 1
    assert line.pool.dialled == []


def test_after_giving_up_nothing_is_heard_any_more():
    line = Line()
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome")
    line.connection.abandon()
    line.ends()
    assert (line.heard.body, line.heard.ends, line.transport.ended) == (b"some", [], "abort")


def test_each_packet_is_followed_by_one_flush_and_the_end_by_none():
    line = Line()
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nso", b"m", b"e")
    assert line.heard.told == ["flush", "flush"]


def test_a_full_send_buffer_is_told_to_the_call():
    line = Line()
    line.connection.pause_writing()
    line.connection.resume_writing()
    assert line.heard.told == ["full", "writable"]


# -- the pool, on real sockets


def listener(backlog: int) -> tuple[socket.socket, Origin]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    port = sock.getsockname()[1]
    return sock, Origin("127.0.0.1", port, False, b"h")


@contextlib.contextmanager
def closed() -> Any:
    """An origin where nobody listens, and nobody else will meanwhile: its port is taken."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield Origin("127.0.0.1", sock.getsockname()[1], False, b"h")


@contextlib.contextmanager
def black_hole() -> Any:
    """An origin that takes no connection and refuses none: its queue is full."""
    sock, origin = listener(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", origin.port))
    try:
        yield origin
    finally:
        for one in (sock, *waiting):
            one.close()


async def test_a_place_where_nobody_listens_is_said_to_be_closed():
    with closed() as origin:
        async with UpstreamPool(Limits()) as pool:
            heard = Heard()
            pool.send(origin, ASKED, heard)
            await heard.over.wait()
    assert heard.ends[0].startswith(f"cannot connect to 127.0.0.1:{origin.port}:")


async def test_a_place_that_does_not_answer_the_door_is_not_waited_for():
    with black_hole() as origin:
        async with UpstreamPool(Limits(connect_timeout_s=0.05)) as pool:
            heard = Heard()
            pool.send(origin, ASKED, heard)
            await heard.over.wait()
    assert "within 0.05 s" in heard.ends[0]


async def test_a_host_name_that_no_resolver_takes_is_a_failure_like_others():
    async with UpstreamPool(Limits()) as pool:
        heard = Heard()
        pool.send(Origin("x" * 70 + ".example", 80, False, b"h"), ASKED, heard)
        async with asyncio.timeout(5):
            await heard.over.wait()
    assert heard.ends[0].startswith("cannot connect")


async def test_a_second_dial_of_the_same_call_can_be_given_up():
    """A call that dials again from within its failure must still own its new dial."""
    with closed() as nowhere, black_hole() as origin:
        async with UpstreamPool(Limits()) as pool:
            heard = Heard(then=lambda: pool.dial(origin, ASKED, heard))
            pool.dial(nowhere, ASKED, heard)
            await heard.over.wait()
            await asyncio.sleep(0)  # the first dial's task ends
            pool.cancel_dial(heard)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            async with asyncio.timeout(2):
                await asyncio.gather(*others, return_exceptions=True)
    assert len(heard.ends) == 1


async def test_connections_are_used_again_the_youngest_first():
    """One server, two calls at once, then one more: it goes out on a connection that is there."""
    seen: list[int] = []
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        number = len(seen)
        seen.append(0)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while await reader.readuntil(b"\r\n\r\n"):
                seen[number] += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = Origin("127.0.0.1", server.sockets[0].getsockname()[1], False, b"h")
    async with server:
        async with UpstreamPool(Limits()) as pool:
            for calls in (2, 1, 1):
                heard = [Heard() for _ in range(calls)]
                for one in heard:
                    pool.send(origin, ASKED, one)
                await asyncio.gather(*(one.over.wait() for one in heard))
        await asyncio.gather(*(task for task in serving if task is not None))
    assert sorted(seen) == [1, 3]


def test_a_request_that_was_worked_on_is_not_sent_again_in_silence(monkeypatch):
    monkeypatch.setattr(upstream, "_OLD_AGE_S", 0.0, raising=False)
    line, again = Line(), Heard()
    line.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    line.connection.start(again, b"request", reused=True)
    line.ends()
    assert (line.pool.dialled, len(again.ends)) == ([], 1)
