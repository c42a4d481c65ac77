"""What spans, events and counters tell: the same call in every dialect is the same call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.telemetry.observe import identities, observe
from freehold.adapters.telemetry.signals import Point, Source
from freehold.core.usage import Usage
from tests.adapters.telemetry.export import call_span, event, of

USED = Usage(fresh_in=47, cache_read=64, reasoning=3, visible_out=9)
"""Of a prompt of 111 tokens, 64 of them cached, and an answer of 12, 3 of them thought."""

SEMCONV = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.model": "m-1"}
HEAD = SEMCONV | {
    "gen_ai.provider.name": "openai",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 111,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.cache_read.input_tokens": 64,
    "gen_ai.usage.reasoning.output_tokens": 3,
}
DIALECTS = {
    "GenAI, newest": HEAD,
    "GenAI of 2024": SEMCONV
    | {
        "gen_ai.system": "openai",
        "gen_ai.usage.prompt_tokens": 111,
        "gen_ai.usage.completion_tokens": 12,
        "gen_ai.usage.cache_read_input_tokens": 64,
        "gen_ai.usage.reasoning_tokens": 3,
    },
    "both generations at once": HEAD | {"gen_ai.usage.prompt_tokens": 111, "gen_ai.system": "openai"},
    "numbers as texts": HEAD | {"gen_ai.usage.input_tokens": "111", "gen_ai.usage.output_tokens": "12"},
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "llm.usage.total_tokens": 123,
        "gen_ai.usage.prompt_tokens": 111,
        "gen_ai.usage.completion_tokens": 12,
        "gen_ai.usage.cache_read_input_tokens": 64,
        "llm.usage.reasoning_tokens": 3,
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.model_name": "m-1",
        "llm.token_count.prompt": 111,
        "llm.token_count.completion": 12,
        "llm.token_count.total": 123,
        "llm.token_count.prompt_details.cache_read": 64,
        "llm.token_count.completion_details.reasoning": 3,
    },
    "pydantic-ai": HEAD
    | {"gen_ai.usage.details.cache_read_tokens": 64, "gen_ai.usage.details.reasoning_tokens": 3},
    "Vercel's AI SDK": {
        "ai.operationId": "ai.streamText.doStream",
        "gen_ai.system": "openai.chat",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "gen_ai.usage.input_tokens": 111,
        "gen_ai.usage.output_tokens": 12,
        "ai.usage.cachedInputTokens": 64,
        "ai.usage.reasoningTokens": 3,
    },
}


def the_call(attributes, **facts):
    (seen,) = observe(of("traces", call_span(attributes, **facts))).observed
    return seen


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_tells_the_same_usage(name):
    seen = the_call(DIALECTS[name])
    assert (seen.kind, seen.model, seen.usage) == ("call", "m-1", USED)
    assert seen.usage_raw.startswith("{")


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        ({"gen_ai.provider.name": "anthropic"}, "openlit.instrumentation.anthropic"),
        ({}, "openlit.instrumentation.anthropic"),
        ({"gen_ai.system": "anthropic.messages", "ai.operationId": "ai.generateText.doGenerate"}, "ai"),
    ],
)
def test_who_passes_anthropics_counts_on_excludes_the_cache(names, scope):
    counts = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 70,
        "gen_ai.usage.cache_creation.input_tokens": 20,
    }
    told = SEMCONV | counts
    assert the_call(told | names, scope=scope).usage == Usage(
        fresh_in=100, cache_read=70, cache_write_5m=20, visible_out=5
    )
    by_the_rule = the_call(told | {"gen_ai.provider.name": "anthropic"}, scope="opentelemetry.anthropic")
    assert by_the_rule.usage == Usage(fresh_in=10, cache_read=70, cache_write_5m=20, visible_out=5)


def test_vercels_sdk_passes_on_what_anthropic_said():
    said = '{"anthropic":{"usage":{"input_tokens":47,"cache_read_input_tokens":64,"output_tokens":9}}}'
    told = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.response.providerMetadata": said,
        "gen_ai.system": "anthropic.messages",
        "gen_ai.request.model": "claude",
        "gen_ai.usage.input_tokens": 47,
        "gen_ai.usage.output_tokens": 9,
    }
    seen = the_call(told, scope="ai")
    assert (seen.usage, seen.provider) == (Usage(fresh_in=47, cache_read=64, visible_out=9), "anthropic")
    for broken in ("", "{", '{"anthropic":null}', '{"anthropic":{"usage":5}}', "[" * 5_000):
        again = the_call(told | {"ai.response.providerMetadata": broken}, scope="ai")
        assert again.usage.input_total == 47


def test_more_cached_than_input_cannot_be_part_of_it():
    told = HEAD | {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 90}
    assert the_call(told).usage.input_total == 100


def test_zero_is_a_count_and_nothing_is_none():
    told = SEMCONV | {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    assert the_call(told).usage_raw != ""
    assert the_call(SEMCONV).usage_raw == ""


@pytest.mark.parametrize("bad", [-5, 1e400, "many", True, 2.0**60, float("nan")])
def test_counts_that_are_none_are_read_as_absent(bad):
    told = SEMCONV | {"gen_ai.usage.input_tokens": bad, "gen_ai.usage.output_tokens": 4}
    assert the_call(told).usage == Usage(visible_out=4)


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 9,
        },
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 9},
        {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 9, "llm.model_name": "m"},
        {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 9},
        {"traceloop.span.kind": "workflow", "gen_ai.usage.prompt_tokens": 9},
        {"ai.operationId": "ai.generateText", "ai.model.id": "m", "ai.usage.promptTokens": 9},
        {"gen_ai.usage.input_tokens": 9},
        {"db.system": "postgresql"},
        HEAD | {"logfire.span_type": "pending_span"},
        {},
    ],
)
def test_agents_chains_and_others_are_no_calls(attributes):
    assert observe(of("traces", call_span(attributes))).observed == ()


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "look",
            "gen_ai.tool.call.arguments": "{}",
            "gen_ai.tool.call.result": "rain",
        },
        {"openinference.span.kind": "TOOL", "tool.name": "look", "input.value": "{}", "output.value": "rain"},
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "look",
            "traceloop.entity.input": "{}",
            "traceloop.entity.output": "rain",
        },
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "look",
            "ai.toolCall.args": "{}",
            "ai.toolCall.result": "rain",
        },
    ],
)
def test_tool_uses_in_every_dialect(attributes):
    seen = the_call(attributes)
    assert (seen.kind, seen.tool, seen.arguments, seen.result) == ("tool", "look", "{}", "rain")


def test_where_and_for_whom_a_call_was_made():
    told = HEAD | {
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.conversation.id": "c-1",
        "gen_ai.agent.name": "clerk",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "operation.cost": 0.00001905,
    }
    seen = the_call(told, resource={"service.name": "shop", "freehold.project": "site"})
    assert (seen.address, seen.provider) == ("api.openai.com:443", "openai")
    assert (seen.session, seen.agent, seen.project, seen.service) == ("c-1", "clerk", "site", "shop")
    assert (seen.stream, seen.first_byte_us, seen.stated_nanos) == (True, 250_000, 19_050)
    assert (seen.started_ms, seen.duration_us, seen.response_id) == (
        1_767_225_700_000,
        1_000_000,
        "chatcmpl-1",
    )


def test_without_an_agents_name_the_service_is_the_agent():
    assert the_call(HEAD).agent == "shop"
    assert the_call(HEAD, resource={"service.name": "unknown_service:python"}).agent == ""


def test_an_error_is_told_by_its_kind_and_never_by_its_words():
    seen = the_call(
        SEMCONV, failed=True, message="cannot answer: my secret prompt", exception="RateLimitError"
    )
    assert seen.error == "RateLimitError"
    assert "secret" not in the_call(SEMCONV, failed=True, message="my secret prompt").error


def test_the_id_of_an_answer_is_read_where_the_answer_stands():
    told = DIALECTS["OpenInference"] | {"output.value": '{"id":"chatcmpl-77","choices":[]}'}
    assert the_call(told).response_id == "chatcmpl-77"


def test_passages_tell_where_they_went_and_which_receipt_came_back():
    went = the_call({"http.request.method": "POST", "url.full": "http://127.0.0.1:8484/v1/chat/completions"})
    assert (went.kind, went.address) == ("passage", "127.0.0.1:8484")
    told = {"http.request.method": "POST", "http.response.header.x-freehold-receipt": "r-1"}
    assert the_call(told).receipt == "r-1"
    assert the_call(HEAD | {"freehold.receipt": "r-2"}).kind == "passage"


# -- agents' own exports, as captured of Claude Code 2.1.329 and Codex 0.169.0

CLAUDE = {
    "session.id": "s-1",
    "event.name": "api_request",
    "model": "claude-sonnet-4-5",
    "input_tokens": 47,
    "output_tokens": 14,
    "cache_read_tokens": 64,
    "cache_creation_tokens": 30,
    "cache_creation_5m_tokens": 10,
    "cache_creation_1h_tokens": 20,
    "cost_usd": 0.00037019999999999995,
    "cost_usd_micros": 370,
    "duration_ms": 41,
    "ttft_ms": 13,
    "request_id": "req_1",
    "speed": "normal",
}
CLAUDE_USED = Usage(fresh_in=47, cache_read=64, cache_write_5m=10, cache_write_1h=20, visible_out=14)


def test_claude_codes_event_of_a_call():
    (seen,) = observe(of("logs", event("claude_code.api_request", CLAUDE))).observed
    assert (seen.kind, seen.provider, seen.model) == ("call", "anthropic", "claude-sonnet-4-5")
    assert (seen.usage, seen.stated_nanos, seen.request_id) == (CLAUDE_USED, 370_000, "req_1")
    assert (seen.started_ms, seen.duration_us) == (1_767_225_701_000 - 41, 41_000)
    assert (seen.session, seen.agent, seen.speed, seen.error) == ("s-1", "agent", "", "")


def test_claude_codes_numbers_may_be_texts():
    (seen,) = observe(
        of("logs", event("claude_code.api_request", {name: str(value) for name, value in CLAUDE.items()}))
    ).observed
    assert (seen.usage, seen.stated_nanos) == (CLAUDE_USED, 370_000)


def test_claude_codes_span_of_the_same_call():
    told = {name: value for name, value in CLAUDE.items() if not name.startswith(("event", "cost"))}
    span = call_span(
        told | {"span.type": "llm_request", "success": True},
        name="claude_code.llm_request",
        scope="com.anthropic.claude_code.tracing",
    )
    (seen,) = observe(of("traces", span)).observed
    assert (seen.usage, seen.request_id, seen.duration_us) == (CLAUDE_USED, "req_1", 1_000_000)


def test_claude_codes_failed_calls_and_tools():
    failed = event("claude_code.api_error", {"event.name": "api_error", "model": "m", "status_code": "529"})
    used = {"event.name": "tool_result", "tool_name": "Bash", "tool_use_id": "toolu_1", "success": "false"}
    others = event("claude_code.user_prompt", {"event.name": "user_prompt", "prompt": "secret"})
    told = observe(of("logs", failed, event("claude_code.tool_result", used | {"duration_ms": "26"}), others))
    assert [(seen.kind, seen.error) for seen in told.observed] == [
        ("call", "api_error 529"),
        ("tool", "error"),
    ]
    assert told.observed[1].duration_us == 26_000


def counter(kind, value, *, delta=True, metric="claude_code.token.usage", start_s=1_767_225_600):
    found = {"session.id": "s-1", "model": "claude-sonnet-4-5", "query_source": "main", "type": kind}
    return Point(
        source=Source({"service.name": "claude-code"}, "com.anthropic.claude_code"),
        metric=metric,
        start_ns=start_s * 10**9,
        time_ns=(start_s + 60) * 10**9,
        value=value,
        delta=delta,
        attributes=found,
    )


def test_claude_codes_counters_are_one_sum_and_only_where_asked_for():
    points = of(
        "metrics",
        counter("input", 94.0),
        counter("output", 23.0),
        counter("cacheRead", 128.0),
        counter("cacheCreation", 0.0),
        counter("", 0.0006654, metric="claude_code.cost.usage"),
        counter("cli", 3.0, metric="claude_code.active_time.total"),
    )
    assert observe(points).observed == ()
    (seen,) = observe(points, from_metrics=True).observed
    assert seen.usage == Usage(fresh_in=94, cache_read=128, visible_out=23)
    assert (seen.of_many, seen.session, seen.duration_us) == (True, "s-1", 60_000_000)
    assert seen.stated_nanos == 665_400


def test_counters_that_are_totals_are_left_out_and_counted():
    told = observe(of("metrics", counter("input", 94.0, delta=False)), from_metrics=True)
    assert (told.observed, told.unread) == ((), 1)


CODEX = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "input_token_count": "111",
    "output_token_count": "12",
    "cached_token_count": 64,
    "reasoning_token_count": 3,
    "tool_token_count": "123",
    "conversation.id": "c-1",
    "model": "gpt-5-codex",
}


def test_codex_tells_a_call_once_with_its_counts():
    bare = {name: value for name, value in CODEX.items() if "token" not in name}
    created = bare | {"event.kind": "response.created"}
    told = observe(of("logs", *(event("event file.rs:1", each) for each in (created, bare, CODEX))))
    (seen,) = told.observed
    assert (seen.usage, seen.model, seen.session) == (USED, "gpt-5-codex", "c-1")
    assert (seen.provider, seen.duration_us) == ("openai", None)


def test_codex_tells_of_tools():
    said = {"event.name": "codex.tool_result", "tool_name": "shell", "call_id": "call_9", "success": "true"}
    more = {"duration_ms": "5", "arguments": "{}", "agent_name": "/root", "output_truncated": False}
    (seen,) = observe(of("logs", event("x", said | more))).observed
    assert (seen.kind, seen.tool, seen.tool_call_id, seen.error) == ("tool", "shell", "call_9", "")
    assert (seen.agent, seen.duration_us, seen.arguments) == ("agent", 5_000, "{}")


# -- anything

names = st.sampled_from(
    sorted(set().union(*DIALECTS.values(), CLAUDE, CODEX, ["gen_ai.tool.name", "server.address", "url.full"]))
)
anything = st.dictionaries(
    names,
    st.one_of(st.text(max_size=8), st.booleans(), st.integers(), st.floats(), st.just("http://[")),
    max_size=9,
)


@given(anything, anything)
def test_any_attributes_make_disjoint_counts_or_nothing(one, other):
    told = observe(of("traces", call_span(one, scope="com.anthropic.claude_code.tracing"), call_span(other)))
    told_logs = observe(of("logs", event("claude_code.x", one), event("x", other)))
    for seen in (*told.observed, *told_logs.observed):
        assert min(getattr(seen.usage, name) for name in Usage.__struct_fields__) >= 0
        assert seen.usage.input_total < 2**60


@given(anything)
def test_items_are_the_same_whenever_they_come(found):
    batch = of("traces", call_span(found))
    assert list(identities(batch)) == list(identities(batch))


@pytest.mark.parametrize(("start_ns", "end_ns"), [(0, 10**18), (10**18, 10**18 - 1), (1, 10**18), (0, 0)])
def test_times_that_cannot_be_are_no_duration(start_ns: int, end_ns: int) -> None:
    found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    span = call_span(found, start_ns=start_ns, end_ns=end_ns)
    (seen,) = observe(of("traces", span)).observed
    assert seen.duration_us is None


def test_why_a_call_ended_is_told_by_its_span() -> None:
    found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    span = call_span(found | {"gen_ai.response.finish_reasons": "length"})
    (seen,) = observe(of("traces", span)).observed
    assert seen.finish == "length"
