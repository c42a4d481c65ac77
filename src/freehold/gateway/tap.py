"""Reading usage out of an answer while it passes. Pure; nothing here changes or holds bytes for long.

Whole answers: one partial parse at the end. Streams: only events that can matter are looked at.
"""

from __future__ import annotations

import msgspec

from freehold.core.catalog import Dialect
from freehold.costs.terms import Terms, terms_of
from freehold.dialects.usage import merge_usage, with_tool_usage
from freehold.gateway.shapes import Choices, Ending, Inner, Outer, Speed

_decode = msgspec.json.Decoder(Outer).decode
_decode_speed = msgspec.json.Decoder(Speed).decode
_decode_inner = msgspec.json.Decoder(Inner).decode
_decode_ending = msgspec.json.Decoder(Ending).decode
_decode_choices = msgspec.json.Decoder(list[Ending]).decode
_decode_word = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NOTHING = (b"", b"null")
"""Raw fields that are absent or null."""
_LAST = frozenset(
    (
        "message_stop",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "error",
    )
)
"""Types of the events that end a Messages or Responses stream."""


_LONGEST_WORD = 40
_NOT_YET = ("in_progress", "queued")
"""A Responses object's `status` while it is made."""


def _finish(dialect: Dialect, outer: Outer) -> str:
    """Why the answer ended, where this part of it says so. What is oddly shaped says nothing."""
    try:
        if dialect == "messages":
            delta = bytes(outer.delta)
            if delta.startswith(b"{"):
                return _decode_ending(delta).stop_reason or ""
            return _word(bytes(outer.stop_reason))
        if dialect == "responses":
            found = outer.response or outer
            details = bytes(found.incomplete_details)
            reason = _decode_ending(details).reason if details.startswith(b"{") else None
            word = reason or _word(bytes(found.status))
            return "" if word in _NOT_YET else word
        choices = bytes(outer.choices)
        if not choices or b'"finish_reason":null' in choices:  # a piece of a stream that goes on
            return ""
        words = [choice.finish_reason for choice in _decode_choices(choices) if choice.finish_reason]
        return words[-1] if words else ""
    except _UNREADABLE:
        return ""


def _word(raw: bytes) -> str:
    return _decode_word(raw) if raw.startswith(b'"') else ""


class Tap:
    """What an answer told about itself: `usage_raw` (the provider's object, as JSON), `model`, `answer_id`,
    why it ended in the upstream's word (`finish`), the text of an `error` inside a stream, whether a stream
    `began` and came to its `terminal` event.

    `whole` is for complete bodies, `event` for the data of one stream event.
    """

    __slots__ = (
        "_dialect",
        "_tier",
        "answer_id",
        "began",
        "error",
        "finish",
        "model",
        "terminal",
        "usage_raw",
    )

    def __init__(self, dialect: Dialect) -> None:
        self._dialect: Dialect = dialect
        self._tier = b""
        self.usage_raw: bytes | None = None
        self.model: str = ""
        self.answer_id: str = ""
        self.error: str = ""
        self.finish: str = ""
        self.began = False
        self.terminal = False

    def terms(self) -> Terms:
        """On which terms it was given, where these are not the standard ones."""
        said = Speed()
        raw = self.usage_raw if self._dialect == "messages" else None
        if raw is not None and (b'"speed"' in raw or b'"inference_geo"' in raw):
            said = _decode_speed(raw)
        tier = self._tier.strip(b'"').decode("utf-8", "replace")
        return terms_of(tier, said.speed, said.inference_geo)

    def whole(self, body: bytes) -> None:
        """Read a complete JSON answer. Anything else tells nothing."""
        self._read(body)

    def event(self, data: bytes) -> None:
        """Read the JSON data of one stream event."""
        self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            self._take(_decode(data), data)
        except _UNREADABLE:  # then it tells nothing; whether it passes is not our question
            return

    def _take(self, outer: Outer, data: bytes) -> None:
        self.began = True
        if outer.type in _LAST:
            self.terminal = True
        if outer.type == "error":
            self.error = data[:500].decode("utf-8", "replace")
        message = bytes(outer.message)
        inner = _decode_inner(message) if message.startswith(b"{") else None
        parts: tuple[Inner | None, ...] = (outer, inner, outer.response)
        for part in parts:
            if part is None:
                continue
            error = bytes(part.error)
            if error not in _NOTHING:
                self.error = error[:500].decode("utf-8", "replace")
            tier = bytes(part.service_tier)
            if tier:
                self._tier = tier
            if part.model:
                self.model = part.model
            if part.id and not self.answer_id:
                self.answer_id = part.id
            raw = bytes(part.usage)
            if raw not in _NOTHING:
                merging = self._dialect == "messages" and self.usage_raw is not None
                self.usage_raw = merge_usage(self.usage_raw, raw) if merging else raw
                tools = bytes(part.tool_usage)
                if tools not in _NOTHING:
                    self.usage_raw = with_tool_usage(raw, tools)
        word = _finish(self._dialect, outer)
        if word:
            self.finish = word[:_LONGEST_WORD]


def is_usage_only(data: bytes) -> bool:
    """Whether a chat event is the usage chunk that ends a stream: no choices, only usage."""
    try:
        found = msgspec.json.decode(data, type=Choices)
    except _UNREADABLE:
        return False
    return not found.choices and bytes(found.usage) not in (b"", b"null")
