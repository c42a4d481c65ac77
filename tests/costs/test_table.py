"""The compiled table agrees with the library it was compiled from, to the nano-dollar."""

from __future__ import annotations

import json
import random
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from genai_prices import Usage as SourceUsage
from genai_prices import calc_price
from genai_prices.data import providers

from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.compile_prices import rate, table_document
from freehold.costs.prices import ListedPrices
from freehold.costs.table import (
    Clause,
    Model,
    PriceTableError,
    Table,
    Terms,
    find_model,
    provider_at,
    provider_named,
    rates_at,
    read_table,
)

NOW_MS = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp() * 1000)
MODELS = [(provider.id, model.id) for provider in providers for model in provider.models]


@pytest.fixture(scope="module")
def table(table_path: Path) -> Table:
    return read_table(table_path.read_bytes())


def source_usage(usage: Usage) -> SourceUsage:
    """The same call as the library counts it: totals that include their parts."""
    return SourceUsage(
        input_tokens=usage.input_total,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
        cache_write_5m_tokens=usage.cache_write_5m,
        cache_write_1h_tokens=usage.cache_write_1h,
        input_audio_tokens=usage.audio_in,
        input_image_tokens=usage.image_in,
        output_tokens=usage.output_total,
        output_audio_tokens=usage.audio_out,
        output_image_tokens=usage.image_out,
        output_reasoning_tokens=usage.reasoning,
        web_searches=usage.web_searches,
    )


def calls(seed: int) -> list[Usage]:
    """A short chat, a long cached one, one above every tier, one with audio, images and a search."""
    dice = random.Random(seed)
    return [
        Usage(fresh_in=dice.randrange(1, 9000), visible_out=dice.randrange(1, 900)),
        Usage(
            fresh_in=17, cache_read=dice.randrange(90_000), cache_write_5m=4321, visible_out=3, reasoning=77
        ),
        Usage(fresh_in=dice.randrange(272_001, 900_000), cache_read=5, visible_out=dice.randrange(9000)),
        Usage(fresh_in=9, audio_in=900, image_in=33, audio_out=70, image_out=12, web_searches=1),
    ]


def theirs(
    provider: str, model: str, usage: Usage, at_ms: int, when: dict[str, str] | None = None
) -> Decimal | None:
    """What the library says, in nano-USD; None where it has no such model or cannot count the usage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            moment = datetime.fromtimestamp(at_ms / 1000, UTC)
            found = calc_price(
                source_usage(usage),
                model,
                provider_id=provider,
                genai_request_timestamp=moment,
                price_context=when,
            )
        except (LookupError, ValueError):
            return None
    return found.total_price * 10**9


@pytest.mark.parametrize("provider", sorted({provider for provider, _ in MODELS}))
def test_integer_costs_equal_the_library_s_decimals(provider: str, book: PriceBook) -> None:
    dice = random.Random(provider)
    models = [model for owner, model in MODELS if owner == provider]
    for model in dice.sample(models, min(25, len(models))):
        for usage in calls(len(model)):
            at_ms = NOW_MS - dice.randrange(400 * 86_400_000)
            ours = book.price(provider, provider, model, usage, at_ms)
            expected = theirs(provider, model, usage, at_ms)
            if ours.state == "unknown" or expected is None:
                continue
            # Half a nano of our rounding, and rates that are binary noise beyond nine decimals.
            slack = Decimal("0.5") + usage.input_total * Decimal("5e-7")
            assert abs(ours.nanos - expected) <= slack, (model, usage)


def test_what_the_library_can_price_we_can(book: PriceBook) -> None:
    usage = Usage(fresh_in=1000)
    unknown = {
        (provider, model)
        for provider, model in MODELS[::4]
        if book.price(provider, provider, model, usage, NOW_MS).state == "unknown"
    }
    assert [row for row in sorted(unknown) if theirs(*row, usage, NOW_MS)] == []
    assert len(unknown) < 0.2 * len(MODELS[::4])


def test_processing_on_other_terms_has_its_own_prices(book: PriceBook) -> None:
    usage = Usage(fresh_in=1_000_000, visible_out=1_000_000)
    compared = 0
    for provider in providers:
        for model in provider.models:
            for variant in model.price_variants or ():
                ours = book.under(**variant.when).price(provider.id, provider.id, model.id, usage, NOW_MS)
                expected = theirs(provider.id, model.id, usage, NOW_MS, variant.when)
                if ours.state != "unknown" and expected is not None:
                    assert abs(ours.nanos - expected) <= 1, (model.id, variant.when)
                    compared += 1
    assert compared > 100


def test_the_table_is_canonical_json_without_a_float() -> None:
    document = table_document()
    parsed = json.loads(document, parse_float=lambda text: pytest.fail(f"a float: {text}"))
    assert json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == document


def test_prices_of_nine_decimals_are_exact_and_noise_is_rounded() -> None:
    assert rate(Decimal("0.000000001"), 1) == 1
    assert rate(Decimal("0.18000000000000002"), 1) == 180_000_000
    assert rate(Decimal("10"), 1000) == 10_000 * 10**9


def test_providers_are_found_by_id_by_alias_and_by_address(table: Table) -> None:
    assert provider_named(table, "openai") == "openai"
    assert provider_named(table, "xAI") == "x-ai"
    assert provider_named(table, "gemini") == "google"
    assert provider_named(table, "my own box") is None
    assert provider_at(table, "https://api.groq.com/openai/v1") == "groq"
    assert provider_at(table, "http://127.0.0.1:8080/v1") is None


def test_a_dated_name_without_dashes_is_found(table: Table) -> None:
    dashed = find_model(table, "openai", "gpt-4o-2024-08-06")
    assert dashed is not None
    assert find_model(table, "openai", "gpt-4o-20240806") == dashed
    assert find_model(table, "openai", "gpt-4o-20241399") != dashed


def test_a_reseller_has_the_maker_s_standard_prices(table: Table) -> None:
    resold = find_model(table, "azure", "grok-4")
    assert resold is not None
    assert resold.variants == ()


def listed(usd: int) -> ListedPrices:
    return ListedPrices(input=usd * 10**9, output=usd * 10**9)


def input_usd(model: Model, at_ms: int, **when: str) -> int:
    rates = rates_at(model, at_ms, when).rates
    assert rates is not None
    return rates.fresh_in // 10**9


HOUR = 3_600_000
MIDNIGHT = 20_000 * 24 * HOUR


def model_with(*prices: Terms, variants: tuple[Terms, ...] = ()) -> Model:
    return Model(id="m", match=Clause(equals=("m",)), prices=prices, variants=variants)


def test_the_last_price_that_has_begun_holds_and_says_until_when() -> None:
    model = model_with(Terms(base=listed(1)), Terms(base=listed(2), from_ms=MIDNIGHT))
    assert input_usd(model, MIDNIGHT - 1) == 1
    assert input_usd(model, MIDNIGHT) == 2
    assert rates_at(model, MIDNIGHT - 1, {}).until_ms == MIDNIGHT
    assert rates_at(model, MIDNIGHT + 5, {}).from_ms == MIDNIGHT


def test_before_the_first_start_the_first_price_holds() -> None:
    model = model_with(
        Terms(base=listed(1), from_ms=MIDNIGHT), Terms(base=listed(2), from_ms=MIDNIGHT + HOUR)
    )
    assert input_usd(model, 0) == 1


def test_prices_by_the_hour_go_over_midnight() -> None:
    night = Terms(base=listed(1), day=(22 * HOUR, 6 * HOUR))
    model = model_with(Terms(base=listed(2)), night)
    hours = {hour: input_usd(model, MIDNIGHT + hour * HOUR) for hour in (0, 5, 6, 21, 22, 23)}
    assert hours == {0: 1, 5: 1, 6: 2, 21: 2, 22: 1, 23: 1}
    held = rates_at(model, MIDNIGHT + 23 * HOUR, {})
    assert (held.from_ms, held.until_ms) == (MIDNIGHT + 22 * HOUR, MIDNIGHT + 24 * HOUR)


def test_the_first_variant_that_names_a_price_wins_and_others_add_theirs() -> None:
    fast = {"speed": "fast"}
    model = model_with(
        Terms(base=listed(1), tiers={"10": listed(9)}),
        variants=(
            Terms(base=ListedPrices(input=3 * 10**9), when=fast),
            Terms(base=listed(5), when=fast),
        ),
    )
    assert input_usd(model, 0) == 1
    rates = rates_at(model, 0, fast).rates
    assert rates is not None
    assert (rates.fresh_in, rates.visible_out) == (3 * 10**9, 5 * 10**9)
    # A replaced price is replaced with its tiers.
    assert rates.tiers[0][1].fresh_in == 3 * 10**9


@pytest.mark.parametrize("document", [b"", b"[]", b'{"format":99}', b'{"providers":3}'])
def test_a_damaged_table_says_what_to_do(document: bytes) -> None:
    with pytest.raises(PriceTableError, match="delete it"):
        read_table(document)


def test_clauses_match_as_their_words_say() -> None:
    clause = Clause(
        starts=("gpt-",),
        ends=("-mini",),
        contains=("opus",),
        regex=(r"^o\d$",),
        every=(Clause(starts=("a",)), Clause(ends=("z",))),
        some=(Clause(equals=("exact",)),),
    )
    names = ("gpt-5", "x-mini", "claude-opus-4", "o3", "abcz", "exact")
    assert all(clause.matches(name) for name in names)
    assert not any(clause.matches(name) for name in ("o33", "abc", "bz", "exactly", ""))
    assert not Clause().matches("")


def test_a_table_survives_its_own_encoding(table_path: Path) -> None:
    document = table_path.read_bytes()
    assert msgspec.json.encode(msgspec.json.decode(document), order="sorted") == document
