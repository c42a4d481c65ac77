"""Whether a call or tool use that telemetry tells of has its entry already: it came through this house, or
was told before. Pure; remembers the last entries only.

What proves it, the surest first: the receipt's own id, our own address, its span, an id of the provider, what
it wraps; and last, for calls of which an exporter says too little: the same model and the same counts within
the same time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from freehold.core.observed import Observed
from freehold.receipts.entries import Receipt
from freehold.receipts.observed import ENDPOINT, is_strong
from freehold.receipts.tools import tool_of

SpanKey = tuple[str, str]
"""Trace and span."""

MOST = 20_000
"""Entries that are remembered."""
MOST_SPANS = 100_000
"""Spans whose parent is remembered, and spans that are known to wrap a call."""
SLACK_MS = 500
"""Two clocks of one machine, and the time between a call's end and its span's."""
_WEAK_MS = 2_000
_UNTIMED_MS = 5_000
_TOOL_MS = 10_000
_DEEPEST = 64


class Mark(msgspec.Struct, eq=False):
    """What is remembered of an entry."""

    own: bool
    """The call went through this house."""
    started_ms: int
    ended_ms: int
    models: frozenset[str]
    tokens: tuple[int, int] | None
    """Input and output; None where nobody knows."""
    session: str
    ids: tuple[str, ...]
    span: SpanKey | None
    tool: str = ""
    taken: set[str] = msgspec.field(default_factory=set[str])
    """Exporters whose account of this call was recognised by its time."""


class Recent:
    """The memory. Not for several threads at once."""

    def __init__(self, most: int = MOST, most_spans: int = MOST_SPANS) -> None:
        self._most, self._most_spans = most, most_spans
        self._marks: deque[tuple[str, Mark]] = deque()
        self._receipts: set[str] = set()
        self._by_id: dict[str, list[Mark]] = {}
        self._by_span: dict[SpanKey, Mark] = {}
        self._own: list[Mark] = []
        self._own_ended: list[int] = []
        self._parents: OrderedDict[SpanKey, str] = OrderedDict()
        self._decided: OrderedDict[SpanKey, str] = OrderedDict()
        self._covered: OrderedDict[tuple[SpanKey, str], str] = OrderedDict()
        """Of tools with the id of the call that is inside."""
        self._echoes: OrderedDict[str, None] = OrderedDict()
        self._tools: OrderedDict[SpanKey, tuple[str, str]] = OrderedDict()
        """Tool and id of the call."""

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, receipt: Receipt) -> None:
        """An entry is in the ledger. Adding it twice does nothing."""
        if receipt.kind not in ("call", "tool") or receipt.id in self._receipts:
            return
        mark = _mark_of(receipt)
        self._receipts.add(receipt.id)
        self._marks.append((receipt.id, mark))
        for each in mark.ids:
            self._by_id.setdefault(each, []).append(mark)
        if mark.span is not None:
            self._by_span[mark.span] = mark
        if mark.own:
            self._own.append(mark)
            self._own_ended.append(max(mark.ended_ms, self._own_ended[-1] if self._own_ended else 0))
        while len(self._marks) > self._most:
            self._forget(*self._marks.popleft())

    def link(self, parents: Mapping[SpanKey, str]) -> None:
        """Which span is in which."""
        self._parents.update(parents)
        _bound(self._parents, self._most_spans)

    # -- questions

    def recognise(self, seen: Observed, own: Collection[str] = (), *, elsewhere: bool = False) -> str:
        """By what it is known that there is an entry already; empty when it is new. `own` are our addresses;
        `elsewhere`: the exporter names a place that is known not to be ours, nor before ours."""
        why = self._tool_known(seen) if seen.kind == "tool" else self._call_known(seen, own)
        if not why and seen.kind == "call" and not elsewhere and self._by_time(seen):
            why = "time"
        if why or seen.kind != "passage":
            self._cover(seen)
        if not why and (echo := _echo(seen)):  # its entry may have another time: a clock may be wrong
            self._echoes[echo] = None
            while len(self._echoes) > self._most:
                self._echoes.popitem(last=False)
        if seen.span_id and seen.kind != "passage":
            self._decided[seen.trace_id, seen.span_id] = why
            _bound(self._decided, self._most_spans)
        return why

    def undecide(self, seen: Observed) -> None:
        """What was found to be new could not be recorded: it shall be asked about again."""
        for decided in (self._decided, self._tools):
            decided.pop((seen.trace_id, seen.span_id), None)
        self._echoes.pop(_echo(seen), None)

    def wraps_one_of(self, seen: Observed, spans: Collection[SpanKey]) -> bool:
        """Whether one of `spans` is around this one."""
        return any(each in spans for each in self._around(seen))

    def depth(self, seen: Observed) -> int:
        return sum(1 for _ in self._around(seen))

    def _call_known(self, seen: Observed, own: Collection[str]) -> str:
        span = (seen.trace_id, seen.span_id)
        if seen.receipt:
            return "receipt"
        if seen.address and seen.address.lower() in own:
            return "address"
        if seen.span_id and (span in self._by_span or span in self._decided):
            return "span"
        if self._is_echo(seen):
            return "again"
        if not _ids(seen) and any(_tells_of(mark, seen) for mark in self._by_id.get(_account(seen), ())):
            return "id"
        if any(self._same(mark, seen, each) for each in _ids(seen) for mark in self._by_id.get(each, ())):
            return "id"
        covered = seen.kind == "call" and seen.span_id and (span, "call") in self._covered
        if covered:
            return "wraps"
        return "within" if any(self._is_of(each, seen) for each in self._around(seen)) else ""

    def _tool_known(self, seen: Observed) -> str:
        span = (seen.trace_id, seen.span_id)
        if seen.span_id and (span in self._by_span or span in self._decided):
            return "span"
        if self._is_echo(seen):
            return "again"
        for mark in self._by_id.get(f"tool {seen.tool_call_id}", ()) if seen.tool_call_id else ():
            near = abs(mark.started_ms - seen.started_ms) < _TOOL_MS
            if is_strong(seen.tool_call_id) or (near and mark.tool == seen.tool):
                return "id"
        inside = self._covered.get((span, f"tool {seen.tool}")) if seen.span_id else None
        if inside is not None and _one_use(inside, seen.tool_call_id):
            return "wraps"
        around = (self._tools.get(each, ("", "")) for each in self._around(seen))
        if any(tool == seen.tool and _one_use(call_id, seen.tool_call_id) for tool, call_id in around):
            return "within"
        if seen.span_id:
            self._tools[span] = (seen.tool, seen.tool_call_id)
            _bound(self._tools, self._most_spans)
        return ""

    def _is_of(self, outer: SpanKey, seen: Observed) -> bool:
        """Whether the span around it is recorded already, as a call with the same counts."""
        mark = self._by_span.get(outer)
        if mark is None or mark.own or mark.tool or mark.tokens is None or not seen.usage_raw:
            return False
        return bool(mark.models & _models(seen)) and _tokens_fit(mark, seen)

    def _is_echo(self, seen: Observed) -> bool:
        echo = _echo(seen)
        return echo in self._by_id or echo in self._echoes

    def _same(self, mark: Mark, seen: Observed, shared: str) -> bool:
        """Whether a shared id makes them one call."""
        if mark.tool:
            return False
        return is_strong(shared) or (_overlap(mark, seen) and _input_fits(mark, seen))

    def _by_time(self, seen: Observed) -> bool:
        """One of our calls that nothing speaks against, within the time that the exporter gives."""
        slack_ms = SLACK_MS if seen.duration_us is not None else _UNTIMED_MS
        first = bisect_left(self._own_ended, seen.started_ms - slack_ms)
        who = f"{seen.service}/{seen.exporter}/{seen.session}"
        for mark in islice(self._own, first, None):
            if mark.started_ms > seen.ended_ms + slack_ms:
                break
            if seen.of_many:
                if mark.session == seen.session and mark.models & _models(seen):
                    return True
            elif who not in mark.taken and _fits(mark, seen, slack_ms):
                mark.taken.add(who)
                return True
        return False

    # -- spans in spans

    def _around(self, seen: Observed) -> Iterator[SpanKey]:
        """The spans that it is in, from the inside."""
        span_id = seen.parent_id or self._parents.get((seen.trace_id, seen.span_id), "")
        for _ in range(_DEEPEST):
            if not span_id:
                return
            yield seen.trace_id, span_id
            span_id = self._parents.get((seen.trace_id, span_id), "")

    def _cover(self, seen: Observed) -> None:
        """Its entry is there, or will be: what is around it tells the same again."""
        what = f"tool {seen.tool}" if seen.kind == "tool" else "call"
        for each in self._around(seen):
            self._covered[each, what] = seen.tool_call_id
        _bound(self._covered, self._most_spans)

    def _forget(self, receipt_id: str, mark: Mark) -> None:
        self._receipts.discard(receipt_id)
        for each in mark.ids:
            left = [other for other in self._by_id.get(each, ()) if other is not mark]
            if left:
                self._by_id[each] = left
            else:
                self._by_id.pop(each, None)
        if mark.span is not None and self._by_span.get(mark.span) is mark:
            del self._by_span[mark.span]
        if len(self._own) > self._most + self._most // 4:
            gone = len(self._own) - self._most
            del self._own[:gone], self._own_ended[:gone]


def in_order(pool: Sequence[Observed], recent: Recent) -> list[Observed]:
    """The order in which to ask: passages, then calls, the innermost (which began last) first; what says most
    before what says less of the same; sums last. Of tool uses the outermost first: it has the call's id."""

    def rank(seen: Observed) -> tuple[int, bool, bool, int, int]:
        depth = recent.depth(seen)
        kind = 0 if seen.kind == "passage" else 3 if seen.of_many else 2 if seen.kind == "tool" else 1
        inner = (depth, seen.started_ms) if seen.kind == "tool" else (-depth, -seen.started_ms)
        bare = not seen.span_id and bool(seen.error) and not seen.usage_raw
        return kind, not seen.span_id, bare, *inner

    return sorted(pool, key=rank)


def _mark_of(receipt: Receipt) -> Mark:
    trace, _, span = receipt.trace.partition("-")
    use = tool_of(receipt)
    tool, call_id = (use.tool, use.call_id) if use is not None else ("", "")
    ids = [each for each in (receipt.response_id, receipt.upstream_request_id) if each]
    if call_id:
        ids.append(f"tool {call_id}")
    if receipt.endpoint == ENDPOINT and not ids and not receipt.trace:
        ids.append(_echo_of(receipt, tool))
    if receipt.endpoint == ENDPOINT and receipt.kind == "call" and receipt.session and receipt.usage_raw:
        used = (receipt.usage.input_total, receipt.usage.output_total)
        ids.append(f"account {receipt.session} {_short(receipt.model)} {used}")
    known = receipt.usage_state == "reported" or receipt.cached  # else it is our guess, or a part
    return Mark(
        own=receipt.kind == "call" and receipt.endpoint != ENDPOINT,
        started_ms=receipt.started_ms,
        ended_ms=receipt.started_ms + receipt.total_us // 1000,
        models=frozenset(
            _short(each) for each in (receipt.model, receipt.model_asked, receipt.deployment) if each
        ),
        tokens=(receipt.usage.input_total, receipt.usage.output_total) if known else None,
        session=receipt.session,
        ids=tuple(dict.fromkeys(ids)),
        span=(trace, span) if span else None,
        tool=tool,
    )


def _fits(mark: Mark, seen: Observed, slack_ms: int) -> bool:
    if mark.ids and _ids(seen) and not _ids_unlike(mark, seen):
        return False
    if not mark.models & _models(seen) or not _tokens_fit(mark, seen):
        return False
    if seen.duration_us is None:  # all that is known is when it ended, so more must speak for it
        near = abs(mark.ended_ms - seen.started_ms) <= slack_ms
        return near and bool(seen.session) and mark.session == seen.session
    return mark.started_ms >= seen.started_ms - slack_ms and mark.ended_ms <= seen.ended_ms + slack_ms


def _ids_unlike(mark: Mark, seen: Observed) -> bool:
    """Whether their ids may be of different kinds, so that they say nothing against it."""
    kinds = {each.split("_")[0].split("-")[0] for each in mark.ids}
    return not kinds & {each.split("_")[0].split("-")[0] for each in _ids(seen)}


def _tokens_fit(mark: Mark, seen: Observed) -> bool:
    if mark.tokens is None or not seen.usage_raw:
        return True
    return mark.tokens == (seen.usage.input_total, seen.usage.output_total)


def _one_use(one: str, other: str) -> bool:
    """Whether the ids of two uses of a tool say nothing against their being one."""
    return not one or not other or one == other


def _echo(seen: Observed) -> str:
    """What stands for an account that has no id at all, when the exporter sends it again; else empty."""
    if seen.span_id or _ids(seen) or seen.tool_call_id:
        return ""
    usage = (seen.usage.input_total, seen.usage.output_total) if seen.kind == "call" else (0, 0)
    what = seen.tool or seen.model or seen.model_asked
    return (
        f"at {seen.started_ms} {(seen.duration_us or 0) // 1000} {what} {usage} {seen.session} {seen.agent}"
    )


def _echo_of(receipt: Receipt, tool: str) -> str:
    usage = (receipt.usage.input_total, receipt.usage.output_total)
    what = tool or receipt.model
    return (
        f"at {receipt.started_ms} {receipt.total_us // 1000} {what} {usage} {receipt.session} {receipt.agent}"
    )


def _account(seen: Observed) -> str:
    """What an event and a span of the same call have in common where neither has an id."""
    used = (seen.usage.input_total, seen.usage.output_total)
    return f"account {seen.session} {_short(seen.model or seen.model_asked)} {used}" if seen.session else ""


def _tells_of(mark: Mark, seen: Observed) -> bool:
    """Whether one is the event and the other the span."""
    one_each = (mark.span is None) == bool(seen.span_id)
    return one_each and bool(seen.usage_raw) and abs(mark.ended_ms - seen.ended_ms) <= SLACK_MS


def _input_fits(mark: Mark, seen: Observed) -> bool:
    """Exporters of one call agree on its input; what a stream put out, some get wrong by a token."""
    return mark.tokens is None or not seen.usage_raw or mark.tokens[0] == seen.usage.input_total


def _overlap(mark: Mark, seen: Observed) -> bool:
    return mark.started_ms <= seen.ended_ms + _WEAK_MS and seen.started_ms <= mark.ended_ms + _WEAK_MS


def _ids(seen: Observed) -> tuple[str, ...]:
    return tuple(each for each in (seen.response_id, seen.request_id) if each)


def _models(seen: Observed) -> frozenset[str]:
    return frozenset(_short(each) for each in (seen.model, seen.model_asked) if each)


def _short(model: str) -> str:
    """Without the provider's name before it."""
    return model.rsplit("/", 1)[-1].lower()


def _bound(remembered: OrderedDict[Any, Any], most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
