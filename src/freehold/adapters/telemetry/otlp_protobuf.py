"""OTLP's messages out of protobuf (opentelemetry-proto 1.x): the fields that we read, by number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from freehold.adapters.telemetry.signals import (
    LONGEST_TEXT,
    Batch,
    LogRecord,
    Point,
    Signal,
    Source,
    Span,
    TooMany,
    Value,
    hash_of_body,
    is_span,
)
from freehold.adapters.telemetry.wire import Field, as_double, fields, signed

_DEEPEST = 8
"""Levels of values within values; deeper ones are not read."""
_FEW = 64
"""Fields beside the items of a scope."""
_ERROR = 2
_DELTA = 1
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


def read_protobuf(signal: Signal, data: bytes, most: int = 1 << 40) -> Batch:
    """The batch in the bytes of an `Export...ServiceRequest`. Raises WireError, UnicodeDecodeError, and
    TooMany for more than `most` items."""
    reader = _Reader(data, most)
    read: Callable[[Source, int, int], None] = {
        "traces": reader.span,
        "logs": reader.log,
        "metrics": reader.metric,
    }[signal]
    for number, at, end in fields(data, 0, len(data)):
        if number == 1 and end:
            reader.resource(at, end, read)
    return Batch(
        spans=tuple(reader.spans),
        logs=tuple(reader.logs),
        points=tuple(reader.points),
        others=tuple(reader.others),
        items=reader.items,
        rejected=reader.rejected,
    )


class _Reader:
    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._most = most
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []
        self.points: list[Point] = []
        self.items = 0
        self.rejected = 0
        self.others: list[int] = []

    def _count(self, more: int = 1) -> None:
        self.items += more
        if self.items > self._most:
            raise TooMany

    def _parts(self, at: int, end: int) -> list[Field]:
        parts = list(islice(fields(self._data, at, end), self._most + _FEW))
        if len(parts) == self._most + _FEW:
            raise TooMany
        return parts

    def resource(self, at: int, end: int, read: Callable[[Source, int, int], None]) -> None:
        """ResourceSpans, ResourceLogs, ResourceMetrics: resource 1, scopes 2."""
        parts = self._parts(at, end)
        attributes: dict[str, Value] = {}
        for number, start, stop in parts:
            if number == 1 and stop:
                attributes |= self._attributes(start, stop, 1)
        for number, start, stop in parts:
            if number == 2 and stop:
                self._scope(attributes, start, stop, read)

    def _scope(
        self, resource: dict[str, Value], at: int, end: int, read: Callable[[Source, int, int], None]
    ) -> None:
        """ScopeSpans and its like: scope 1 (name 1), items 2."""
        parts = self._parts(at, end)
        name = ""
        for number, start, stop in parts:
            if number == 1 and stop:
                name = next((self._text(a, e) for n, a, e in fields(self._data, start, stop) if n == 1), "")
        source = Source(resource, name)
        for number, start, stop in parts:
            if number == 2 and stop:
                read(source, start, stop)

    def span(self, source: Source, at: int, end: int) -> None:
        """Span: trace 1, id 2, parent 4, name 5, start 7, end 8, attributes 9, events 11, status 15."""
        self._count()
        ids = {1: "", 2: "", 4: ""}
        name = message = exception = ""
        times = {7: 0, 8: 0}
        failed = False
        for number, start, stop in fields(self._data, at, end):
            if number in ids:
                ids[number] = self._data[start:stop].hex()
            elif number == 5:
                name = self._text(start, stop)
            elif number in times:
                times[number] = start
            elif number == 11 and not exception:
                exception = self._exception(start, stop)
            elif number == 15:
                failed, message = self._status(start, stop)
        long_enough = len(ids[1]) == 2 * _TRACE_ID_BYTES and len(ids[2]) == 2 * _SPAN_ID_BYTES
        if not (long_enough and is_span(ids[1], ids[2])):
            self.rejected += 1
            return
        self.spans.append(
            Span(
                source=source,
                trace_id=ids[1],
                span_id=ids[2],
                parent_id=ids[4],
                name=name,
                start_ns=times[7],
                end_ns=times[8],
                attributes=self._attributes(at, end, 9),
                failed=failed,
                message=message,
                exception=exception,
            )
        )

    def _status(self, at: int, end: int) -> tuple[bool, str]:
        """Status: message 2, code 3."""
        failed, message = False, ""
        for number, start, stop in fields(self._data, at, end):
            if number == 2:
                message = self._text(start, stop)
            elif number == 3:
                failed = start == _ERROR
        return failed, message

    def _exception(self, at: int, end: int) -> str:
        """Span.Event: name 2, attributes 3. Empty when it tells of no exception."""
        name = next((self._text(a, e) for n, a, e in fields(self._data, at, end) if n == 2), "")
        if name != "exception":
            return ""
        found = self._attributes(at, end, 3)
        return str(found.get("exception.type") or "exception")

    def log(self, source: Source, at: int, end: int) -> None:
        """LogRecord: time 1, body 5, attributes 6, trace 9, span 10, observed 11, event name 12."""
        self._count()
        times = {1: 0, 11: 0}
        ids = {9: "", 10: ""}
        name = body = ""
        raw = b""
        for number, start, stop in fields(self._data, at, end):
            if number in times:
                times[number] = start
            elif number in ids:
                ids[number] = self._data[start:stop].hex()
            elif number == 12:
                name = self._text(start, stop)
            elif number == 5:
                body = str(self._value(start, stop))
                raw = self._data[start:stop]
        self.logs.append(
            LogRecord(
                source=source,
                trace_id=ids[9],
                span_id=ids[10],
                name=name or body,
                body=hash_of_body(name or body, body, raw),
                time_ns=times[1] or times[11],
                attributes=self._attributes(at, end, 6),
            )
        )

    def metric(self, source: Source, at: int, end: int) -> None:
        """Metric: name 1; gauge 5, sum 7 (points 1, temporality 2), histograms 9, 10, summary 11."""
        name = ""
        for number, start, stop in fields(self._data, at, end):
            if number == 1:
                name = self._text(start, stop)
            elif number in (5, 7) and stop:
                parts = self._parts(start, stop)
                delta = any(n == 2 and not e and value == _DELTA for n, value, e in parts)
                for n, a, e in parts:
                    if n == 1 and e:
                        self._count()
                        self.points.append(self._point(source, (name, delta), a, e))
            elif number in (9, 10, 11) and stop:
                for n, a, e in fields(self._data, start, stop):
                    if n == 1 and e:
                        self._count()
                        self.others.append(hash((name, source.service, self._data[a:e])))

    def _point(self, source: Source, metric: tuple[str, bool], at: int, end: int) -> Point:
        """NumberDataPoint: start 2, time 3, double 4, int 6, attributes 7."""
        times = {2: 0, 3: 0}
        value = 0.0
        for number, start, _ in fields(self._data, at, end):
            if number in times:
                times[number] = start
            elif number == 4:
                value = as_double(start)
            elif number == 6:
                value = float(signed(start))
        return Point(
            source=source,
            metric=metric[0],
            delta=metric[1],
            start_ns=times[2],
            time_ns=times[3],
            value=value,
            attributes=self._attributes(at, end, 7),
        )

    # -- attributes

    def _attributes(self, at: int, end: int, wanted: int) -> dict[str, Value]:
        """The KeyValues (key 1, value 2) that stand under the number `wanted` of a message."""
        found: dict[str, Value] = {}
        for number, start, stop in fields(self._data, at, end):
            if number == wanted and stop:
                key, value = "", None
                for n, a, e in fields(self._data, start, stop):
                    if n == 1:
                        key = self._text(a, e)
                    elif n == 2 and e:
                        value = self._value(a, e)
                if value is not None:
                    found[key] = value
        return found

    def _value(self, at: int, end: int, depth: int = 0) -> Value:
        """AnyValue: text 1, bool 2, int 3, double 4, array 5, mapping 6, bytes 7. Lists: their first text."""
        for number, start, stop in fields(self._data, at, end):
            if number == 1:
                return self._text(start, stop)
            if number == 2:
                return bool(start)
            if number == 3:
                return signed(start)
            if number == 4:
                return as_double(start)
            if number == 5 and depth < _DEEPEST:
                return next(self._items(start, stop, depth + 1), "")
        return ""

    def _items(self, at: int, end: int, depth: int) -> Iterator[Value]:
        for number, start, stop in fields(self._data, at, end):
            if number == 1 and stop:
                yield self._value(start, stop, depth)

    def _text(self, at: int, end: int) -> str:
        return self._data[at:end].decode() if end - at <= LONGEST_TEXT else ""
