from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.catalog import Dialect
from freehold.core.usage import Usage
from freehold.dialects.usage import merge_usage, usage_object, usage_of


def read(dialect: Dialect, **usage: Any) -> Usage:
    return usage_of(dialect, json.dumps(usage).encode())


def test_openai_prompt_tokens_include_the_cache_and_are_counted_once() -> None:
    found = read(
        "chat",
        prompt_tokens=1000,
        completion_tokens=50,
        total_tokens=1050,
        prompt_tokens_details={"cached_tokens": 900},
        completion_tokens_details={"reasoning_tokens": 30},
    )
    assert found == Usage(fresh_in=100, cache_read=900, visible_out=20, reasoning=30)


def test_anthropic_input_tokens_exclude_the_cache_and_writes_are_split_by_retention() -> None:
    found = read(
        "messages",
        input_tokens=10,
        cache_read_input_tokens=900,
        cache_creation_input_tokens=500,
        cache_creation={"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
        output_tokens=40,
        output_tokens_details={"thinking_tokens": 25},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 1},
    )
    assert found == Usage(
        fresh_in=10,
        cache_read=900,
        cache_write_5m=200,
        cache_write_1h=300,
        visible_out=15,
        reasoning=25,
        web_searches=2,
    )


def test_a_cache_write_without_split_is_short_retention() -> None:
    assert (
        read("messages", input_tokens=1, output_tokens=1, cache_creation_input_tokens=5).cache_write_5m == 5
    )


def test_an_anthropic_compaction_is_paid_for_although_the_totals_leave_it_out() -> None:
    found = read(
        "messages",
        input_tokens=10,
        output_tokens=5,
        iterations=[
            {"type": "compaction", "input_tokens": 1000, "output_tokens": 100},
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
        ],
    )
    assert (found.input_total, found.output_total) == (1010, 105)


HABITS: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "DeepSeek names cache hits at the top",
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "prompt_cache_hit_tokens": 8,
            "prompt_cache_miss_tokens": 2,
        },
        Usage(fresh_in=2, cache_read=8, visible_out=2),
    ),
    (
        "Moonshot names cached_tokens at the top",
        {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 8},
        Usage(fresh_in=2, cache_read=8, visible_out=2),
    ),
    (
        "vLLM sends null details",
        {"prompt_tokens": 10, "total_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": None},
        Usage(fresh_in=10, visible_out=2),
    ),
    (
        "SGLang names reasoning at the top, inside the completion",
        {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, "reasoning_tokens": 4},
        Usage(fresh_in=10, visible_out=5, reasoning=4),
    ),
    (
        "xAI counts reasoning beside the completion",
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 112,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        Usage(fresh_in=10, visible_out=2, reasoning=100),
    ),
    (
        "xAI counts reasoning beside the completion, as much as it cached",
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 160,
            "prompt_tokens_details": {"cached_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 50},
        },
        Usage(fresh_in=50, cache_read=50, visible_out=10, reasoning=50),
    ),
    (
        "the total tells reasoning beside a longer completion",
        {
            "prompt_tokens": 10,
            "completion_tokens": 200,
            "total_tokens": 310,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        Usage(fresh_in=10, visible_out=200, reasoning=100),
    ),
    (
        "Gemini's compatible endpoint counts thoughts in the total only",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 92},
        Usage(fresh_in=10, visible_out=2, reasoning=80),
    ),
    (
        "a gateway excludes the cache from prompt_tokens",
        {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 90}},
        Usage(fresh_in=10, cache_read=90, visible_out=2),
    ),
    (
        "a gateway excludes the cache, and its total says so",
        {
            "prompt_tokens": 100,
            "completion_tokens": 2,
            "total_tokens": 192,
            "prompt_tokens_details": {"cached_tokens": 90},
        },
        Usage(fresh_in=100, cache_read=90, visible_out=2),
    ),
    (
        "OpenRouter writes to the cache and searches the web",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30, "audio_tokens": 0},
            "server_tool_use": {"web_search_requests": 1},
            "cost": 0.1,
        },
        Usage(fresh_in=50, cache_read=20, cache_write_5m=30, visible_out=5, web_searches=1),
    ),
    (
        "audio in and out have their own buckets",
        {
            "prompt_tokens": 100,
            "completion_tokens": 60,
            "prompt_tokens_details": {"audio_tokens": 80, "text_tokens": 20},
            "completion_tokens_details": {"audio_tokens": 50, "text_tokens": 10},
        },
        Usage(fresh_in=20, audio_in=80, visible_out=10, audio_out=50),
    ),
    (
        "cached audio is not counted twice",
        {
            "input_tokens": 100,
            "output_tokens": 0,
            "input_token_details": {
                "cached_tokens": 70,
                "audio_tokens": 80,
                "cached_tokens_details": {"audio_tokens": 60},
            },
        },
        Usage(fresh_in=10, cache_read=70, audio_in=20),
    ),
    (
        "image generation counts like Responses",
        {
            "input_tokens": 50,
            "output_tokens": 1000,
            "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
            "output_tokens_details": {"image_tokens": 1000},
        },
        Usage(fresh_in=10, image_in=40, image_out=1000),
    ),
    ("embeddings have no completion", {"prompt_tokens": 8, "total_tokens": 8}, Usage(fresh_in=8)),
    ("rerankers name only the total", {"total_tokens": 8}, Usage(fresh_in=8)),
    (
        "explicit zero is a value",
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        Usage(),
    ),
    (
        "llama.cpp counts plainly",
        {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7, "timings": {}},
        Usage(fresh_in=4, visible_out=3),
    ),
]


@pytest.mark.parametrize(("habit", "usage", "expected"), HABITS, ids=[habit for habit, _, _ in HABITS])
def test_habits_of_openai_like_servers(habit: str, usage: dict[str, Any], expected: Usage) -> None:
    assert read("chat", **usage) == expected


def test_responses_usage_with_its_cache_retentions() -> None:
    found = read(
        "responses",
        input_tokens=100,
        output_tokens=10,
        total_tokens=110,
        input_tokens_details={
            "cached_tokens": 20,
            "cache_write_tokens": 30,
            "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
        },
        output_tokens_details={"reasoning_tokens": 4},
    )
    assert found == Usage(
        fresh_in=50, cache_read=20, cache_write_5m=10, cache_write_1h=20, visible_out=6, reasoning=4
    )


def test_ollama_counts_come_from_the_final_object() -> None:
    assert read("ollama", prompt_eval_count=5, eval_count=7, done=True) == Usage(fresh_in=5, visible_out=7)


def test_a_messages_server_with_openai_names_is_understood() -> None:
    assert read("messages", prompt_tokens=5, completion_tokens=7) == Usage(fresh_in=5, visible_out=7)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens", "image_tokens"]), inner
        )
    ),
    max_leaves=4,
)
FIELDS = [
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
    "prompt_tokens_details", "completion_tokens_details", "cache_read_input_tokens",
    "cache_creation_input_tokens", "cache_creation", "iterations", "reasoning_tokens", "server_tool_use",
]  # fmt: skip


@given(
    st.sampled_from(["chat", "messages", "responses", "ollama"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
)
def test_odd_content_never_raises_and_no_bucket_is_negative(dialect: Dialect, usage: dict[str, Any]) -> None:
    found = read(dialect, **usage)
    assert all(getattr(found, name) >= 0 for name in Usage.__struct_fields__)


@given(
    st.fixed_dictionaries(
        {name: st.integers(0, 50) for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        optional={
            "prompt_tokens_details": st.none()
            | st.dictionaries(
                st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens"]), st.integers(0, 30)
            ),
            "completion_tokens_details": st.none()
            | st.dictionaries(
                st.sampled_from(["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens"]),
                st.integers(0, 30),
            ),
        },
    )
)
def test_the_short_way_of_usual_chat_usage_and_the_thorough_one_agree(usage: dict[str, Any]) -> None:
    assert read("chat", **usage) == read("responses", **usage)  # which has no short way


@given(
    prompt=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    details=st.dictionaries(
        st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"]),
        st.integers(0, 10**5),
    ),
    out_details=st.dictionaries(
        st.sampled_from(["audio_tokens", "image_tokens", "reasoning_tokens"]), st.integers(0, 10**5)
    ),
)
def test_with_a_total_the_buckets_add_up_to_it(
    prompt: int, output: int, details: dict[str, int], out_details: dict[str, int]
) -> None:
    prompt += sum(details.values())
    output += sum(out_details.values())
    found = read(
        "chat",
        prompt_tokens=prompt,
        completion_tokens=output,
        total_tokens=prompt + output,
        prompt_tokens_details=details,
        completion_tokens_details=out_details,
    )
    assert (found.input_total, found.output_total) == (prompt, output)


@pytest.mark.parametrize("raw", [b"", b"null", b"[1]", b"7", b"{", b'{"prompt_tokens": "x"}', b"\xff"])
def test_what_is_no_usage_object_is_no_usage(raw: bytes) -> None:
    assert usage_of("chat", raw) == Usage()


counts = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    audio_in=counts, audio_out=counts, cache_read=counts, cache_write_5m=counts, fresh_in=counts,
    image_in=counts, image_out=counts, reasoning=counts, visible_out=counts,
)  # fmt: skip


@given(usages, st.sampled_from(["chat", "responses"]))
def test_what_we_write_for_openai_clients_reads_back_the_same(usage: Usage, dialect: Dialect) -> None:
    assert usage_of(dialect, msgspec.json.encode(usage_object(dialect, usage))) == usage


@given(usages, counts, counts)
def test_messages_keep_the_sums_and_the_cache_classes(usage: Usage, long: int, searches: int) -> None:
    usage = msgspec.structs.replace(usage, cache_write_1h=long, web_searches=searches)
    back = usage_of("messages", msgspec.json.encode(usage_object("messages", usage)))
    assert (back.input_total, back.output_total) == (usage.input_total, usage.output_total)
    assert (back.cache_read, back.cache_write_5m, back.cache_write_1h) == (
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
    )
    assert (back.reasoning, back.web_searches) == (usage.reasoning, usage.web_searches)


def merged(earlier: dict[str, Any] | None, later: dict[str, Any]) -> dict[str, Any]:
    start = None if earlier is None else json.dumps(earlier).encode()
    return json.loads(merge_usage(start, json.dumps(later).encode()))


def test_a_delta_is_a_cumulative_total_and_never_added() -> None:
    start = {"input_tokens": 10, "output_tokens": 3, "cache_creation": {"ephemeral_1h_input_tokens": 4}}
    found = merged(start, {"output_tokens": 50, "cache_creation": None})
    assert found == {**start, "output_tokens": 50}


def test_zeros_in_a_delta_do_not_erase_what_the_start_counted() -> None:
    found = merged(
        {"input_tokens": 10, "cache_read_input_tokens": 5}, {"input_tokens": 0, "output_tokens": 0}
    )
    assert found == {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 0}


def test_a_delta_alone_is_a_usage() -> None:
    assert merged(None, {"output_tokens": 5}) == {"output_tokens": 5}
