"""Asking a server how it is: every way to answer, and not to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from freehold.supervisor.liveness import Health
from freehold.supervisor.probe import error_words, post, probe, probe_deep
from freehold.testing.standin import refused_port

BOUND_S = 10.0
Serve = Callable[[bytes | None], "asyncio.Future[str]"]


@asynccontextmanager
async def serving(answer: bytes | None) -> AsyncIterator[str]:
    """A server that answers every request so; None: not at all, until it is over."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Health.READY),
        (b"HTTP/1.1 503 Loading\r\n\r\n", Health.LOADING),
        (b"HTTP/1.1 500 No\r\n\r\n", Health.ERROR),
        (b"HTTP/1.1 404\r\n\r\n", Health.ERROR),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Health.ERROR),
        (b"HTTP/1.1 abc\r\n\r\n", Health.ERROR),
        (b"x" * 200_000, Health.ERROR),
        (b"", Health.SILENT),
        (None, Health.SILENT),
    ],
)
async def test_what_an_answer_says_of_health(answer: bytes | None, health: Health) -> None:
    async with serving(answer) as url:
        assert await probe(url, "/health", 0.2 if answer is None else BOUND_S) is health


async def test_a_port_where_nobody_listens_refuses() -> None:
    with refused_port() as port:
        url = f"http://127.0.0.1:{port}"
        assert await probe(url, "/health", BOUND_S) is Health.REFUSED
        assert await probe_deep(url, "/one", b"{}", BOUND_S) is Health.NO_TOKENS


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (200, Health.READY),
        (400, Health.UNABLE),
        (501, Health.UNABLE),
        (500, Health.BROKEN),
        (503, Health.BROKEN),
    ],
)
async def test_what_an_answer_to_a_generation_says(status: int, health: Health) -> None:
    async with serving(b"HTTP/1.1 %d X\r\ncontent-type: a\r\n\r\n{}" % status) as url:
        assert await probe_deep(url, "/one", b"{}", BOUND_S) is health


async def test_one_that_takes_the_request_and_says_nothing_generates_nothing() -> None:
    async with serving(None) as url:
        assert await probe_deep(url, "/one", b"{}", 0.05) is Health.NO_TOKENS
        assert await post(url, "/one", b"{}", 0.05) == (None, b"it did not answer in time")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"error": "no such model"}', "no such model"),
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b"plain text", "plain text"),
        (b"[1]", "[1]"),
        (b"", "it did not say why"),
        (b"\xff" * 1000, "�" * 300),
    ],
)
def test_the_reason_in_an_answer(answer: bytes, words: str) -> None:
    assert error_words(answer) == words
