"""The prices of a house: the configuration's word counts, and stays as evidence."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from freehold.app.price_table import HousePrices
from freehold.core.config_prices import PriceConfig
from freehold.core.usage import Usage
from freehold.costs.book import PriceBook

SAID = {"box/m": PriceConfig(input=0.1, output=3.0)}
MILLION = Usage(fresh_in=1_000_000)
AT_MS = 1_790_000_000_000


def complaint(text: str) -> None:
    raise AssertionError(text)


def test_a_receipt_s_prices_can_be_found_by_their_hash(tmp_path: Path) -> None:
    cost = HousePrices(tmp_path, complaint, SAID).first().price(None, "box", "m", MILLION, AT_MS)
    assert (cost.nanos, cost.state) == (100_000_000, "computed")
    document = (tmp_path / f"overrides-{cost.snapshot}.json").read_bytes()
    assert sha256(document).hexdigest() == cost.snapshot


async def test_the_table_that_comes_later_has_the_overrides_too(tmp_path: Path) -> None:
    prices = HousePrices(tmp_path, complaint, SAID | {"openai/gpt-4o": PriceConfig(input=1.0)})
    assert prices.first().price("openai", "openai", "gpt-4o-mini", MILLION, AT_MS).state == "unknown"
    books: list[PriceBook] = []
    await prices.fetch(books.append)
    (book,) = books
    assert book.price("openai", "openai", "gpt-4o", MILLION, AT_MS).nanos == 10**9
    assert book.price("openai", "openai", "gpt-4o-mini", MILLION, AT_MS).state == "computed"
    again = HousePrices(tmp_path, complaint).first()
    assert again.price("openai", "openai", "gpt-4o", MILLION, AT_MS).nanos == 2_500_000_000


def test_other_documents_in_the_folder_are_no_tables(tmp_path: Path) -> None:
    HousePrices(tmp_path, complaint, SAID).first()
    assert list(tmp_path.glob("genai*")) == [], "an override's document alone makes no table"
    HousePrices(tmp_path, complaint, SAID).first()
    assert list(tmp_path.glob("genai*")) == []
