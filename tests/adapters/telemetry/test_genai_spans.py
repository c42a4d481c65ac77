"""Calls as spans: what leaves is what our own reader of the conventions takes in, in every generation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.telemetry.genai_spans import (
    encoded,
    span_id_of,
    span_of_tool,
    spans_of,
    trace_id_of,
    traces,
)
from freehold.adapters.telemetry.intake import read_request
from freehold.adapters.telemetry.observe import observe
from freehold.adapters.telemetry.signals import Batch, Span
from freehold.adapters.telemetry.spans_genai import call_of
from freehold.core.config_telemetry import Conventions, OtlpProtocol
from freehold.core.observed import CallSpan, ToolSpan, Try
from freehold.core.usage import Usage

STARTED_US = 1_790_000_000_000_000
CONVENTIONS: tuple[Conventions, ...] = ("latest", "1.41", "1.36")
PROTOCOLS: tuple[OtlpProtocol, ...] = ("http/protobuf", "http/json")


def call(**changes: Any) -> CallSpan:
    facts: dict[str, Any] = {
        "receipt": "r1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": span_id_of("r1"),
        "parent_id": "b7ad6b7169203331",
        "endpoint": "messages",
        "provider": "anthropic",
        "model": "claude-x-1",
        "model_asked": "claude-x",
        "deployment": "anthropic/claude-x-1",
        "route": "the cheapest that does it",
        "stream": True,
        "started_us": STARTED_US,
        "total_us": 2_500_000,
        "first_byte_us": 300_000,
        "status": 200,
        "outcome": "ok",
        "usage": Usage(fresh_in=10, cache_read=70, cache_write_5m=5, visible_out=7, reasoning=3),
        "usage_known": True,
        "cost_nanos": 1_234_567,
        "cost_state": "computed",
        "response_id": "msg_1",
        "finish": "end_turn",
        "address": "api.anthropic.com",
        "project": "site",
        "agent": "writer",
        "session": "s-1",
        "task": "code",
    }
    return CallSpan(**(facts | changes))


def read(calls: list[CallSpan] | list[ToolSpan], conventions: Conventions, protocol: OtlpProtocol) -> Batch:
    spans = [span for call in calls for span in encoded(call, conventions, protocol)]
    body, content_type = traces(spans, conventions, protocol, "9.9")
    batch = read_request("traces", body, content_type, "")
    assert batch.rejected == 0
    return batch


class _Attribute(msgspec.Struct):
    key: str
    value: dict[str, Any]


class _Written(msgspec.Struct):
    """A span in OTLP/JSON."""

    attributes: list[_Attribute]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [each.value for each in self.attributes if each.key == name]


def only(conventions: Conventions = "latest", **changes: Any) -> Span:
    (span,) = read([call(**changes)], conventions, "http/protobuf").spans
    return span


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_both_encodings_say_the_same(conventions: Conventions) -> None:
    calls = [call(), call(receipt="r2", parent_id="", outcome="error", status=502, error="gone \ud800")]
    binary, text = (read(calls, conventions, protocol) for protocol in PROTOCOLS)
    assert binary == text
    assert len(binary.spans) == 2


def test_a_span_hangs_in_the_clients_own_trace() -> None:
    span = only()
    assert (span.trace_id, span.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert (span.name, span.failed) == ("chat claude-x", False)
    assert (span.start_ns, span.end_ns) == (STARTED_US * 1000, (STARTED_US + 2_500_000) * 1000)
    assert (span.source.service, span.source.scope) == ("freehold", "freehold")


def test_what_the_newest_conventions_call_it() -> None:
    found = only().attributes
    assert dict(found) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "claude-x-1",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.finish_reasons": "end_turn",
        "gen_ai.response.time_to_first_chunk": 0.3,
        "gen_ai.conversation.id": "s-1",
        "gen_ai.agent.name": "writer",
        "gen_ai.usage.input_tokens": 85,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 70,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "gen_ai.usage.cost": 0.001234567,
        "server.address": "api.anthropic.com",
        "http.response.status_code": 200,
        "freehold.receipt": "r1",
        "freehold.outcome": "ok",
        "freehold.deployment": "anthropic/claude-x-1",
        "freehold.route": "the cheapest that does it",
        "freehold.cost.nano_usd": 1_234_567,
        "freehold.cost.state": "computed",
        "freehold.agent": "writer",
        "freehold.project": "site",
        "freehold.task": "code",
    }


def test_why_it_ended_is_a_list_of_texts() -> None:
    (span,) = spans_of(call(), "latest")
    assert span.attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    (written,) = msgspec.json.decode(encoded(call(), "1.36", "http/json")[0], type=_Written).named(
        "gen_ai.response.finish_reasons"
    )
    assert written == {"arrayValue": {"values": [{"stringValue": "end_turn"}]}}


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_tools_use_is_a_span_of_its_own(conventions: Conventions, protocol: OtlpProtocol) -> None:
    use = ToolSpan(
        receipt="t1",
        tool="search",
        server="docs",
        call_id="toolu_1",
        started_us=STARTED_US,
        total_us=35_500,
        outcome="error",
        error="no such index",
        project="site",
        agent="writer",
        session="s-1",
    )
    (span,) = read([use], conventions, protocol).spans
    assert (span.name, span.failed, span.message) == ("execute_tool search", True, "no such index")
    assert (span.trace_id, span.span_id) == (trace_id_of("t1"), span_id_of("t1"))
    assert span.end_ns - span.start_ns == 35_500_000
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "toolu_1",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.agent.name": "writer",
        "error.type": "tool_error",
        "freehold.receipt": "t1",
        "freehold.outcome": "error",
        "freehold.tool.server": "docs",
        "freehold.agent": "writer",
        "freehold.project": "site",
    }
    assert span_of_tool(use).kind == "internal"
    (seen,) = observe(Batch(spans=(span,))).observed
    assert (seen.kind, seen.receipt) == ("passage", "t1")  # what a collector sends back makes no receipt


def test_older_generations_have_the_names_of_their_time() -> None:
    newest, before, old = (set(only(each).attributes) for each in CONVENTIONS)
    assert newest - before == {"gen_ai.usage.cache_write.input_tokens"}
    assert before - newest == {"gen_ai.usage.cache_creation.input_tokens"}
    assert old - before == {"gen_ai.system"}
    assert before - old == {
        "gen_ai.provider.name",
        "gen_ai.request.stream",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    }


@pytest.mark.parametrize(
    ("provider", "now", "then"),
    [
        ("xai", "x_ai", "xai"),
        ("azure", "azure.ai.openai", "az.ai.openai"),
        ("groq", "groq", "groq"),
        ("", "freehold", "freehold"),
    ],
)
def test_providers_are_called_as_the_conventions_do(provider: str, now: str, then: str) -> None:
    assert only(provider=provider).attributes["gen_ai.provider.name"] == now
    assert only("1.36", provider=provider).attributes["gen_ai.system"] == then


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"outcome": "error", "status": 502}, "502"),
        ({"outcome": "refused", "status": 429}, "429"),
        ({"outcome": "cancelled", "status": 0}, "cancelled"),
        ({"outcome": "truncated", "status": 200}, "truncated"),
    ],
)
def test_what_failed_says_how(changes: dict[str, Any], kind: str) -> None:
    span = only(error="it went away", **changes)
    assert (span.failed, span.message, span.attributes["error.type"]) == (True, "it went away", kind)


def test_unknown_is_not_zero_and_zero_is_not_unknown() -> None:
    unknown = only(usage_known=False, cost_state="unknown").attributes
    assert not [name for name in unknown if name.startswith("gen_ai.usage") or name.endswith("nano_usd")]
    free = only(usage=Usage(), cost_nanos=0, cost_state="free").attributes
    assert (free["gen_ai.usage.input_tokens"], free["freehold.cost.nano_usd"]) == (0, 0)


def test_one_attempt_is_the_call_and_several_are_spans_in_it() -> None:
    first = Try(deployment="groq/m", start_us=0, total_us=1_000, status=503, error="full")
    second = Try(deployment="anthropic/claude-x-1", start_us=2_000, total_us=3_000, status=200)
    assert len(list(spans_of(call(tries=(second,)), "latest"))) == 1
    whole, one, two = spans_of(call(tries=(first, second)), "latest")
    assert [each.parent_id for each in (one, two)] == [whole.span_id] * 2
    assert (one.name, one.failed, one.attributes["error.type"]) == ("attempt groq/m", True, "503")
    assert (two.start_ns, two.end_ns) == ((STARTED_US + 2_000) * 1000, (STARTED_US + 5_000) * 1000)
    assert (two.failed, "error.type" in two.attributes) == (False, False)
    assert len({whole.span_id, one.span_id, two.span_id}) == 3


def test_what_comes_back_to_us_is_known_by_its_receipt() -> None:
    attempts = (
        Try(deployment="a", start_us=0, total_us=1, status=500),
        Try(deployment="b", start_us=1, total_us=1),
    )
    told = observe(read([call(tries=attempts)], "latest", "http/json"), from_metrics=False)
    assert [seen.receipt for seen in told.observed] == ["r1"]


counts = st.integers(0, 10**7)
usages = st.builds(
    Usage, fresh_in=counts, cache_read=counts, cache_write_5m=counts, visible_out=counts, reasoning=counts
)


@given(usages, st.sampled_from(CONVENTIONS), st.sampled_from(PROTOCOLS), st.text(max_size=30), st.booleans())
def test_a_reader_of_the_conventions_counts_what_we_counted(
    usage: Usage, conventions: Conventions, protocol: OtlpProtocol, words: str, other: bool
) -> None:
    sent = call(
        usage=usage, route=words, error=words, project=words, provider="openai" if other else "anthropic"
    )
    (span,) = read([sent], conventions, protocol).spans
    seen = call_of(span)
    assert seen is not None
    assert (seen.usage.input_total, seen.usage.output_total) == (usage.input_total, usage.output_total)
    assert (seen.model, seen.model_asked, seen.session) == ("claude-x-1", "claude-x", "s-1")
    assert seen.stated_nanos == 1_234_567
    if conventions != "1.36":
        assert (seen.usage.cache_read, seen.usage.reasoning) == (usage.cache_read, usage.reasoning)


def test_ids_are_valid_and_stay_the_same() -> None:
    assert (len(trace_id_of("r1")), len(span_id_of("r1"))) == (32, 16)
    assert trace_id_of("r1") == trace_id_of("r1") != trace_id_of("r2")
