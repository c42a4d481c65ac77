"""Money arithmetic: exact figures for the price defects that other gateways were reported for.

Numbers in names refer to public reports: what went wrong there is what is asserted here.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.costs.prices import ListedPrices, Rates, cost_of, rates_from

USD = 10**9


def usd(amount: float) -> int:
    return round(amount * USD)


def rates(tiers: dict[int, ListedPrices] | None = None, **listed: float) -> Rates:
    made = rates_from(ListedPrices(**{name: usd(value) for name, value in listed.items()}), tiers)
    assert made is not None
    return made


SONNET = rates(input=3, output=15, cache_read=0.3, cache_write_5m=3.75, web_search=10_000)


def test_plain_text_costs_tokens_times_rate() -> None:
    assert cost_of(SONNET, Usage(fresh_in=1000, visible_out=500)) == (10_500_000, "computed")


def test_cache_writes_are_charged_once() -> None:
    """litellm 9812: 12304 written tokens cost 0.0913 instead of 0.0544 because they were fresh input too."""
    usage = Usage(fresh_in=10, cache_write_5m=12_304, visible_out=550)
    assert cost_of(SONNET, usage) == (30_000 + 46_140_000 + 8_250_000, "computed")


def test_cache_reads_are_not_fresh_input() -> None:
    """litellm 11789: streams charged reads at the input rate, ten times too much."""
    assert cost_of(SONNET, Usage(cache_read=100_000)) == (30_000_000, "computed")


def test_one_hour_writes_cost_twice_the_input_when_the_table_has_only_one_write_price() -> None:
    assert cost_of(SONNET, Usage(cache_write_1h=1_000_000)) == (6 * USD, "computed")
    assert cost_of(SONNET, Usage(cache_write_5m=1_000_000)) == (usd(3.75), "computed")


def test_one_hour_writes_at_an_unusual_write_price_are_estimated() -> None:
    unusual = rates(input=3, output=15, cache_write_5m=5)
    assert cost_of(unusual, Usage(cache_write_1h=1_000_000)) == (5 * USD, "estimated")


def test_above_the_threshold_every_token_has_the_upper_rate() -> None:
    """litellm 40002: the tier above 272k tokens was ignored. Cached tokens count for the threshold."""
    tiered = rates(
        {272_000: ListedPrices(input=usd(5), output=usd(22.5), cache_read=usd(0.5))},
        input=2.5,
        output=15,
        cache_read=0.25,
    )
    below = Usage(fresh_in=200_000, cache_read=72_000, visible_out=1000)
    above = Usage(fresh_in=200_000, cache_read=72_001, visible_out=1000)
    assert cost_of(tiered, below) == (usd(0.5 + 0.018 + 0.015), "computed")
    assert cost_of(tiered, above) == (usd(1.0 + 0.0225) + 36_000_500, "computed")


def test_the_highest_passed_threshold_counts_and_keeps_what_it_does_not_change() -> None:
    tiered = rates({10: ListedPrices(input=usd(2)), 20: ListedPrices(output=usd(7))}, input=1, output=5)
    million = 1_000_000
    assert cost_of(tiered, Usage(fresh_in=million)) == (2 * USD, "computed")
    assert cost_of(tiered, Usage(fresh_in=million, visible_out=million))[0] == 9 * USD
    assert cost_of(tiered, Usage(fresh_in=10, visible_out=million))[0] == 5 * USD + 10_000


def test_audio_never_costs_nothing() -> None:
    """litellm 37661: models without an audio rate charged nothing; with the text rate it is an estimate."""
    assert cost_of(SONNET, Usage(audio_in=1000)) == (3_000_000, "estimated")
    assert cost_of(SONNET, Usage(audio_out=1000)) == (15_000_000, "estimated")


def test_audio_has_its_own_rate_where_the_table_has_one() -> None:
    """langwatch 7036: audio at the text rate, 16 times too little."""
    spoken = rates(input=2.5, output=10, audio_in=40, audio_out=80)
    assert cost_of(spoken, Usage(fresh_in=100, audio_in=1000, audio_out=500)) == (
        250_000 + 40_000_000 + 40_000_000,
        "computed",
    )


def test_reasoning_is_output_that_nobody_sees_but_everybody_pays() -> None:
    """litellm 35290: reasoning tokens missing from the cost."""
    assert cost_of(SONNET, Usage(reasoning=9000, visible_out=1000)) == (150_000_000, "computed")


def test_embeddings_have_no_output_price_and_need_none() -> None:
    embedding = rates(input=0.02)
    assert cost_of(embedding, Usage(fresh_in=500_000)) == (10_000_000, "computed")
    assert cost_of(embedding, Usage(fresh_in=500_000, visible_out=1)) == (0, "unknown")


def test_zero_is_a_value() -> None:
    """litellm 37992: an explicit zero usage was replaced by an estimate."""
    assert cost_of(SONNET, Usage()) == (0, "computed")


def test_searches_without_a_price_are_an_estimate_and_with_one_are_exact() -> None:
    assert cost_of(SONNET, Usage(web_searches=3)) == (30_000_000, "computed")
    assert cost_of(rates(input=1, output=1), Usage(web_searches=3)) == (0, "estimated")


def test_cached_tokens_without_a_cache_price_are_estimated_at_the_input_rate() -> None:
    plain = rates(input=1, output=2)
    assert cost_of(plain, Usage(cache_read=1000)) == (1_000_000, "estimated")
    assert cost_of(plain, Usage(cache_write_5m=1000)) == (1_000_000, "estimated")


def test_a_bucket_nobody_used_does_not_make_an_estimate() -> None:
    assert cost_of(rates(input=1, output=2), Usage(fresh_in=1000))[1] == "computed"


def test_a_transcription_model_has_audio_prices_only() -> None:
    assert cost_of(rates(audio_in=6, output=10), Usage(audio_in=1000, visible_out=10)) == (
        6_100_000,
        "computed",
    )
    assert cost_of(rates(audio_in=6, output=10), Usage(fresh_in=1)) == (0, "unknown")


def test_a_price_per_call_is_due_for_every_call() -> None:
    assert cost_of(rates(input=0, output=0, per_call=5000), Usage()) == (5_000_000, "computed")


def test_nothing_listed_is_no_rates() -> None:
    assert rates_from(ListedPrices()) is None
    assert rates_from(ListedPrices(web_search=1)) is None


def test_rounding_is_half_up_once_per_call() -> None:
    def listed(nanos: int) -> Rates:
        made = rates_from(ListedPrices(input=nanos, output=nanos))
        assert made is not None
        return made

    assert cost_of(listed(499_999), Usage(fresh_in=1))[0] == 0
    assert cost_of(listed(500_000), Usage(fresh_in=1))[0] == 1
    # Two halves are one nano, not two: buckets are not rounded on their own.
    assert cost_of(listed(500_000), Usage(fresh_in=1, visible_out=1))[0] == 1


counts = st.integers(0, 3_000_000)
usages = st.builds(Usage, **dict.fromkeys(Usage.__struct_fields__, counts))
maybe = st.none() | st.integers(0, 10**15)
listings = st.builds(
    ListedPrices, **(dict.fromkeys(ListedPrices.__struct_fields__, maybe) | {"input": st.integers(0, 10**15)})
)


@given(listings, usages, st.sampled_from(Usage.__struct_fields__), st.integers(0, 1000))
def test_more_usage_never_costs_less(listed: ListedPrices, usage: Usage, bucket: str, more: int) -> None:
    made = rates_from(listed)
    assert made is not None
    fields = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    larger = Usage(**(fields | {bucket: fields[bucket] + more}))
    before, after = cost_of(made, usage), cost_of(made, larger)
    assert before[0] >= 0
    assert after[1] == "unknown" or after[0] >= before[0]


@given(listings, usages, usages)
def test_two_calls_cost_what_their_sum_costs_up_to_rounding(
    listed: ListedPrices, one: Usage, other: Usage
) -> None:
    made = rates_from(listed)
    assert made is not None
    both = Usage(**{name: getattr(one, name) + getattr(other, name) for name in Usage.__struct_fields__})
    total, state = cost_of(made, both)
    if state != "unknown":
        twice = cost_of(made, one)[0] + cost_of(made, other)[0] - made.per_call // 1_000_000
        assert abs(total - twice) <= 2
