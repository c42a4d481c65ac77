"""The control application on a connection of ours: framing, ends, and faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.gateway.rooms import House

Send = Callable[[dict[str, Any]], Awaitable[None]]


def telling(*bodies: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Any:
    """An application that answers with these pieces; the last one ends the answer."""

    async def app(scope: Any, receive: Any, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies) - 1})

    return app


async def told(app: Any, method: str = "GET", version: str = "1.1", *lines: str) -> House:
    async with House(control=app) as house:
        head = (f"{method} /api/v1/x?a=b%20c HTTP/{version}", "host: localhost", *lines, "", "")
        house.connection.data_received("\r\n".join(head).encode())
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
    return house


async def test_a_whole_answer_gets_its_length():
    house = await told(telling(b"hello"))
    assert house.written == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def test_pieces_are_sent_in_chunks():
    house = await told(telling(b"he", b"", b"llo", b""))
    status, headers, body = house.answer
    assert (status, headers, body) == (200, {"transfer-encoding": "chunked"}, b"hello")


async def test_an_old_client_gets_pieces_until_the_connection_closes():
    house = await told(telling(b"he", b"llo", b""), "GET", "1.0", "connection: keep-alive")
    assert house.written == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
    assert house.transport.ended == "close"


async def test_a_length_that_the_application_says_is_kept():
    house = await told(telling(b"he", b"llo", headers=((b"Content-Length", b"5"),)))
    assert house.written == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@pytest.mark.parametrize("bodies", [(b"hello",), (b"he", b"llo", b"")])
async def test_head_gets_no_body_and_no_chunk(bodies):
    house = await told(telling(*bodies), "HEAD")
    assert house.written.endswith(b"\r\n\r\n")
    assert house.written.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_what_has_no_body_by_definition_has_no_length(status):
    house = await told(telling(b"", status=status))
    assert b"length" not in house.written
    assert b"transfer-encoding" not in house.written


async def test_the_connection_goes_on_after_an_answer_and_ends_when_asked():
    assert (await told(telling(b"x"))).transport.ended == "abort", "only the end of the house ended it"
    closing = await told(telling(b"x"), "GET", "1.1", "connection: close")
    assert closing.transport.ended == "close"
    assert b"connection: close" in closing.written


async def test_the_application_sees_the_request():
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Send) -> None:
        seen.update(scope, body=(await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with House(control=app) as house:
        house.ask("/api/v1/a%20b?x=1&y=%2F", {"k": "v"}, method="PATCH", x_one="1")
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("PATCH", "/api/v1/a b", b"/api/v1/a%20b")
    assert (seen["query_string"], seen["body"]) == (b"x=1&y=%2F", b'{"k": "v"}')
    assert (b"x-one", b"1") in seen["headers"]
    assert house.ledger.receipts == []


async def fails_at_once(scope: Any, receive: Any, send: Send) -> None:
    raise RuntimeError("secret detail")


async def says_nothing(scope: Any, receive: Any, send: Send) -> None:
    await receive()


async def fails_later(scope: Any, receive: Any, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("secret detail")


@pytest.fixture
async def logged() -> list[Any]:
    """What came to the loop's exception handler."""
    contexts: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context["exception"]))
    return contexts


@pytest.mark.parametrize(("app", "faults"), [(fails_at_once, 1), (says_nothing, 0)])
async def test_an_application_that_does_not_answer_is_a_500(app, faults, logged):
    house = await told(app)
    assert house.answer[0] == 500
    assert b"secret" not in house.written
    assert house.transport.ended == "close"
    assert len(logged) == faults


async def test_an_application_that_fails_in_the_middle_breaks_off_visibly(logged):
    house = await told(fails_later)
    assert house.transport.ended == "abort"
    assert [str(error) for error in logged] == ["secret detail"]


async def test_a_reader_who_leaves_ends_the_application():
    started, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with House(control=app) as house:
        house.ask("/api/v1/events", method="GET")
        await started.wait()
        house.leave()
        await ended.wait()


async def test_a_slow_reader_holds_the_application():
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent.append(number)

    async with House(control=app) as house:
        house.ask("/api/v1/events", method="GET")
        house.connection.pause_writing()
        for _ in range(5):
            await asyncio.sleep(0)
        assert sent == []
        house.connection.resume_writing()
        for _ in range(5):
            await asyncio.sleep(0)
        assert sent == [0, 1, 2]
