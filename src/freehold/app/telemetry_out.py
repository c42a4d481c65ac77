"""Calls that went through here, and uses of tools that hooks told of, as spans for a collector
(`telemetry.export`).

The ledger's log is the queue: it is followed from a cursor that is kept in the state folder, so the gateway
pays nothing, a collector that is away costs no memory, and a restart loses nothing. Each call is sent at
least once, under ids that stay the same. The first time it begins with the calls that come from now on.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from freehold import __version__
from freehold.adapters.telemetry.genai_spans import encoded, span_id_of, trace_id_of, traces
from freehold.adapters.telemetry.sender import Sender, SendOutcome
from freehold.app.to_the_end import to_the_end
from freehold.core.catalog import Provider
from freehold.core.config_telemetry import TelemetryConfig
from freehold.core.observed import CallSpan, ToolSpan, Try
from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.journal import LedgerError, segments
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.observed import ENDPOINT as TOLD_BY_OTHERS
from freehold.receipts.tools import tool_of

FILE = Path("telemetry") / "export.json"
MOST_BEHIND = 100_000
"""Entries that wait for a collector that is away; the oldest beyond them are left out."""
BATCH = 256
_SLICE = 16
_BREATH_S = 0.000_1
"""After a slice the interpreter's lock is let go for long enough that a waiting event loop wakes up."""
_REST_S = 1.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
_SETTINGS_WRONG = (301, 302, 303, 307, 308, 401, 403, 404, 405, 407)
"""Refusals that say nothing against the spans: they wait until somebody puts the settings right."""
_TOO_LARGE = 413
_TRACE = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")

Complain = Callable[[str], None]


class _Cursor(msgspec.Struct, frozen=True):
    """The log index of the first entry that was not sent."""

    next: int


class _Part(msgspec.Struct, frozen=True):
    """What is to be sent next. `upto` is the log index after it."""

    upto: int
    calls: int
    body: bytes
    content_type: str


class SpanExport:
    """Owns the cursor. For the event loop's thread; one `keep` at a time."""

    def __init__(
        self,
        config: TelemetryConfig,
        home: Path,
        end: Callable[[], int],
        providers: Callable[[], Mapping[str, Provider]] = dict,
    ) -> None:
        """`end`: the log index after the newest entry, now. `providers` are the configured ones: their
        addresses stand in the spans."""
        self._home = home
        self._end = end
        self._folder = LogFolder(home / "ledger")
        self._providers = providers
        self._reader: LogReader | None = None
        self._next: int | None = None
        self._begins = 0
        """The log's end when the configuration first named a collector."""
        self._batch = BATCH
        self._retry_s = _FIRST_RETRY_S
        self._told = ""
        self._changed = asyncio.Event()
        self._sender: Sender | None = None
        self.sent = 0
        """Calls that the collector took."""
        self.dropped = 0
        """Calls that it refused for ever, or that were left out because it was away for long."""
        self.use(config)

    def use(self, config: TelemetryConfig) -> None:
        """Another configuration is in force; without a collector, what comes is not sent later either."""
        self._config = config
        if self._sender is not None:
            self._sender.close()
        else:
            self._begins = self._end()
        self._sender = Sender(config.export, config.headers) if config.export else None
        self._batch, self._retry_s = BATCH, _FIRST_RETRY_S
        self._changed.set()

    async def keep(self, complain: Complain) -> None:
        """Send, until cancelled."""
        try:
            while True:
                self._changed.clear()
                rest_s = await self.step(complain)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await self._changed.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Let file and connection go; a further step opens them again."""
        self._let_go()
        if self._sender is not None:
            self._sender.close()

    async def step(self, complain: Complain) -> float | None:
        """Send one batch, if there is one; returns how many seconds to rest (None: until the next `use`)."""
        sender = self._sender
        if sender is None:
            await asyncio.to_thread(self._forget)
            return None
        try:
            part = await asyncio.to_thread(self._read, self._config)
        except (LedgerError, OSError) as error:
            self._let_go()
            self._say(complain, f"calls cannot be read for telemetry.export: {error}")
            return _LONGEST_RETRY_S
        if part is None:
            return _REST_S
        outcome = SendOutcome(state="sent") if not part.calls else await self._post(sender, part)
        if outcome.again or outcome.status in _SETTINGS_WRONG:
            self._say(complain, f"the collector does not take spans, they wait: {outcome.words}")
            self._let_go()  # it is read again
            rest_s = outcome.after_s if outcome.after_s is not None else self._retry_s
            self._retry_s = min(self._retry_s * 2, _LONGEST_RETRY_S)
            return rest_s
        if outcome.status == _TOO_LARGE and self._batch > 1:
            self._batch //= 2
            self._let_go()
            return 0.0
        self._count(outcome, part, complain)
        self._retry_s = _FIRST_RETRY_S
        self._next = part.upto
        await to_the_end(self._write_cursor, part.upto)
        return 0.0

    async def _post(self, sender: Sender, part: _Part) -> SendOutcome:
        return await sender.post("traces", part.body, part.content_type)

    def _count(self, outcome: SendOutcome, part: _Part, complain: Complain) -> None:
        if not outcome.ok:
            self.dropped += part.calls
            self._say(complain, f"the collector refused {part.calls} spans for good: {outcome.words}")
        elif part.calls:
            self.sent += part.calls
            if outcome.words:
                self._say(complain, f"the collector does not like all of the spans: {outcome.words}")
            elif self._told:
                self._told = ""
                complain("the collector takes spans again")

    def _say(self, complain: Complain, words: str) -> None:
        """Once, until it works again."""
        if not self._told:
            complain(words)
        self._told = words

    # -- in a thread, one at a time

    def _read(self, config: TelemetryConfig) -> _Part | None:
        """What comes next; None when there is nothing. Raises LedgerError, OSError."""
        if self._next is None:
            self._next = self._first()
        if self._reader is None:
            self._next = self._not_too_far(self._next)
            self._reader = LogReader(self._folder, self._next)
        entries = self._reader.read(self._batch)
        if not entries:
            return None
        providers, spans, calls = self._providers(), list[bytes](), 0
        for start in range(0, len(entries), _SLICE):
            for each in _told(entries[start : start + _SLICE], providers):
                spans += encoded(each, config.conventions, config.protocol)
                calls += 1
            time.sleep(_BREATH_S)
        body, content_type = traces(spans, config.conventions, config.protocol, __version__)
        return _Part(self._reader.index, calls, body, content_type)

    def _first(self) -> int:
        """Where the last run stopped; the first time, and where the log is another one, what then was the
        log's end."""
        try:
            kept = msgspec.json.decode((self._home / FILE).read_bytes(), type=_Cursor).next
        except (OSError, msgspec.MsgspecError):
            kept = -1
        if 0 <= kept <= self._begins:
            return kept
        self._write_cursor(self._begins)
        return self._begins

    def _not_too_far(self, following: int) -> int:
        found = segments(self._folder.path)
        behind = found[-1].first - following if found else 0
        if behind <= MOST_BEHIND:
            return following
        self.dropped += behind - MOST_BEHIND
        return following + behind - MOST_BEHIND

    def _write_cursor(self, following: int) -> None:
        """Not to the disk at once: after a power cut some calls are sent twice."""
        path = self._home / FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(_Cursor(following)))
        part.replace(path)

    def _forget(self) -> None:
        """Nobody wants spans: whoever wants them later begins then."""
        self._next = None
        self._let_go()
        (self._home / FILE).unlink(missing_ok=True)

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _told(entries: Sequence[bytes], providers: Mapping[str, Provider]) -> list[CallSpan | ToolSpan]:
    """What others told of by telemetry leaves by `telemetry.forward`."""
    found: list[CallSpan | ToolSpan] = []
    for entry in entries:
        try:
            receipt = decode_receipt(entry)
        except msgspec.MsgspecError:
            continue
        if receipt.endpoint == TOLD_BY_OTHERS:
            continue
        if receipt.kind == "call":
            found.append(call_span(receipt, providers))
        elif (tool := tool_span(receipt)) is not None:
            found.append(tool)
    return found


_SAME = tuple(
    set(CallSpan.__struct_fields__)
    & set(Receipt.__struct_fields__)  # such as model, usage, cost_nanos, session
)
_SAME_OF_TRY = Try.__struct_fields__
_SAME_OF_TOOL = ("tool", "server", "call_id", "error", "project", "agent", "session", "task")


def call_span(receipt: Receipt, providers: Mapping[str, Provider]) -> CallSpan:
    """A call's receipt as a span tells it. It hangs in the client's own trace where the client sent one."""
    client = _TRACE.fullmatch(receipt.trace)
    provider = providers.get(receipt.provider)
    same: dict[str, Any] = {name: getattr(receipt, name) for name in _SAME}
    if provider is not None and provider.price_as:  # the vendor's own name, whatever people call it here
        same["provider"] = provider.price_as
    return CallSpan(
        **same,
        receipt=receipt.id,
        trace_id=client[1] if client else trace_id_of(receipt.id),
        span_id=span_id_of(receipt.id),
        parent_id=client[2] if client else "",
        started_us=receipt.started_ms * 1000,
        usage_known=receipt.usage_state != "none" or bool(receipt.cached),
        request_id=receipt.upstream_request_id,
        address=urlsplit(provider.base_url).netloc.rpartition("@")[2] if provider is not None else "",
        tries=tuple(Try(**{name: getattr(each, name) for name in _SAME_OF_TRY}) for each in receipt.attempts),
    )


def tool_span(receipt: Receipt) -> ToolSpan | None:
    """The use of a tool that an entry tells of; None for all other entries."""
    use = tool_of(receipt)
    if use is None:
        return None
    return ToolSpan(
        **{name: getattr(use, name) for name in _SAME_OF_TOOL},
        receipt=receipt.id,
        started_us=use.started_ms * 1000,
        total_us=use.duration_us,
        outcome=receipt.outcome,
    )
