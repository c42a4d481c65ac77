"""What the data plane asks of prices: whose word wins, and what is said when nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from freehold.core.usage import Usage
from freehold.costs.book import LOCAL, REMEMBERED, PriceBook
from freehold.costs.overrides import RateOverride, parse_overrides
from freehold.costs.prices import Cost, ListedPrices, cost_of
from freehold.costs.table import Clause, Model, PriceTableError, Provider, Table, Terms

AT_MS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
MILLION = Usage(fresh_in=1_000_000)


def test_a_listed_model_is_computed_and_names_its_table(book: PriceBook, table_path: Path) -> None:
    cost = book.price("anthropic", "anthropic", "claude-sonnet-4-5", Usage(fresh_in=1000), AT_MS)
    assert cost == Cost(3_000_000, "computed", sha256(table_path.read_bytes()).hexdigest())


def test_the_provider_s_own_figure_wins_even_when_it_is_zero(book: PriceBook) -> None:
    assert book.price("openrouter", "openrouter", "any", MILLION, AT_MS, 123) == Cost(123, "billed")
    assert book.price("openai", "openai", "gpt-4o", MILLION, AT_MS, 0) == Cost(0, "billed")


def test_an_unknown_model_or_provider_is_unknown_and_not_a_guess(book: PriceBook) -> None:
    assert book.price("openai", "openai", "no-such-model", MILLION, AT_MS) == Cost(0, "unknown")
    assert book.price(None, "basement", "gpt-4o", MILLION, AT_MS) == Cost(0, "unknown")
    assert book.price("no such provider", "openai", "gpt-4o", MILLION, AT_MS) == Cost(0, "unknown")


def test_a_provider_that_only_sounds_like_one_is_not_priced_as_it(book: PriceBook) -> None:
    assert book.price(None, "my-openai-proxy", "gpt-4o", MILLION, AT_MS).state == "unknown"
    assert book.price(None, "openai", "gpt-4o", MILLION, AT_MS).state == "unknown"
    assert book.price("openai", "my-openai-proxy", "gpt-4o", MILLION, AT_MS).state == "computed"


def test_our_own_hardware_is_free(book: PriceBook) -> None:
    assert book.price(None, None, "qwen3-8b", MILLION, AT_MS) == Cost(0, "free")
    assert book.price(LOCAL, "ollama", "gpt-4o", MILLION, AT_MS) == Cost(0, "free")


def test_an_override_wins_over_the_table_and_names_its_own_document(table_path: Path) -> None:
    book = PriceBook.load(table_path, {"openai/gpt-4o": RateOverride(input=10**9, output=2 * 10**9)})
    cost = book.price("openai", "openai", "gpt-4o", MILLION, AT_MS)
    assert cost == Cost(10**9, "computed", sha256(book.overrides_document).hexdigest())
    assert book.price("openai", "openai", "gpt-4o-mini", MILLION, AT_MS).snapshot != cost.snapshot


def test_an_override_is_not_filled_up_from_the_table(table_path: Path) -> None:
    book = PriceBook.load(table_path, {"openai/gpt-4o": RateOverride(input=10**9, output=2 * 10**9)})
    cost = book.price("openai", "openai", "gpt-4o", Usage(cache_read=1_000_000), AT_MS)
    assert (cost.nanos, cost.state) == (10**9, "estimated")


def test_a_price_per_call_alone_makes_tokens_free() -> None:
    book = PriceBook.empty(parse_overrides({"box/m": {"per_call": "0.002"}}))
    cost = book.price(None, "box", "m", Usage(fresh_in=5000, cache_read=5, visible_out=5000), AT_MS)
    assert cost.nanos == 2_000_000


def test_without_a_table_everything_is_unknown_but_what_is_ours_is_free() -> None:
    book = PriceBook.empty()
    assert book.price("openai", "openai", "gpt-4o", MILLION, AT_MS) == Cost(0, "unknown")
    assert book.price(None, None, "tiny", MILLION, AT_MS) == Cost(0, "free")
    assert book.price_id_of("https://api.openai.com/v1") is None


def test_a_remembered_rate_does_not_outlive_its_hour() -> None:
    """DeepSeek's price doubles by the hour."""
    hour_ms = 3_600_000
    dear = Terms(base=ListedPrices(input=2 * 10**9), day=(hour_ms, 4 * hour_ms))
    cheap = Terms(base=ListedPrices(input=10**9))
    row = Model(id="m", match=Clause(equals=("m",)), prices=(cheap, dear))
    provider = msgspec.Raw(msgspec.json.encode(Provider(models=(row,))))
    book = PriceBook(Table(providers={"deep": provider}), "hash")
    day = AT_MS - AT_MS % 86_400_000
    hours = (0, 1, 3, 4, 23, 2, 0)
    assert [book.price("deep", "deep", "m", MILLION, day + hour * hour_ms).nanos for hour in hours] == [
        10**9 * usd for usd in (1, 2, 2, 1, 1, 2, 1)
    ]


def test_names_from_clients_do_not_fill_the_memory() -> None:
    other = PriceBook.empty()
    for number in range(REMEMBERED + 10):
        other.price(None, "box", f"model-{number}", MILLION, AT_MS)
    assert len(other._known) <= REMEMBERED
    for number in range(1000):
        other.under(service_tier=str(number))
    assert len(other._under) <= 64


def test_hour_long_cache_writes_have_their_listed_price(book: PriceBook) -> None:
    usage = Usage(cache_write_1h=100_000)
    assert book.price("anthropic", "anthropic", "claude-sonnet-4-5", usage, AT_MS).nanos == 600_000_000


def test_other_terms_are_other_prices_and_unknown_terms_are_standard(book: PriceBook) -> None:
    standard = book.price("openai", "openai", "gpt-5.4", MILLION, AT_MS)
    flex = book.under(service_tier="flex").price("openai", "openai", "gpt-5.4", MILLION, AT_MS)
    strange = book.under(service_tier="gold").price("openai", "openai", "gpt-5.4", MILLION, AT_MS)
    assert 0 < flex.nanos < standard.nanos
    assert strange == standard


def test_addresses_name_their_price_list(book: PriceBook) -> None:
    assert book.price_id_of("https://api.anthropic.com") == "anthropic"
    assert book.price_id_of("https://generativelanguage.googleapis.com/v1beta/openai") == "google"
    assert book.price_id_of("http://127.0.0.1:11434/v1") is None


def test_a_missing_table_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PriceTableError, match="Cannot read the price table"):
        PriceBook.load(tmp_path / "none.json")


def test_rates_are_what_a_price_is_reckoned_with(book: PriceBook) -> None:
    rates = book.rates("anthropic", "anthropic", "claude-sonnet-4-5", AT_MS)
    assert rates is not None
    cost = book.price("anthropic", "anthropic", "claude-sonnet-4-5", Usage(fresh_in=10, visible_out=7), AT_MS)
    assert cost_of(rates, Usage(fresh_in=10, visible_out=7)) == (cost.nanos, cost.state)
    assert book.rates(None, "basement", "gpt-4o", AT_MS) is None
    free = book.rates(None, None, "qwen3-8b", AT_MS)
    assert free is not None
    assert cost_of(free, MILLION) == (0, "computed")
