"""Signs of life while a model loads: the client's dialect, before any upstream has spoken.

Chat gets comments, Messages `ping`; a Responses stream is opened with `response.created` and kept
with repeated `response.in_progress`, because Codex's idle timer is reset by real events only.
When to send them is the gateway's business; it counts them for whoever continues the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from freehold.core.catalog import Dialect
from freehold.dialects.sse import event_data
from freehold.dialects.streams.response_object import response_id, response_object
from freehold.dialects.streams.write_chat import KEEPALIVE
from freehold.dialects.streams.write_messages import PING

_Fields = dict[str, msgspec.Raw]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Fields).decode


def opening(
    dialect: Dialect, *, answer_id: str, model: str, created_s: int, echo: Mapping[str, object] = {}
) -> bytes:
    """The first bytes of a stream whose answer is not there yet.

    `answer_id`, `model`, `created_s` and `echo` must be those of the `TranslationContext` that
    continues the stream, if one does: clients refuse a Responses id that changes.
    """
    if dialect == "responses":
        response = response_object(answer_id=answer_id, model=model, created_s=created_s, echo=echo)
        return _response_event("response.created", response, 0)
    return keepalive(dialect, answer_id=answer_id, model=model, created_s=created_s, echo=echo)


def keepalive(
    dialect: Dialect,
    *,
    answer_id: str,
    model: str,
    created_s: int,
    sequence: int = 1,
    echo: Mapping[str, object] = {},
) -> bytes:
    """One more sign of life. `sequence` is the number of Responses events sent before it, so 1
    after `opening`; the other dialects do not number."""
    if dialect == "messages":
        return PING
    if dialect == "chat":
        return KEEPALIVE
    if dialect == "ollama":
        line = {"model": model, "message": {"role": "assistant", "content": ""}, "done": False}
        return _encode(line) + b"\n"
    response = response_object(answer_id=answer_id, model=model, created_s=created_s, echo=echo)
    return _response_event("response.in_progress", response, sequence)


def _response_event(name: str, response: dict[str, object], sequence: int) -> bytes:
    data = _encode({"type": name, "sequence_number": sequence, "response": response})
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


class StreamContinuation(Protocol):
    """What makes an upstream's own stream fit behind an opening of ours."""

    def feed(self, events: Iterable[bytes]) -> bytes:
        """The client's bytes for complete raw events (as `sse.EventSplitter` cuts them)."""
        ...


def after_opening(dialect: Dialect, *, answer_id: str, sequence: int) -> StreamContinuation:
    """The filter for a same-dialect upstream stream that follows our signs of life.

    `sequence` is the number of Responses events already sent. Other dialects pass untouched: chat
    comments and pings open nothing.
    """
    return _ResponsesContinuation(answer_id, sequence) if dialect == "responses" else _Untouched()


class _Untouched:
    def feed(self, events: Iterable[bytes]) -> bytes:
        return b"".join(events)


class _ResponsesContinuation:
    """Drops the second `response.created`, numbers on, and keeps the id that the client knows.

    Only top-level members are touched; everything else keeps its bytes.
    """

    def __init__(self, answer_id: str, sequence: int) -> None:
        self._id = msgspec.Raw(_encode(response_id(answer_id)))
        self._sequence = sequence

    def feed(self, events: Iterable[bytes]) -> bytes:
        return b"".join([self._event(event) for event in events])

    def _event(self, event: bytes) -> bytes:
        try:
            fields = _decode(event_data(event))
            kind: object = msgspec.json.decode(fields.get("type", b'""'))
            response = fields.get("response")
            body = None if response is None else _decode(response)
        except msgspec.DecodeError:
            return event  # a comment, `[DONE]`, or something we do not know
        if kind == "response.created" or not isinstance(kind, str):
            return b""
        if body is not None and "id" in body:
            body["id"] = self._id
            fields["response"] = msgspec.Raw(_encode(body))
        if "sequence_number" in fields:
            fields["sequence_number"] = msgspec.Raw(b"%d" % self._sequence)
            self._sequence += 1
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), _encode(fields))
