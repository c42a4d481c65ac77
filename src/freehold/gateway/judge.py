"""Holds the answer of a cheap place back until it is seen to be good enough, or must not wait any longer.

A stream is held until its first words are there, or until its end when it only calls tools; for a few
seconds at most; when it is to be checked, until its end in any case. What is seen is judged by
`routing.escalate`.
"""

from __future__ import annotations

import re
import time

import msgspec

from freehold.core.catalog import Dialect
from freehold.dialects.context import TranslationContext, TranslationError
from freehold.dialects.conversation import Answer
from freehold.routing.escalate import AnswerSigns, insufficient, signs_of
from freehold.routing.reading import read_wanted

HOLD_NS = 5_000_000_000
"""So long a stream is held after its first byte."""
_ENOUGH = 60
"""Characters of text: whoever refuses has said so by then."""
_MOST_BYTES = 1024 * 1024
_SAID: dict[Dialect, re.Pattern[bytes]] = {
    "chat": re.compile(rb'"content"\s*:\s*("(?:[^"\\]|\\.)+")'),
    "messages": re.compile(rb'"text_delta"\s*,\s*"text"\s*:\s*("(?:[^"\\]|\\.)+")'),
    "responses": re.compile(rb'"response\.output_text\.delta".*?"delta"\s*:\s*("(?:[^"\\]|\\.)+")'),
}
_LAST: dict[Dialect, tuple[bytes, ...]] = {
    "chat": (b"[DONE]",),
    "messages": (b'"message_stop"',),
    "responses": (b'"response.completed"', b'"response.incomplete"'),
}
_LONGEST_MARK = 64
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TranslationError)


class Judge:
    """`request` is the client's body, `dialect` the upstream's. `holds`: all of the answer is wanted before
    anything of it is passed on."""

    __slots__ = (
        "_body", "_context", "_dialect", "_request", "_since_ns",
        "answer", "ended", "holds", "over", "pieces", "streamed",
    )  # fmt: skip

    def __init__(
        self,
        request: bytes,
        dialect: Dialect,
        context: TranslationContext | None,
        *,
        streamed: bool,
        holds: bool = False,
    ) -> None:
        self._request = request
        self._dialect: Dialect = dialect
        self._context = context
        self.streamed = streamed
        self.holds = holds
        self.pieces: list[bytes] = []
        """What was held, as it came."""
        self.answer: Answer | None = None
        """The whole answer, once `whole` could read it."""
        self._body = bytearray()
        self._since_ns = time.perf_counter_ns()
        self.over = False
        """The answer need not be held any longer."""
        self.ended = False
        """The last event of a stream has come."""

    @property
    def body(self) -> bytes:
        """What came so far, as it came."""
        return bytes(self._body)

    def feed(self, data: bytes) -> str:
        """A piece of the upstream's body; why the answer is not good enough, once that shows."""
        self._body += data
        if self.holds:
            self.pieces.append(data)
        if not self.streamed:
            self.over = len(self._body) > _MOST_BYTES
            return ""
        if not self.ended and self._body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
            tail = self._body[-(len(data) + _LONGEST_MARK) :]  # an event may come in pieces
            self.ended = any(mark in tail for mark in _LAST[self._dialect])
        if self.holds:
            self.over = len(self._body) > _MOST_BYTES
            return ""
        if self.ended:
            return self.whole()
        text = self._text()
        late = time.perf_counter_ns() - self._since_ns > HOLD_NS
        if len(text) < _ENOUGH and not late and len(self._body) < _MOST_BYTES:
            return ""
        self.over = True
        return insufficient(AnswerSigns(text=text, whole=False)) or ""

    def whole(self) -> str:
        """That was all of it: why it is not good enough; empty when it is, or cannot be read."""
        from freehold.dialects.answers import read_answer  # noqa: PLC0415 - only calls that are judged pay

        self.over = True
        body = bytes(self._body)
        context = self._context
        if context is None:
            context = TranslationContext(
                client=self._dialect, upstream=self._dialect, model_asked="", answer_id="judged", created_s=0
            )
        try:
            if self.streamed:
                body = _gathered(self._dialect, body)
            answer = self.answer = read_answer(body, context)
        except _UNREADABLE:
            return ""  # whoever relays it will say so
        return insufficient(signs_of(answer, read_wanted(self._request))) or ""

    def _text(self) -> str:
        found = _SAID[self._dialect].findall(self._body)
        try:
            return "".join([msgspec.json.decode(piece, type=str) for piece in found])
        except _UNREADABLE:
            return ""


def _gathered(dialect: Dialect, body: bytes) -> bytes:
    """The whole answer that a stream adds up to. Raises msgspec.MsgspecError when it comes to no end."""
    from freehold.cache.gather import gathered  # noqa: PLC0415 - as above

    document = gathered(dialect, body)
    if document is None:
        raise msgspec.DecodeError("the stream has no end")
    return msgspec.json.encode(document)
