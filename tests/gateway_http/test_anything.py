"""Bytes that no one would send on purpose: an answer in order, or the end of the connection; never a fall."""

from __future__ import annotations

import contextlib
import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.talk import PATHS, asking
from tests.wire import ClosedError, request_bytes

WORDS = st.sampled_from(
    [
        b"GET ",
        b"POST ",
        b"/v1/chat/completions",
        b"/v1/models",
        b"/v1/messages",
        b"/health",
        b"/",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b": ",
        b" ",
        b"\t",
        b"\x00",
        b"\xff",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"host: 127.0.0.1\r\n",
        b"content-length: 5\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"expect: 100-continue\r\n",
        b"upgrade: websocket\r\nconnection: upgrade\r\n",
        b"hello",
        b'{"model":"alpha/m99"}',
    ]
)
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def assault(door, data: bytes, cuts: list[int]) -> None:
    """Send in pieces, end the sending side, and read whatever comes: it must be HTTP."""
    with door.wire() as wire:
        at = 0
        for cut in sorted(cut % (len(data) + 1) for cut in cuts):
            wire.send_or_closed(data[at:cut])
            at = cut
        wire.send_or_closed(data[at:])
        with contextlib.suppress(OSError):
            wire.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ClosedError):
            for _ in range(200):
                answer = wire.head()
                assert answer.status != 500
                list(wire.pieces(answer, method="HEAD" if b"HEAD" in data else "GET"))


@QUIET
@given(words=st.lists(WORDS, max_size=25), cuts=st.lists(st.integers(0, 500), max_size=3))
def test_any_words_of_the_protocol_in_any_order(shared_door, words, cuts):
    assault(shared_door, b"".join(words), cuts)
    alive(shared_door)


@QUIET
@given(
    at=st.integers(0, 10_000),
    drop=st.integers(0, 6),
    put=st.one_of(st.binary(max_size=6), WORDS),
    cuts=st.lists(st.integers(0, 500), max_size=3),
)
def test_a_good_request_with_one_thing_wrong(shared_door, at, drop, put, cuts):
    good = request_bytes(PATHS["chat"], asking("chat", "alpha/m98")) + request_bytes("/health")
    at %= len(good)
    assault(shared_door, good[:at] + put + good[at + drop :], cuts)
    alive(shared_door)


def alive(door) -> None:
    with door.wire() as wire:
        assert wire.call("/health").status == 200
    assert "Traceback" not in door.house.log
    ids = [receipt.id for receipt in door.house.receipts()]
    assert len(ids) == len(set(ids))
