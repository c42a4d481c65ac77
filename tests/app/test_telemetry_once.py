"""One call that is told of in several ways, and calls that only look like one: each is recorded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.adapters.telemetry.signals import LogRecord, Span
from freehold.core.catalog import Provider
from freehold.receipts.tools import tool_of
from tests.adapters.telemetry.export import call_span, event, of
from tests.app.telling import CALL, Desk, ours

SPAN, AROUND, OUTER = "0c" * 8, "0b" * 8, "0d" * 8


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


# -- Claude Code

CLAUDE = {"session.id": "s-1", "model": "claude-x"}
COUNTS = {"input_tokens": 100, "output_tokens": 10}
PAID = COUNTS | {"cost_usd": 0.5, "duration_ms": 1000}


def claude(name: str, facts: dict[str, Any], **ids: str) -> LogRecord:
    scope = "com.anthropic.claude_code.events"
    return event(f"claude_code.{name}", CLAUDE | {"event.name": name} | facts, scope=scope, **ids)


@pytest.mark.parametrize("refusal_first", [False, True])
async def test_a_refusal_beside_its_request_is_the_same_call(desk: Desk, refusal_first: bool) -> None:
    named = {"request_id": "req_011CAbcdefghijkl"}
    records = [claude("api_request", PAID | named), claude("api_refusal", named)]
    (receipt,) = await desk.tell(of("logs", *(records[::-1] if refusal_first else records)))
    assert (receipt.cost_nanos, receipt.usage.input_total) == (500_000_000, 100)


@pytest.mark.parametrize("span_first", [False, True])
async def test_an_event_and_a_span_without_the_requests_id_are_the_same_call(
    desk: Desk, span_first: bool
) -> None:
    told = of("logs", claude("api_request", PAID, trace_id="0a" * 16, span_id=AROUND))
    facts = CLAUDE | COUNTS | {"span.type": "llm_request"}
    scope = "com.anthropic.claude_code.tracing"
    span = of("traces", call_span(facts, scope=scope, span_id=SPAN, parent_id=AROUND))
    receipts = [
        each for batch in ((span, told) if span_first else (told, span)) for each in await desk.tell(batch)
    ]
    assert len(receipts) == 1


# -- ids that are none


async def test_a_request_id_of_the_app_itself_does_not_make_its_calls_one(desk: Desk) -> None:
    """One web request, several calls."""
    facts = CALL | {"request_id": "1d8b8f3e-7a53-4a0e-9a3a-0f4c2a3f0b11"}
    spans = [
        call_span(facts | {"gen_ai.response.id": f"chatcmpl-abcdefghijkl{n}"}, span_id=f"{n:016x}")
        for n in (1, 2, 3)
    ]
    assert len(await desk.tell(*(of("traces", span) for span in spans))) == 3


async def test_a_retry_of_an_exporter_whose_clock_is_ahead_changes_nothing(desk: Desk) -> None:
    facts = {
        "event.name": "codex.sse_event",
        "event.kind": "response.completed",
        "input_token_count": "100",
        "output_token_count": "10",
        "model": "gpt-5",
        "conversation.id": "c-1",
    }
    record = event("", facts, scope="codex", resource={"service.name": "codex"})
    ahead = of("logs", msgspec.structs.replace(record, time_ns=record.time_ns + 7_200 * 10**9))
    assert len(await desk.tell(ahead)) == 1
    assert await desk.tell(ahead) == []


# -- spans in spans


async def test_a_child_that_comes_after_its_recorded_parent_is_the_same_call(desk: Desk) -> None:
    assert len(await desk.tell(of("traces", call_span(CALL, span_id=AROUND)))) == 1
    child = call_span(CALL, span_id=SPAN, parent_id=AROUND, scope="other")
    assert await desk.tell(of("traces", child)) == []


async def test_a_child_with_other_counts_than_its_recorded_parent_is_another_call(desk: Desk) -> None:
    assert len(await desk.tell(of("traces", call_span(CALL, span_id=AROUND)))) == 1
    other = CALL | {"gen_ai.usage.input_tokens": 99}
    child = call_span(other, span_id=SPAN, parent_id=AROUND, scope="other")
    assert len(await desk.tell(of("traces", child))) == 1


def delegation(call_id: str, **ids: str) -> Span:
    names = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "delegate"}
    return call_span(names | {"gen_ai.tool.call.id": call_id}, **ids)


OUTSIDE = delegation("call_outer00000000001", span_id=OUTER)
AGENT = call_span({"gen_ai.operation.name": "invoke_agent"}, span_id=AROUND, parent_id=OUTER)
INSIDE = delegation("call_inner00000000001", span_id=SPAN, parent_id=AROUND)


@pytest.mark.parametrize("batches", [[(OUTSIDE, AGENT, INSIDE)], [(INSIDE,), (AGENT, OUTSIDE)]])
async def test_a_tool_within_the_same_tool_with_another_id_is_another_use(
    desk: Desk, batches: Sequence[Sequence[Span]]
) -> None:
    receipts = [each for spans in batches for each in await desk.tell(of("traces", *spans))]
    uses = [use for each in receipts if (use := tool_of(each)) is not None]
    assert sorted(use.call_id for use in uses) == ["call_inner00000000001", "call_outer00000000001"]


# -- addresses


async def test_our_own_call_that_is_told_of_without_a_port_is_recognised(desk: Desk) -> None:
    ollama = Provider(name="o", dialect="openai", base_url="http://localhost:11434/v1", price_as="local")
    desk.telemetry.use_port(8400, lambda: {"o": ollama})
    desk.ledger.append(ours())
    assert await desk.tell(of("traces", call_span(CALL | {"server.address": "localhost"}))) == []
    assert desk.telemetry.counts == {"time": 1}
