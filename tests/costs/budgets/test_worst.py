"""The dearest that a call can become."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.costs.budgets.worst import (
    CONTEXT_TOKENS,
    PICTURE_TOKENS,
    SEARCHES,
    TOOLS_TOKENS,
    InputBound,
    affordable_output,
    input_bound,
    worst_case_nanos,
)
from freehold.costs.prices import ListedPrices, Rates, cost_of, rates_from
from tests.growth import LINEAR, cpu_s, growth

USD_A_MILLION = 10**9
SONNET = ListedPrices(
    input=3 * USD_A_MILLION,
    output=15 * USD_A_MILLION,
    cache_read=USD_A_MILLION * 3 // 10,
    cache_write_5m=USD_A_MILLION * 375 // 100,
)
LONG = {200_000: ListedPrices(input=6 * USD_A_MILLION, output=USD_A_MILLION * 225 // 10)}


def rates(listed: ListedPrices, tiers: dict[int, ListedPrices] | None = None) -> Rates:
    found = rates_from(listed, tiers)
    assert found is not None
    return found


def body(text: str = "Hello", **more: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()


PRICES = st.one_of(st.none(), st.integers(0, 10**11))
LISTED = st.builds(
    ListedPrices,
    audio_in=PRICES,
    audio_out=PRICES,
    cache_read=PRICES,
    cache_write_1h=PRICES,
    cache_write_5m=PRICES,
    image_in=PRICES,
    image_out=PRICES,
    input=st.integers(0, 10**11),
    output=st.integers(0, 10**11),
    per_call=PRICES,
    reasoning=PRICES,
    web_search=PRICES,
)

TIERS = st.dictionaries(st.integers(1, 2_000), LISTED, max_size=3)
COUNTS = st.integers(0, 400)


@given(LISTED, TIERS, st.lists(COUNTS, min_size=6, max_size=6), st.lists(COUNTS, min_size=4, max_size=4))
def test_no_usage_within_the_bound_costs_more(
    listed: ListedPrices, tiers: dict[int, ListedPrices], ins: list[int], outs: list[int]
) -> None:
    usage = Usage(
        fresh_in=ins[0],
        cache_read=ins[1],
        cache_write_5m=ins[2],
        cache_write_1h=ins[3],
        audio_in=ins[4],
        image_in=ins[5],
        visible_out=outs[0],
        reasoning=outs[1],
        audio_out=outs[2],
        image_out=outs[3],
        web_searches=ins[0] % 3,
    )
    bound = InputBound(tokens=usage.input_total + ins[0], audio=True, searches=2)
    found = rates(listed, tiers)
    worst = worst_case_nanos(found, bound, usage.output_total)
    assert worst is not None
    assert cost_of(found, usage)[0] <= worst


def test_a_long_context_is_held_at_its_tier_and_a_short_one_is_not() -> None:
    """A reservation at the usual rate let 0.60 USD pass a cap of 0.45 (defect 12)."""
    found = rates(SONNET, LONG)
    text_only = InputBound(tokens=200_000, writes=False)
    assert worst_case_nanos(found, text_only, 1_000) == 615_000_000
    beyond = InputBound(tokens=200_001, writes=False)
    assert worst_case_nanos(found, beyond, 1_000) == 200_001 * 6_000 + 22_500_000


def test_a_dear_first_tier_is_not_forgotten_over_a_cheap_second_one() -> None:
    found = rates(ListedPrices(input=10**10, output=10**10), {1_000: ListedPrices(input=10**8, output=10**8)})
    assert worst_case_nanos(found, InputBound(tokens=2_000), 0) == 10_000_000


def test_writing_the_cache_is_held_where_it_can_happen() -> None:
    found = rates(SONNET)
    marked = body(cache_control={"type": "ephemeral"})
    assert input_bound(marked, marks_cache=True).writes
    assert not input_bound(body(), marks_cache=True).writes
    assert input_bound(body()).writes
    hour = worst_case_nanos(found, InputBound(tokens=1_000_000), 0)
    assert hour == 6 * USD_A_MILLION
    assert worst_case_nanos(found, InputBound(tokens=1_000_000, writes=False), 0) == 3 * USD_A_MILLION


def test_fees_for_a_call_and_for_searches_are_held() -> None:
    found = rates(ListedPrices(input=0, output=0, per_call=5 * 10**12, web_search=10**13))
    searching = input_bound(body(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert searching.searches == SEARCHES
    assert worst_case_nanos(found, searching, 0) == 5_000_000 + SEARCHES * 10_000_000
    own = input_bound(body(tools=[{"type": "function", "function": {"name": "web_search"}}]))
    assert own.searches == 0


def test_without_a_price_for_what_it_may_use_nobody_can_say() -> None:
    audio_only = rates(ListedPrices(audio_in=1))
    assert worst_case_nanos(audio_only, InputBound(tokens=1), 0) is None
    embedding = rates(ListedPrices(input=USD_A_MILLION))
    assert worst_case_nanos(embedding, InputBound(tokens=1_000_000), 0) == USD_A_MILLION
    assert worst_case_nanos(embedding, InputBound(tokens=1), 1) is None


@given(st.text(max_size=500))
def test_tokens_of_text_are_never_more_than_its_bytes(text: str) -> None:
    assert input_bound(body(text)).tokens >= len(text.encode("utf-8", "replace"))


def test_a_picture_counts_as_a_picture_and_not_by_the_bytes_of_its_code() -> None:
    blob = "QUJD" * 100_000
    by_value = body(parts=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{blob}"}}])
    assert PICTURE_TOKENS <= input_bound(by_value).tokens < PICTURE_TOKENS + 1_000
    two = body(parts=[{"type": "input_image", "image_url": "https://x/a.png"}] * 2)
    assert 2 * PICTURE_TOKENS <= input_bound(two).tokens < 2 * PICTURE_TOKENS + 1_000
    told = body("an image, of type image_url")
    assert input_bound(told).tokens == len(told)


def test_sound_counts_for_as_long_as_it_can_be() -> None:
    blob = "QUJD" * 1_000_000
    bound = input_bound(body(parts=[{"type": "input_audio", "input_audio": {"data": blob, "format": "mp3"}}]))
    assert bound.audio
    assert 250_000 <= bound.tokens < 400_000


def test_what_the_body_does_not_show_is_bounded_by_what_a_model_can_read() -> None:
    for hidden in (
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"parts": [{"type": "input_file", "file_id": "file-1"}]},
        {"parts": [{"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}]},
        {"parts": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}]},
        {"tools": [{"type": "web_search"}]},
    ):
        assert input_bound(body(**hidden)).tokens == CONTEXT_TOKENS, hidden
        assert input_bound(body(**hidden), context_tokens=8_192).tokens == 8_192


def test_words_that_only_look_like_it_do_not_count() -> None:
    plain = (
        {"previous_response_id": None},
        {"tools": [{"type": "function", "parameters": {"properties": {"file_id": {"type": "string"}}}}]},
        {"tools": [{"name": "conversation", "parameters": {"conversation": {"type": "object"}}}]},
    )
    for more in plain:
        assert input_bound(body('say {"file_id": "x", "audio": 1}', **more)).tokens < 10_000, more
    tools = body(tools=[])
    assert input_bound(tools).tokens == len(tools) + TOOLS_TOKENS


def test_a_hostile_body_takes_no_longer_than_its_length_deserves() -> None:
    def bounding(size: int) -> Callable[[], object]:
        runs = (b'"data" ' + b"A" * 2_047 + b" ") * size
        return lambda: input_bound(runs)

    assert growth(bounding, 100) < LINEAR
    assert cpu_s(bounding(500)) < 0.5


@given(st.integers(0, 10**9), st.integers(0, 100_000))
def test_what_is_affordable_fits_and_one_token_more_does_not(nanos: int, tokens: int) -> None:
    found, bound = rates(SONNET, LONG), InputBound(tokens=tokens, writes=False)
    affordable = affordable_output(found, bound, nanos)
    fits = worst_case_nanos(found, bound, affordable)
    assert fits is not None
    assert fits <= nanos or affordable == 0, "nothing: the input alone is too much"
    more = worst_case_nanos(found, bound, affordable + 1)
    assert more is not None
    assert more > nanos or affordable == 131_072
