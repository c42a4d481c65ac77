"""Spans, log records and metric points as values, the same from every encoding. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Signal = Literal["traces", "metrics", "logs"]
Value = str | int | float | bool
Attributes = Mapping[str, Value]

LONGEST_TEXT = 64 * 1024
"""Longer texts are not read: they are prompts and answers. What stands for them is an empty text."""
NO_ID = ""


class TooMany(Exception):
    """A request has more items than are read."""


def is_span(trace_id: str, span_id: str) -> bool:
    """Whether these ids name a span: in OpenTelemetry all zeros name nothing."""
    return bool(trace_id.strip("0") and span_id.strip("0"))


class Source(msgspec.Struct, frozen=True):
    """Who exports: the resource's attributes, and the name of the instrumentation (its scope)."""

    resource: Attributes = {}
    scope: str = ""

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name", ""))


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Ids are lower-case hex. Of its events only the type and text of an exception are kept."""

    source: Source
    trace_id: str
    span_id: str
    parent_id: str = NO_ID
    name: str = ""
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = {}
    failed: bool = False
    """Its status is ERROR."""
    message: str = ""
    """Of its status."""
    exception: str = ""


class LogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the event's name, or its body where that is a text and the event has no name."""

    source: Source
    trace_id: str = NO_ID
    span_id: str = NO_ID
    name: str = ""
    body: int = 0
    """A hash of it: only to know the record again."""
    time_ns: int = 0
    attributes: Attributes = {}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a sum or gauge. Histograms are counted, but not read."""

    source: Source
    metric: str
    start_ns: int = 0
    time_ns: int = 0
    value: float = 0.0
    delta: bool = False
    """The value is what came since the point before; else it is everything since `start_ns`."""
    attributes: Attributes = {}


def hash_of_body(name: str, text: str, raw: bytes) -> int:
    """Of a log record's body as it came; 0 where the record's name says all of it."""
    told = text and text == name and len(text) < LONGEST_TEXT
    return 0 if told or not raw else hash(raw)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one request brought. `items` counts also what was not read."""

    spans: tuple[Span, ...] = ()
    logs: tuple[LogRecord, ...] = ()
    points: tuple[Point, ...] = ()
    others: tuple[int, ...] = ()
    """Hashes of points that are not read: only to know them again."""
    items: int = 0
    rejected: int = 0
    """Of these, how many cannot be: without ids, or with ids that are none."""
