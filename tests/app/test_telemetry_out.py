"""Spans for a collector: from the log, at least once, whatever the collector and the house do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from freehold.adapters.telemetry.intake import read_request
from freehold.app import telemetry_out
from freehold.app.telemetry_out import FILE, SpanExport, call_span
from freehold.core.catalog import Provider
from freehold.core.config_telemetry import TelemetryConfig
from freehold.receipts.deaths import DEATH
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.tools import ToolUse, tool_receipt
from tests.adapters.telemetry.collector import TAKEN, Collector, collector, refusal
from tests.receipts.story import SMALL, FakeClock, make_receipt


class Desk:
    """A ledger, an export of it, and what it complained of."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger.open(home, clock=FakeClock())
        self.complaints: list[str] = []
        self.export: SpanExport | None = None

    def write(self, *numbers: int, **changes: Any) -> None:
        for number in numbers:
            self.ledger.append(make_receipt(number, endpoint="chat", **changes))

    async def send(self, it: Collector) -> None:
        """Steps until there is nothing to send, or the collector wants us to wait."""
        if self.export is None:
            self.export = self.exporting(it)
        while await self.export.step(self.complaints.append) == 0.0:
            pass

    def exporting(self, it: Collector) -> SpanExport:
        return SpanExport(config(it.url), self.home, lambda: self.ledger.health().entries)

    async def begin(self, it: Collector) -> None:
        """The first look at the log."""
        await self.send(it)

    def again(self) -> None:
        self.export = None


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def config(url: str, **changes: Any) -> TelemetryConfig:
    return TelemetryConfig(export=url, **changes)


def receipts_in(it: Collector) -> list[str]:
    """Which calls the collector was told of, in order, with repeats."""
    found: list[str] = []
    for _, fields, body in it.requests:
        for span in read_request("traces", body, fields["content-type"], "").spans:
            if "freehold.receipt" in span.attributes:
                found.append(str(span.attributes["freehold.receipt"]))
    return found


def names(*numbers: int) -> list[str]:
    return [f"rc_{number:06d}" for number in numbers]


async def test_calls_from_now_on_are_sent_once(desk: Desk) -> None:
    desk.write(1, 2)
    async with collector(TAKEN) as it:
        await desk.begin(it)
        desk.write(3, 4)
        await desk.send(it)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(3, 4)
    assert it.requests[0][0] == "POST /v1/traces HTTP/1.1"
    assert desk.complaints == []


async def test_calls_count_from_the_moment_that_the_file_says_so(desk: Desk) -> None:
    """Not only from the first look at the log, which is in a thread and takes its time."""
    desk.write(1)
    async with collector(TAKEN) as it:
        desk.export = desk.exporting(it)
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(2)


async def test_a_restart_goes_on_where_it_stopped(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        desk.write(1)
        await desk.send(it)
        close(desk)
        desk.again()
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(1, 2)


async def test_calls_and_uses_of_tools_are_sent_unless_telemetry_told_of_them(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        desk.ledger.append(make_receipt(1, endpoint="otlp"))
        desk.ledger.append(Receipt(id="d1", kind=DEATH, outcome="error", started_ms=1))
        desk.ledger.append(tool_receipt(ToolUse(tool="Bash", started_ms=1, source="otlp"), "t1"))
        await desk.send(it)
        desk.write(2)
        desk.ledger.append(tool_receipt(ToolUse(tool="Bash", started_ms=1, source="hook"), "t2"))
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == [*names(2), "t2"]
    assert len(it.requests) == 1


async def test_a_collector_that_is_away_is_told_of_once_and_gets_all_when_it_is_back(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        it.answers[:] = [refusal(503), refusal(503, "retry-after: 7"), refusal(503), TAKEN]
        desk.write(1)
        rests = [await step(desk) for _ in range(3)]
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert rests == [1.0, 7.0, 4.0]
    assert receipts_in(it) == names(1, 1, 1, 1, 2)
    assert desk.complaints == [
        "the collector does not take spans, they wait: it answers 503",
        "the collector takes spans again",
    ]


async def test_pauses_grow_and_end_at_a_minute(desk: Desk) -> None:
    async with collector(refusal(502)) as it:
        await desk.begin(it)
        desk.write(1)
        rests = [await step(desk) for _ in range(9)]
        close(desk)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_wrong_key_loses_nothing(desk: Desk) -> None:
    async with collector(refusal(401)) as it:
        await desk.begin(it)
        desk.write(1)
        await desk.send(it)
        assert desk.export is not None
        it.answers[:] = [TAKEN]
        desk.export.use(config(it.url, headers={"authorization": "right"}))
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(1, 1)
    assert it.requests[-1][1]["authorization"] == "right"


async def test_what_is_refused_for_good_is_not_sent_again(desk: Desk) -> None:
    async with collector(refusal(400)) as it:
        await desk.begin(it)
        desk.write(1)
        await desk.send(it)
        it.answers[:] = [TAKEN]
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(1, 2)
    assert desk.export is not None
    assert (desk.export.sent, desk.export.dropped) == (1, 1)
    assert desk.complaints[0] == "the collector refused 1 spans for good: it answers 400"


async def test_a_collector_that_took_only_a_part_is_told_of_once(desk: Desk) -> None:
    said = b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no tenant"}}'
    async with collector(refusal(200, "content-type: application/json", body=said)) as it:
        await desk.begin(it)
        for number in range(3):
            desk.write(number)
            await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(0, 1, 2)
    assert desk.complaints == ["the collector does not like all of the spans: no tenant"]


async def test_requests_that_are_too_large_become_smaller(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        desk.write(*range(5))
        it.answers[:] = [refusal(413)] * 7 + [TAKEN]
        await desk.send(it)
        close(desk)
    assert receipts_in(it)[-5:] == names(*range(5))
    assert desk.export is not None
    assert (desk.export.sent, desk.export.dropped) == (5, 0)


async def test_many_calls_go_in_bounded_requests(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        desk.write(*range(600))
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(*range(600))
    assert len(it.requests) == 3


async def test_after_a_long_absence_the_oldest_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_out, "MOST_BEHIND", 100)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(b'{"next": 0}')
    complaints: list[str] = []
    with Ledger.open(tmp_path, clock=FakeClock(), pace=SMALL) as ledger:
        for number in range(600):
            ledger.append(make_receipt(number, endpoint="chat"))
    async with collector(TAKEN) as it:
        export = SpanExport(config(it.url), tmp_path, lambda: 600)
        while await export.step(complaints.append) == 0.0:
            pass
        export.close()
    first = 512 - 100
    assert receipts_in(it) == names(*range(first, 600))
    assert export.dropped == first


@pytest.mark.parametrize("kept", [b"", b"{", b'{"next": 99}', b'{"next": -1}'])
async def test_a_cursor_that_fits_no_log_begins_anew(desk: Desk, kept: bytes) -> None:
    (desk.home / FILE).parent.mkdir()
    (desk.home / FILE).write_bytes(kept)
    desk.write(1)
    async with collector(TAKEN) as it:
        await desk.send(it)
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(2)


async def test_who_takes_the_collector_away_sends_nothing_of_that_time_later(desk: Desk) -> None:
    async with collector(TAKEN) as it:
        await desk.begin(it)
        assert desk.export is not None
        desk.export.use(TelemetryConfig())
        assert await step(desk) is None
        desk.write(1)
        desk.export.use(config(it.url))
        await desk.send(it)
        desk.write(2)
        await desk.send(it)
        close(desk)
    assert receipts_in(it) == names(2)


async def test_it_goes_on_by_itself_until_it_is_cancelled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_out, "_REST_S", 0.01)
    async with collector(TAKEN) as it:
        await desk.begin(it)
        export = desk.exporting(it)
        keeping = asyncio.create_task(export.keep(desk.complaints.append))
        desk.write(1)
        await asyncio.wait_for(it.asked.wait(), 10)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        close(desk)
    assert receipts_in(it) == names(1)


def test_a_receipt_as_a_span() -> None:
    provider = Provider(
        name="local", dialect="openai", base_url="https://u:p@api.example:8443/v1", price_as="groq"
    )
    receipt = make_receipt(1, trace=f"{'a' * 32}-{'b' * 16}", cached="exact")
    span = call_span(receipt, {"local": provider})
    assert (span.trace_id, span.parent_id, span.address) == ("a" * 32, "b" * 16, "api.example:8443")
    assert (span.cost_nanos, span.provider, span.usage_known) == (receipt.cost_nanos, "groq", True)
    for trace in ("", "a-b", f"{'A' * 32}-{'b' * 16}", f"{'a' * 32}-{'b' * 16}-01"):
        own = call_span(make_receipt(1, trace=trace), {})
        assert (own.parent_id, len(own.trace_id), own.address, own.provider) == ("", 32, "", "local")


async def step(desk: Desk) -> float | None:
    assert desk.export is not None
    return await desk.export.step(desk.complaints.append)


def close(desk: Desk) -> None:
    """Lets connection and file go, as the end of `keep` does."""
    assert desk.export is not None
    desk.export.close()
