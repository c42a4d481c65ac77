"""Calls of the house to itself: under a key and a name of its own, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from freehold.app.own_port import OwnPort, own_host


class Port:
    """Answers every call with the same bytes, and hangs up; without any, it waits until the other side does,
    which may be before its call is whole."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.asked = b""
        self.gone = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.asked = head + await reader.readexactly(length)
            if not self.said:
                await reader.read()
                self.gone.set()
        except asyncio.IncompleteReadError:
            self.gone.set()
        writer.write(self.said)
        writer.close()


@asynccontextmanager
async def port(said: bytes, host: str = "127.0.0.1") -> AsyncIterator[tuple[OwnPort, Port]]:
    opened = Port(said)
    server = await asyncio.start_server(opened.take, host, 0)
    own = OwnPort("freehold-shadow")
    own.host, own.port = host, server.sockets[0].getsockname()[1]
    async with server:
        yield own, opened


async def test_it_asks_as_itself_and_reads_the_answer() -> None:
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Freehold-Receipt: r1\r\n\r\nhi"
    async with port(said) as (own, opened):
        answer = await own.post("/v1/chat/completions", b"{}", {"x-freehold-task": "shadow"}, 10)
    assert (answer.status, answer.body, answer.headers["x-freehold-receipt"]) == (200, b"hi", "r1")
    asked = opened.asked.decode()
    assert asked.startswith("POST /v1/chat/completions HTTP/1.0\r\n")
    assert "x-freehold-agent: freehold-shadow" in asked
    assert "x-freehold-task: shadow" in asked
    key = asked.partition("authorization: Bearer ")[2].partition("\r\n")[0]
    assert own.accepted == {hashlib.sha256(key.encode()).hexdigest(): "freehold-shadow"}


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", b"\r\n\r\n"],
)
async def test_an_answer_that_is_cut_is_none(said: bytes) -> None:
    async with port(said) as (own, _):
        with pytest.raises(ConnectionError):
            await own.post("/v1/x", b"", {}, 10)


async def test_who_gives_up_hangs_up() -> None:
    async with port(b"") as (own, opened):
        with pytest.raises(TimeoutError):
            await own.post("/v1/x", b"", {}, 0.05)
        async with asyncio.timeout(10):
            await opened.gone.wait()


async def test_a_house_on_another_address_is_asked_there() -> None:
    async with port(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "127.0.0.2") as (own, opened):
        assert (await own.post("/v1/x", b"", {}, 10)).body == b"hi"
    assert f"host: 127.0.0.2:{own.port}\r\n".encode() in opened.asked


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:8400", "127.0.0.1"),
        ("0.0.0.0:8400", "127.0.0.1"),
        ("[::]:0", "127.0.0.1"),
        ("localhost:8400", "127.0.0.1"),
        ("192.168.7.7:8400", "192.168.7.7"),
        ("[::1]:8400", "::1"),
    ],
)
def test_where_a_house_reaches_itself(listen: str, host: str) -> None:
    assert own_host(listen) == host
