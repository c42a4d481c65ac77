"""Putting one answer on the wire, in the bytes and with the breaks that were asked for."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Sequence

from freehold.testing.standin.behaviour import Behaviour
from freehold.testing.standin.http1 import LAST_CHUNK, GoneError, Inbound, Outbound, chunk_bytes, head_bytes
from freehold.testing.standin.records import Gate, Seen
from freehold.testing.standin.speech import Answer

Gates = Callable[[str], Gate]


class _CutError(Exception):
    """The place where the answer was to break off has come."""


async def answer_on_wire(
    seen: Seen, told: Behaviour, answer: Answer, wire: tuple[Inbound, Outbound], gates: Gates
) -> bool:
    """Write the answer while watching for the client's going; true when the connection lives on.

    Raises GoneError when the client left before the answer was complete.
    """
    inbound, outbound = wire
    writing = asyncio.ensure_future(_write(seen, told, answer, outbound, gates))
    watching = asyncio.ensure_future(_watch(inbound))
    try:
        await asyncio.wait((writing, watching), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            raise GoneError
        writing.result()
        seen.answered.set()
        if told.early:
            outbound.half_close()
            await watching  # what is still coming must be read, or the kernel answers it with a reset
        return _lives_on(seen, told, answer)
    except _CutError:
        seen.answered.set()
        outbound.shut(reset=told.reset)
        return False
    finally:
        for task in (writing, watching):
            task.cancel()
        await asyncio.gather(writing, watching, return_exceptions=True)


async def _watch(inbound: Inbound) -> None:
    """Ends when the client has gone; what it sends meanwhile is kept."""
    try:
        while True:
            await inbound.fill()
    except GoneError:
        return


def _lives_on(seen: Seen, told: Behaviour, answer: Answer) -> bool:
    ends = told.close or told.early or told.raw is not None or _framing(told, answer) == "close"
    return not ends and (seen.header("connection") or "").lower() != "close"


def _framing(told: Behaviour, answer: Answer) -> str:
    if told.framing != "auto":
        return told.framing
    return "chunked" if answer.events is not None else "length"


async def _write(seen: Seen, told: Behaviour, answer: Answer, outbound: Outbound, gates: Gates) -> None:
    if told.hold_head:
        await gates(told.hold_head).passed()
    if told.hang:
        await asyncio.Event().wait()
    if told.delay_head_s:
        await asyncio.sleep(told.delay_head_s)
    if told.cut == "before":
        raise _CutError
    if told.raw is not None:
        await outbound.write(told.raw)
        raise _CutError
    await _write_answer(seen, told, answer, outbound, gates)


async def _write_answer(
    seen: Seen, told: Behaviour, answer: Answer, outbound: Outbound, gates: Gates
) -> None:
    pieces = list(answer.events) if answer.events is not None else [answer.body or b""]
    headers = {"date": "Thu, 01 Jan 2026 00:00:00 GMT", "server": "stand-in"} | dict(answer.headers)
    if told.gzip and "gzip" in (seen.header("accept-encoding") or ""):
        pieces = [gzip.compress(b"".join(pieces), mtime=0)]
        headers["content-encoding"] = "gzip"
    framing = _framing(told, answer)
    if framing == "chunked":
        headers["transfer-encoding"] = "chunked"
    elif framing == "length":
        length = sum(map(len, pieces)) if told.content_length is None else told.content_length
        headers["content-length"] = str(length)
    if told.close or told.early or framing == "close":
        headers["connection"] = "close"
    head = head_bytes(answer.status, headers)
    if told.cut == "head":
        await outbound.write(head[: len(head) // 2])
        raise _CutError
    await outbound.write(head)
    if seen.method != "HEAD":
        await _write_pieces(
            seen, told, pieces, outbound, (framing == "chunked", answer.events is not None, gates)
        )


async def _write_pieces(
    seen: Seen,
    told: Behaviour,
    pieces: Sequence[bytes],
    outbound: Outbound,
    how: tuple[bool, bool, Gates],
) -> None:
    chunked, is_stream, gates = how
    budget = told.cut_after if told.cut == "body" else None
    for count, piece in enumerate(pieces):
        if is_stream and told.cut == "events" and count == told.cut_after:
            raise _CutError
        if is_stream and told.hold_events:
            await gates(told.hold_events).passed()
        if is_stream and told.delay_event_s:
            await asyncio.sleep(told.delay_event_s)
        for part in _slices(piece[:budget], told.slice_bytes):
            await outbound.write(chunk_bytes(part) if chunked else part)
            seen.sent_bytes += len(part)
        if budget is not None and (budget := budget - len(piece)) <= 0:
            raise _CutError
        seen.events_sent += 1
    if told.cut == "done":
        raise _CutError
    if chunked:
        await outbound.write(LAST_CHUNK)


def _slices(data: bytes, size: int) -> list[bytes]:
    if not size:
        return [data] if data else []
    return [data[at : at + size] for at in range(0, len(data), size)]
