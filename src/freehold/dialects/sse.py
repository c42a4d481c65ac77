"""Server-sent events as bytes: where one event ends, and what it carries.

Pure framing, per the WHATWG grammar (lines end in LF, CRLF or CR; an empty line ends an event).
What an event means in a dialect is read in `streams`.
"""

from __future__ import annotations

import re

from freehold.core.errors import FreeholdError

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Generated images travel inside one event, so the default bound is generous."""

# An empty line: a line end directly after a line end. LF then CR waits for one more byte, which
# tells CR from CRLF; nothing else needs to look ahead, so chunk boundaries cannot change the cut.
_EVENT_END = re.compile(rb"\n\r?\n|\r\r|\n\r(?=[^\n])", re.DOTALL)

_LOOK_BACK = 3
"""Longest beginning of an event's end that one chunk can leave behind, in bytes."""

_BOM = b"\xef\xbb\xbf"


class EventTooLong(FreeholdError):
    """An event did not end within the bound; the stream is not usable any more."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"one server-sent event is longer than {limit} bytes: the upstream is not sending an event stream"
        )


class EventSplitter:
    """Cuts a byte stream into raw events, whatever its chunk boundaries.

    The pieces, followed by `rest`, are always exactly the bytes that were fed.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        """Bytes of the event that has not ended yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, each with its empty line.

        Raises `EventTooLong` when more than `limit` bytes wait for their end.
        """
        buffer = self._buffer
        if not buffer and b"\r" not in data:
            pieces = data.split(b"\n\n")
            rest = pieces.pop()
            events = [piece + b"\n\n" for piece in pieces]
            if rest:
                buffer += rest
        else:
            events = self._cut(data)
        if len(buffer) > self._limit:
            raise EventTooLong(self._limit)
        return events

    def _cut(self, data: bytes) -> list[bytes]:
        buffer = self._buffer
        scan_from = max(0, len(buffer) - _LOOK_BACK)
        buffer += data
        events: list[bytes] = []
        start = 0
        while found := _EVENT_END.search(buffer, scan_from):
            events.append(bytes(buffer[start : found.end()]))
            start = scan_from = found.end()
        found = None  # a match keeps the buffer locked against resizing
        del buffer[:start]
        return events


def event_data(event: bytes) -> bytes:
    """The event's `data` lines joined by LF; empty when it has none (a comment, a bare name)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    return b"\n".join(_values(event, b"data"))


def event_name(event: bytes) -> bytes:
    """The value of the event's last `event` line; empty when it has none."""
    values = _values(event, b"event")
    return values[-1] if values else b""


def _values(event: bytes, field: bytes) -> list[bytes]:
    values: list[bytes] = []
    for line in event.removeprefix(_BOM).splitlines():
        name, _, value = line.partition(b":")
        if name == field:
            values.append(value[1:] if value.startswith(b" ") else value)
    return values
