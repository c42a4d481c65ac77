"""Telemetry in a house: told, rested, recorded once, passed on; what a restart and a full house do to it."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.app import telemetry as telemetry_module
from freehold.app.telemetry import HouseTelemetry
from freehold.app.telemetry_recent import LedgerMemory
from freehold.app.telemetry_rest import FOLDER, Kept, RestLog, is_left
from freehold.core.config_telemetry import TelemetryConfig
from freehold.core.observed import Observed
from freehold.gateway.ids import ReceiptIds
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.receipts.tools import hash_of, tool_of
from tests.adapters.telemetry import export
from tests.adapters.telemetry.export import JSON, PROTOBUF, call_span, of
from tests.app.telling import BOOK, CALL, COST, FORWARD, NOW_MS, Clock, Desk, ours
from tests.receipts.story import SMALL


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.close()


# -- what becomes of it


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_span_becomes_a_receipt_with_a_cost(desk, kind):
    (receipt,) = await desk.tell(of("traces", call_span(CALL)), kind=kind)
    assert (receipt.kind, receipt.endpoint, receipt.agent) == ("call", "otlp", "shop")
    assert (receipt.usage.input_total, receipt.usage.output_total) == (100, 10)
    assert (receipt.cost_nanos, receipt.cost_state) == (COST, "estimated")


async def test_an_embedding_of_vercels_sdk_has_its_provider_its_counts_and_a_cost(desk: Desk) -> None:
    facts = {
        "operation.name": "ai.embed.doEmbed",
        "ai.operationId": "ai.embed.doEmbed",
        "ai.model.id": "m",
        "ai.model.provider": "openai.embedding",
        "ai.usage.tokens": 12,
    }
    (receipt,) = await desk.tell(of("traces", call_span(facts, scope="ai")))
    assert (receipt.provider, receipt.usage.input_total, receipt.cost_nanos) == ("openai", 12, 12 * 1_000)


async def test_a_retry_of_the_exporter_changes_nothing(desk):
    batch = of("traces", call_span(CALL))
    assert len(await desk.tell(batch, batch)) == 1
    assert await desk.tell(batch) == []


async def test_a_call_through_this_house_is_not_recorded_again(desk):
    desk.ledger.append(ours(response_id="chatcmpl-1"))
    assert await desk.tell(of("traces", call_span(CALL | {"gen_ai.response.id": "chatcmpl-1"}))) == []
    assert desk.telemetry.counts == {"id": 1}


async def test_an_event_waits_for_the_span_that_says_more(desk):
    said = CALL | {"gen_ai.response.id": "chatcmpl-1"}
    bare = {name: value for name, value in said.items() if name != "gen_ai.provider.name"}
    told = export.event("gen_ai.client.inference.operation.details", bare, scope="x")
    await desk.telemetry.receive("logs", export.protobuf(of("logs", told)), PROTOBUF, "")
    (receipt,) = await desk.tell(of("traces", call_span(said)))
    assert (receipt.provider, receipt.cost_nanos) == ("openai", COST)
    assert telemetry_module.EVENT_REST_S > 5 > telemetry_module.REST_S


async def test_a_span_that_comes_before_our_own_receipt_is_recognised(desk):
    request = export.protobuf(of("traces", call_span(CALL)))
    await desk.telemetry.receive("traces", request, PROTOBUF, "")
    desk.ledger.append(ours())
    await desk.telemetry.settle()
    assert desk.telemetry.counts == {"time": 1}


async def test_a_restart_forgets_neither_ours_nor_what_was_told(tmp_path):
    span = call_span(CALL)
    first = Desk(tmp_path)
    first.ledger.append(ours(trace=f"{span.trace_id}-{'0e' * 8}", response_id="chatcmpl-restart-abcdefgh"))
    other = call_span(CALL | {"gen_ai.response.id": "x"}, start_ns=span.start_ns - 60 * 10**9)
    other = msgspec.structs.replace(other, end_ns=other.start_ns + 10**9, span_id="0c" * 8)
    assert len(await first.tell(of("traces", other))) == 1
    first.close()
    second = Desk(tmp_path)
    again = call_span(CALL | {"gen_ai.response.id": "chatcmpl-restart-abcdefgh"})
    assert await second.tell(of("traces", other, again)) == []
    second.close()


def test_the_newest_entries_are_found_over_the_borders_of_segments(tmp_path):
    with Ledger.open(tmp_path, clock=Clock(), pace=SMALL) as ledger:
        for number in range(700):
            ledger.append(ours(id=f"r-{number}", response_id=f"chatcmpl-{number:020}"))
        memory = LedgerMemory(tmp_path)
        memory.follow()
        ledger.append(ours(id="r-new", response_id="chatcmpl-the-newest-of-all"))
        memory.follow()
        memory.close()
    assert len(memory.recent) == 701
    told = Observed(kind="call", started_ms=NOW_MS, response_id="chatcmpl-the-newest-of-all")
    assert memory.recent.recognise(told) == "id"


async def test_nested_calls_count_once_also_over_several_requests(desk):
    inner = call_span(CALL, span_id="01" * 8, parent_id="02" * 8)
    chain = call_span({}, span_id="02" * 8, parent_id="03" * 8)
    outer = call_span(CALL, span_id="03" * 8)
    assert len(await desk.tell(of("traces", outer, chain, inner))) == 1
    assert await desk.tell(of("traces", outer)) == []


async def test_a_span_without_counts_in_one_that_has_them_is_not_a_call_of_its_own(desk):
    bare = {name: value for name, value in CALL.items() if "usage" not in name}
    inner = call_span(bare, span_id="01" * 8, parent_id="03" * 8)
    (receipt,) = await desk.tell(of("traces", inner, call_span(CALL, span_id="03" * 8)))
    assert receipt.usage_state == "reported"


async def test_our_own_spans_that_come_back_are_no_calls(desk):
    assert await desk.tell(of("traces", call_span(CALL | {"freehold.receipt": "r-ours"}))) == []


async def test_what_cannot_be_read_is_answered_and_forgotten(desk):
    answer = await desk.telemetry.receive("traces", b"\xff\xff", PROTOBUF, "")
    assert (answer.status, answer.content_type) == (400, PROTOBUF)
    bad = call_span(CALL, trace_id="", span_id="")
    body = export.as_json(of("traces", bad, call_span(CALL)))
    answer = await desk.telemetry.receive("traces", body, JSON, "")
    assert msgspec.json.decode(answer.body)["partialSuccess"]["rejectedSpans"] == "1"


async def test_too_much_at_once_is_refused_for_a_while(desk, monkeypatch):
    monkeypatch.setattr(telemetry_module, "MOST_WAITING", 1)
    body = export.protobuf(of("traces", call_span(CALL)))
    answers = [await desk.telemetry.receive("traces", body, PROTOBUF, "") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 503]
    assert answers[1].retry_after_s
    await desk.telemetry.settle()
    assert (await desk.telemetry.receive("traces", body, PROTOBUF, "")).status == 200


async def test_keep_records_what_has_rested_and_at_its_end_all_that_is_left(desk, monkeypatch):
    monkeypatch.setattr(telemetry_module, "REST_S", 0.0)
    recorded = asyncio.Event()
    append = desk.ledger.append

    def note(receipt: Receipt) -> None:
        append(receipt)
        recorded.set()

    monkeypatch.setattr(desk.telemetry, "_append", note)
    task = asyncio.create_task(desk.telemetry.keep())
    await desk.telemetry.receive("traces", export.protobuf(of("traces", call_span(CALL))), PROTOBUF, "")
    await asyncio.wait_for(recorded.wait(), 5)
    monkeypatch.setattr(telemetry_module, "REST_S", 3600.0)
    late = of("traces", call_span(CALL, span_id="0f" * 8))
    await desk.telemetry.receive("traces", export.protobuf(late), PROTOBUF, "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.telemetry.counts == {"new": 2}


async def test_what_the_ledger_refuses_is_recorded_once_it_takes_it(tmp_path):
    full = True
    ledger = Ledger.open(tmp_path, clock=Clock())

    def append(receipt: Receipt) -> None:
        if full:
            raise LedgerError("no space left on device")
        ledger.append(receipt)

    ids = ReceiptIds().next
    telemetry = HouseTelemetry(TelemetryConfig(), tmp_path, append, ids, lambda: BOOK, Clock())
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}
    spans = [call_span(CALL, span_id="01" * 8), call_span(CALL, span_id="02" * 8)]
    batch = of("traces", *spans, call_span(tool, span_id="03" * 8))
    await telemetry.receive("traces", export.protobuf(batch), PROTOBUF, "")
    with pytest.raises(LedgerError):
        await telemetry.settle()
    full = False
    await telemetry.settle()
    assert [receipt.kind for _, receipt in ledger.tail(0)] == ["call", "call", "tool"]
    telemetry.close()
    ledger.close()


async def test_what_is_cancelled_in_the_middle_is_finished_at_the_end(desk, monkeypatch):
    monkeypatch.setattr(telemetry_module, "REST_S", 0.0)
    begun = asyncio.Event()
    append = desk.ledger.append

    def note(receipt: Receipt) -> None:
        append(receipt)
        begun.set()

    monkeypatch.setattr(desk.telemetry, "_append", note)
    spans = [call_span(CALL, span_id=f"{at:016x}") for at in range(1, 501)]
    task = asyncio.create_task(desk.telemetry.keep())
    await desk.telemetry.receive("traces", export.protobuf(of("traces", *spans)), PROTOBUF, "")
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert desk.ledger.health().entries == 500


async def test_others_have_their_turn_while_a_big_batch_is_read_and_decided(desk):
    spans = [call_span(CALL | {"prompt": "x" * 2_000}, span_id=f"{at:016x}") for at in range(1, 2_001)]
    body = gzip.compress(export.protobuf(of("traces", *spans)))
    turns = {"reading": 0, "deciding": 0}
    doing = "reading"

    async def watch() -> None:
        while True:
            turns[doing] += 1
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    answer = await desk.telemetry.receive("traces", body, PROTOBUF, "gzip")
    doing = "deciding"
    await desk.telemetry.settle()
    watching.cancel()
    assert (answer.status, desk.telemetry.counts) == (200, {"new": 2_000})
    assert min(turns.values()) > 100


async def test_counters_are_receipts_only_where_the_configuration_says_so(desk):
    from tests.adapters.telemetry.test_observe import counter

    points = of("metrics", counter("input", 90.0), counter("output", 9.0))
    assert await desk.tell(points) == []
    desk.telemetry.use(TelemetryConfig(from_metrics=True))
    (receipt,) = await desk.tell(points)
    assert (receipt.usage.input_total, receipt.session) == (90, "s-1")
    assert await desk.tell(points) == []


# -- passing on


async def test_what_the_collector_sends_back_to_us_is_not_sent_to_it_again(tmp_path):
    desk = Desk(tmp_path, FORWARD)
    spans = [call_span(CALL, span_id=f"{at:016x}") for at in range(1, 4)]
    for batch in (of("traces", *spans[:2]), of("traces", spans[1]), of("traces", spans[0], spans[2])):
        await desk.telemetry.receive("traces", export.as_json(batch), JSON, "")
    assert desk.telemetry.forwarder.waiting == 2
    desk.close()


# -- killed


def killed(desk: Desk, home: Path) -> Desk:
    """The next start after `kill -9`: nothing was decided."""
    desk.close()
    return Desk(home)


TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "look",
    "gen_ai.tool.call.result": "geheim",
}


async def test_what_was_taken_is_recorded_after_a_kill(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    spans = (call_span(CALL), call_span(TOOL, span_id="cc" * 8))
    answer = await desk.telemetry.receive("traces", export.protobuf(of("traces", *spans)), PROTOBUF, "")
    assert (answer.status, desk.ledger.health().entries) == (200, 0)
    (file,) = (tmp_path / FOLDER).iterdir()
    assert b"geheim" not in file.read_bytes()
    assert is_left(tmp_path)
    desk = killed(desk, tmp_path)
    receipts = await desk.tell()
    assert sorted(receipt.kind for receipt in receipts) == ["call", "tool"]
    (use,) = (tool_of(receipt) for receipt in receipts if receipt.kind == "tool")
    assert use is not None
    assert use.result_sha256 == hash_of("geheim")
    assert not is_left(tmp_path)
    desk.close()


async def test_what_was_recorded_before_the_kill_is_not_recorded_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    named = TOOL | {"gen_ai.tool.call.id": "call_1234567890ab"}
    spans = (call_span(CALL), call_span(named, span_id="cc" * 8), call_span(TOOL, span_id="dd" * 8))
    await desk.telemetry.receive("traces", export.protobuf(of("traces", *spans)), PROTOBUF, "")
    (file,) = (tmp_path / FOLDER).iterdir()
    kept = file.read_bytes()
    recorded = len(await desk.tell())
    assert not file.exists()
    file.write_bytes(kept + kept[:40])  # killed before it was deleted, in the middle of a line
    desk = killed(desk, tmp_path)
    assert (recorded, await desk.tell()) == (3, [])
    assert not is_left(tmp_path)
    desk.close()


async def test_what_comes_while_others_are_decided_stays_on_the_disk(desk: Desk, tmp_path: Path) -> None:
    await desk.telemetry.receive("traces", export.protobuf(of("traces", call_span(CALL))), PROTOBUF, "")
    settling = asyncio.create_task(desk.telemetry.settle())
    while desk.ledger.health().entries == 0:
        await asyncio.sleep(0)
        later = call_span(CALL, span_id="cc" * 8, trace_id="cd" * 16)
        await desk.telemetry.receive("traces", export.protobuf(of("traces", later)), PROTOBUF, "")
    await settling
    assert is_left(tmp_path)
    await desk.telemetry.settle()
    assert not is_left(tmp_path)


async def test_an_exporter_shall_come_again_when_the_disk_takes_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("in the way")
    body = export.protobuf(of("traces", call_span(CALL)))
    answer = await desk.telemetry.receive("traces", body, PROTOBUF, "")
    assert (answer.status, answer.retry_after_s) == (503, 5)
    (tmp_path / "telemetry").unlink()
    assert len(await desk.tell(of("traces", call_span(CALL)))) == 1


async def test_a_stop_while_what_was_left_is_read_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    await desk.telemetry.receive("traces", export.protobuf(of("traces", call_span(CALL))), PROTOBUF, "")
    desk = killed(desk, tmp_path)
    reading, go_on = threading.Event(), threading.Event()
    left = RestLog.left

    def slow(self: RestLog) -> Iterator[tuple[int, Kept]]:
        reading.set()
        go_on.wait(60)
        yield from left(self)

    monkeypatch.setattr(RestLog, "left", slow)
    keeping = asyncio.create_task(desk.telemetry.keep())
    await asyncio.to_thread(reading.wait, 60)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert is_left(tmp_path)
    go_on.set()
    await desk.telemetry.settle()  # as the house does at its end
    assert [receipt.kind for _, receipt in desk.ledger.tail(0)] == ["call"]
    assert not is_left(tmp_path)
    desk.close()


async def test_two_that_take_up_what_was_left_take_it_up_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.telemetry.receive("traces", export.protobuf(of("traces", call_span(CALL))), PROTOBUF, "")
    desk = killed(desk, tmp_path)
    await asyncio.gather(desk.telemetry.settle(), desk.telemetry.settle())
    assert [receipt.kind for _, receipt in desk.ledger.tail(0)] == ["call"]
    desk.close()
