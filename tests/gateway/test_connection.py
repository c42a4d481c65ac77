"""Bytes of a client become requests, answers become bytes: whatever the pieces, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.limits import Limits
from tests.gateway.wires import Answerer, Client, cut


class Asked(NamedTuple):
    """A request as its sender means it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[int, ...] | None
    """Sizes of the chunks of the body; None: sent with its length."""

    def written(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: h", *(f"{n}: {v}" for n, v in self.headers)]
        if self.chunks is None:
            lines += [f"Content-Length: {len(self.body)}"] if self.body else []
            return "\r\n".join((*lines, "", "")).encode() + self.body
        head = "\r\n".join((*lines, "Transfer-Encoding: chunked", "", "")).encode()
        framed, rest = b"", self.body
        for size in self.chunks:
            piece, rest = rest[:size], rest[size:]
            framed += b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) if piece else b""
        framed += b"%X\r\n%b\r\n" % (len(rest), rest) if rest else b""
        return head + framed + b"0\r\nTrailer: dropped\r\n\r\n"


ASKED = st.builds(
    Asked,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    target=st.sampled_from(["/", "/v1/chat/completions", "/v1/files?a=b&c=%20", "/health"]),
    headers=st.lists(
        st.tuples(st.sampled_from(["Accept", "X-One", "x-two"]), st.sampled_from(["", "a", "b; c=d"])),
        max_size=3,
    ).map(tuple),
    body=st.binary(max_size=60),
    chunks=st.none() | st.lists(st.integers(1, 20), max_size=4).map(tuple),
)
CUTS = st.lists(st.integers(0, 4000), max_size=12)


def plain(
    path: str = "/one", *lines: str, body: bytes = b"", method: str = "POST", version: str = "1.1"
) -> bytes:
    head = [f"{method} {path} HTTP/{version}", "host: h", *lines]
    if body:
        head.append(f"content-length: {len(body)}")
    return "\r\n".join((*head, "", "")).encode() + body


@given(st.lists(ASKED, min_size=1, max_size=6), CUTS)
def test_any_pieces_give_the_same_requests_in_order(requests, cuts):
    answerer = Answerer()
    client = Client(answerer)
    client.send(*cut(b"".join(one.written() for one in requests), cuts))
    for asked, got in zip(requests, answerer.handled, strict=True):
        assert (got.method.decode(), got.target.decode(), got.body) == (
            asked.method,
            asked.target,
            asked.body,
        )
        assert got.path == got.target.partition(b"?")[0]
        mine = [(name, value) for name, value in got.headers if name not in (b"host", b"transfer-encoding")]
        assert mine == [(name.lower().encode(), value.encode()) for name, value in asked.headers]
        assert got.lookup[b"host"] == b"h"
        assert got.complete
    assert [int(body) for _, body in client.answers] == list(range(len(requests)))
    assert client.transport.ended is None


@given(st.lists(ASKED, min_size=1, max_size=6), CUTS, st.data())
def test_answers_that_take_their_time_stay_in_order(requests, cuts, data):
    """At most one request is in hand; the next begins when its answer is out."""
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    done = 0
    for piece in cut(b"".join(one.written() for one in requests), cuts):
        client.send(piece)
        assert len(answerer.handled) <= done + 1
        while client.connection.current is not None and data.draw(st.booleans()):
            answerer.answer()
            done += 1
    while client.connection.current is not None:
        answerer.answer()
    assert [one.body for one in answerer.handled] == [one.body for one in requests]
    assert [int(body) for _, body in client.answers] == list(range(len(requests)))


UPLOAD = ("content-type: multipart/form-data; boundary=x",)


@given(st.binary(max_size=200), CUTS, st.lists(st.integers(1, 50), max_size=4).map(tuple) | st.none())
def test_an_upload_goes_to_its_handler_in_pieces(body, cuts, chunks):
    answerer = Answerer()
    client = Client(answerer)
    asked = Asked("POST", "/up", (("content-type", "multipart/form-data; boundary=x"),), body, chunks)
    client.send(*cut(asked.written(), cuts))
    (handler,) = answerer.handlers
    assert (handler.body, handler.told) == (body, ["whole"])
    answerer.answer()
    client.send(plain("/next"))
    assert len(client.answers) == 2


def test_an_upload_that_ends_early_closes_the_connection():
    """What is left of a refused body must not be read as the next request."""
    answerer = Answerer()
    client = Client(answerer)
    client.send(plain("/up", *UPLOAD, "content-length: 100") + b"some")
    answerer.answer()
    assert client.transport.half_closed
    assert client.transport.ended is None
    client.send(plain("/smuggled"))
    assert [request.path for request in answerer.handled] == [b"/up"]
    sweep(client, 5.1)
    assert client.transport.ended == "close"


def test_a_body_that_was_refused_is_heard_to_its_end_but_not_without_end():
    """Who still sends would be reset by a close, and never read why."""
    client = Client(Answerer(Limits(body_bytes=100)))
    client.send(plain("/one", "content-length: 1000"))
    assert [status for status, _ in client.answers] == [413]
    assert client.transport.half_closed
    piece = bytes(16 * 1024 * 1024)
    client.send(*[piece] * 15)
    assert client.transport.ended is None
    client.send(piece)
    assert client.transport.ended == "close"


@pytest.mark.parametrize(
    ("request_bytes", "kept"),
    [
        (plain(), True),
        (plain("/one", "connection: keep-alive"), True),
        (plain("/one", "connection: close"), False),
        (plain("/one", "Connection: Close"), False),
        (plain(version="1.0"), False),
        (plain("/one", "connection: keep-alive", version="1.0"), True),
        (plain("/one", "upgrade: websocket", "connection: upgrade"), False),
    ],
)
@pytest.mark.parametrize("before", [[], [plain()]], ids=["first", "second"])
def test_a_connection_is_kept_when_both_sides_want_it(request_bytes, kept, before):
    answerer = Answerer()
    client = Client(answerer)
    client.send(*before, request_bytes)
    assert len(client.answers) == len(before) + 1
    assert client.transport.ended == (None if kept else "close")


def test_the_same_head_again_is_judged_by_its_own_version():
    """Heads that repeat are not judged twice; another version of HTTP is another head."""
    answerer = Answerer()
    client = Client(answerer)
    client.send(plain(), plain(), plain(version="1.0"))
    assert [request.http10 for request in answerer.handled] == [False, False, True]
    assert client.transport.ended == "close"


def test_a_repeated_head_with_a_body_too_large_is_refused_again():
    answerer = Answerer(Limits(body_bytes=10))
    client = Client(answerer)
    client.send(plain(body=b"x" * 10), plain(body=b"x" * 11))
    assert [status for status, _ in client.answers] == [200, 413]


def test_the_answer_to_the_last_request_says_that_the_connection_ends():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain("/one", "connection: close"))
    client.connection.reply(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert bytes(client.transport.written) == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


def test_a_head_request_gets_no_body():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain(method="HEAD"))
    client.connection.reply(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    assert client.transport.written.endswith(b"content-length: 2\r\n\r\n")


def test_an_absolute_target_names_the_host_itself():
    answerer = Answerer()
    Client(answerer).send(plain("http://evil.example/v1/x?y=1"))
    (request,) = answerer.handled
    assert (request.lookup[b"host"], request.target) == (b"evil.example", b"/v1/x?y=1")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (plain("http"), 400),
        (plain("ftp://h/x"), 400),
        (plain("/v1/../admin"), 400),
        (plain("/v1/%2e%2E/admin"), 400),
        (plain("/v1//x"), 400),
        (plain("/one", "host: other"), 400),
        (plain("/one", "transfer-encoding: gzip"), 501),
        (plain("/one", "expect: miracles"), 417),
        (plain("/one", *(f"x-{number}: y" for number in range(200))), 431),
        (plain("/one", "x-big: " + "y" * 70_000), 431),
        (plain("/one?" + "q" * 20_000), 414),
        (plain("/one", "x-folded: a\r\n b"), 400),
        (plain("/one", "content-length: 1", "content-length: 2"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\nhost: h\n\n", 400),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
@pytest.mark.parametrize("before", [b"", plain()], ids=["first", "second"])
def test_what_cannot_be_trusted_is_refused_and_nothing_after_it_begins(request_bytes, status, before):
    answerer = Answerer()
    client = Client(answerer)
    smuggled = plain("/smuggled", *UPLOAD, body=b"--x--\r\n")
    client.send(before + request_bytes + smuggled + plain("/smuggled"))
    assert [request.path for request in answerer.handled] == ([b"/one"] if before else [])
    assert client.answers[-1][0] == status
    assert client.transport.ended == "close"


def test_a_large_body_is_refused_before_it_is_read_and_while_it_is():
    for sent in (
        plain("/one", "content-length: 11"),
        b"",
        plain("/one", "transfer-encoding: chunked") + b"b\r\n12345678901\r\n",
    ):
        answerer = Answerer(Limits(body_bytes=10), rejects=True)
        client = Client(answerer)
        client.send(sent)
        assert [error.status for error in answerer.rejected] == ([413] if sent else [])
        assert answerer.handled == []


def test_a_body_of_tiny_chunks_is_refused():
    """Six bytes on the wire for one of the body cost more than they say."""
    answerer = Answerer(Limits(header_bytes=100))
    client = Client(answerer)
    client.send(plain("/one", "transfer-encoding: chunked"), *[b"1\r\nx\r\n"] * 200)
    assert [status for status, _ in client.answers] == [400]


def test_a_fault_behind_a_request_in_hand_lets_its_answer_out_first():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain("/one"), b"nonsense\r\n\r\n", plain("/two"))
    assert client.transport.ended is None
    answerer.answer()
    assert client.answers[0] == (200, b"0")
    assert client.transport.ended == "close"
    assert len(answerer.handled) == 1


def test_an_upload_that_turns_out_too_large_is_told_to_its_handler():
    answerer = Answerer(Limits(upload_bytes=10))
    client = Client(answerer)
    client.send(plain("/up", *UPLOAD, "content-length: 20") + b"x" * 11)
    assert answerer.handlers[0].told == [413]


def test_a_client_that_pipelines_without_end_is_read_no_further():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    while client.transport.reading:
        client.send(plain())
        assert len(client.answers) == 0
    for _ in range(10):
        answerer.answer()
    assert client.transport.reading
    while client.connection.current is not None:
        answerer.answer()
    assert [int(body) for _, body in client.answers] == list(range(len(answerer.handled)))


def test_100_continue_is_said_once_and_only_to_those_who_wait():
    answerer = Answerer()
    client = Client(answerer)
    client.send(plain("/one", "expect: 100-continue", "content-length: 2"))
    assert bytes(client.transport.written) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert answerer.handled[0].body == b"hi"
    client.send(plain("/two", "content-length: 2"), b"hi")
    assert client.transport.written.count(b"100 Continue") == 1


LIMITS = Limits(header_timeout_s=15, body_timeout_s=30, keep_alive_s=75)


def sweep(client: Client, seconds: float) -> None:
    client.loop.pass_s(seconds)
    client.connection.check(client.loop.time())


@pytest.mark.parametrize(
    ("sent", "patience_s", "status"),
    [
        (b"POST /one HTTP/1.1\r\nhost", 15, 408),
        (plain("/one", "content-length: 9") + b"some", 30, 408),
        (b"", 75, None),
        (plain(), 75, None),
    ],
    ids=["head", "body", "nothing", "after an answer"],
)
def test_nobody_keeps_a_connection_by_waiting(sent, patience_s, status):
    client = Client(Answerer(LIMITS))
    client.send(sent)
    before = len(client.answers)
    sweep(client, patience_s)
    assert client.transport.ended is None
    sweep(client, 0.1)
    assert client.transport.ended == "close"
    assert [one for one, _ in client.answers[before:]] == ([status] if status else [])


def test_a_head_has_one_deadline_and_a_body_may_pause():
    drip = Client(Answerer(LIMITS))
    for sign in b"POST /one HTTP/1.1\r\n"[:16]:
        drip.send(bytes((sign,)))
        sweep(drip, 1)
    assert drip.transport.ended == "close"
    slow = Client(Answerer(LIMITS))
    slow.send(plain("/one", "content-length: 20"))
    for _ in range(20):
        sweep(slow, 20)
        slow.send(b"x")
    assert [status for status, _ in slow.answers] == [200]


def test_a_request_in_hand_is_not_hurried():
    client = Client(Answerer(LIMITS, at_once=False))
    client.send(plain())
    sweep(client, 1000)
    assert client.transport.ended is None


def test_a_client_that_leaves_is_told_to_the_handler_once():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain(), plain())
    client.leave()
    assert [handler.told for handler in answerer.handlers] == [["gone"]]
    assert answerer.connections == 0
    client.connection.write(b"late")
    client.connection.done()
    assert len(answerer.handled) == 1


def test_a_slow_reader_is_told_to_the_handler():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.connection.pause_writing()
    client.send(plain())
    client.connection.pause_writing()
    client.connection.resume_writing()
    assert answerer.handlers[0].told == ["full", "writable"]


def test_a_half_closed_client_gets_its_answer_and_is_felt_for():
    answerer = Answerer(at_once=False)
    client = Client(answerer)
    client.send(plain())
    assert client.connection.eof_received()
    client.loop.pass_s(1)
    probes = answerer.handlers[0].told.count("probe")
    assert probes > 2
    answerer.answer()
    assert client.answers == [(200, b"0")]
    assert client.transport.ended == "close"
    client.leave()
    assert client.loop.waiting == 0


@pytest.mark.parametrize("sent", [b"", plain(), b"POST /o", plain("/one", "content-length: 4") + b"so"])
def test_a_half_closed_client_without_a_request_in_hand_is_gone(sent):
    client = Client(Answerer())
    client.send(sent)
    assert not client.connection.eof_received()


def test_a_client_too_many_is_turned_away():
    answerer = Answerer()
    answerer.room = False
    client = Client(answerer)
    assert [status for status, _ in client.answers] == [503]
    assert client.transport.ended == "close"


def test_draining_lets_the_answer_out_and_closes():
    answerer = Answerer(at_once=False)
    busy, idle = Client(answerer), Client(Answerer())
    busy.send(plain(), plain())
    busy.connection.drain()
    idle.connection.drain()
    assert (busy.transport.ended, idle.transport.ended) == (None, "close")
    answerer.answer()
    assert (busy.transport.ended, len(busy.answers)) == ("close", 1)


def test_an_answer_that_breaks_off_is_seen_to_break_off():
    client = Client(Answerer(at_once=False))
    client.send(plain())
    client.connection.abort()
    assert (client.transport.ended, client.connection.open) == ("abort", False)
