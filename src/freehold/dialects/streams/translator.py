"""From any upstream stream to any client's: the door of this package."""

from __future__ import annotations

from typing import Protocol

import msgspec

from freehold.core.errors import CallError
from freehold.core.half_characters import without_halves
from freehold.dialects.context import TranslationContext
from freehold.dialects.sse import EventSplitter, EventTooLong, event_data
from freehold.dialects.streams.read_chat import ChatReader
from freehold.dialects.streams.read_messages import MessagesReader
from freehold.dialects.streams.read_responses import ResponsesReader
from freehold.dialects.streams.write_chat import ChatWriter
from freehold.dialects.streams.write_messages import MessagesWriter
from freehold.dialects.streams.write_ollama import OllamaWriter
from freehold.dialects.streams.write_responses import ResponsesWriter
from freehold.dialects.streams.writer import Writer


class StreamTranslator(Protocol):
    """One answer's stream. After `finished` every method returns b""."""

    def feed(self, data: bytes) -> bytes:
        """The client's bytes for the upstream's `data`, cut anywhere. Never raises: a broken
        upstream ends in an error event."""
        ...

    def end(self) -> bytes:
        """The upstream's body ended in order: what is still owed, or an error when the answer is
        not whole."""
        ...

    def fail(self, error: CallError) -> bytes:
        """The upstream broke: an honest end in the client's dialect."""
        ...

    @property
    def losses(self) -> tuple[str, ...]:
        """What this answer could not say in the client's dialect, as stable codes."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the terminal event was produced."""
        ...

    @property
    def failure(self) -> str:
        """Why the answer ended in an error event; empty when it did not."""
        ...

    @property
    def usage_raw(self) -> bytes | None:
        """The upstream's usage object as JSON bytes, as far as it is known."""
        ...

    @property
    def finish(self) -> str:
        """Why the upstream's answer ended, in its own word, as far as it is known."""
        ...


_LONGEST_WORD = 40
"""Of a finish reason."""


class _Reader(Protocol):
    usage_raw: bytes | None
    reason: str | None

    def read(self, data: bytes) -> None: ...

    def end(self) -> bool: ...


def stream_translator(context: TranslationContext, *, opened_events: int = 0) -> StreamTranslator:
    """A translator for one answer from `context.upstream` to `context.client`.

    `opened_events` is the number of Responses events that `signs` already sent on this stream.
    Raises ValueError when the upstream's dialect has no event stream ("ollama").
    """
    writer = _writer(context, opened_events)
    return _Translator(_reader(context, writer), writer)


def _writer(context: TranslationContext, opened_events: int) -> Writer:
    if context.client == "messages":
        return MessagesWriter(context)
    if context.client == "responses":
        return ResponsesWriter(context, opened_events)
    return ChatWriter(context) if context.client == "chat" else OllamaWriter(context)


def _reader(context: TranslationContext, writer: Writer) -> _Reader:
    if context.upstream == "chat":
        return ChatReader(writer)
    if context.upstream == "messages":
        return MessagesReader(writer)
    if context.upstream == "responses":
        return ResponsesReader(writer)
    raise ValueError(f"no event stream comes from an upstream that speaks {context.upstream!r}")


class _Translator:
    def __init__(self, reader: _Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._splitter = EventSplitter()

    @property
    def losses(self) -> tuple[str, ...]:
        return self._writer.losses

    @property
    def finished(self) -> bool:
        return self._writer.finished

    @property
    def failure(self) -> str:
        return self._writer.failure

    @property
    def usage_raw(self) -> bytes | None:
        return self._reader.usage_raw

    @property
    def finish(self) -> str:
        return (self._reader.reason or "")[:_LONGEST_WORD]

    def feed(self, data: bytes) -> bytes:
        writer = self._writer
        if writer.finished:
            return b""
        try:
            for event in self._splitter.feed(data):
                self._read(event)
                if writer.finished:
                    break
        except EventTooLong as too_long:
            writer.fail(_broken(str(too_long)))
        return writer.take()

    def end(self) -> bytes:
        writer = self._writer
        rest = self._splitter.rest.strip(b"\r\n")
        if rest and not writer.finished:
            self._read(rest + b"\n\n")  # the empty line after the last event is often forgotten
        if not writer.finished and not self._reader.end():
            writer.fail(_broken("The upstream's stream ended before its answer was complete."))
        return writer.take()

    def fail(self, error: CallError) -> bytes:
        self._writer.fail(error)
        return self._writer.take()

    def _read(self, event: bytes) -> None:
        data = event_data(event)
        if not data.strip():
            if event.startswith(b":"):
                self._writer.ping()
            return
        try:
            self._reader.read(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._read_mended(_mended(data))

    def _read_mended(self, data: bytes) -> None:
        try:
            self._reader.read(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
            self._writer.fail(_broken(f"The upstream sent an event that cannot be read: {malformed}"))


def _mended(data: bytes) -> bytes:
    """`data` with half characters replaced: servers that cut text between tokens cut emoji, too."""
    return without_halves(data.decode("utf-8", "replace").encode())


def _broken(message: str) -> CallError:
    return CallError(kind="upstream", status=502, message=message, source="upstream")
