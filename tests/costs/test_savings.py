"""Savings against a baseline: exact, call by call, and silent about what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.prices import ListedPrices
from freehold.costs.savings import Savings, Spent, savings
from freehold.costs.table import Clause, Model, Provider, Table, Terms

AT_MS = round(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000)
TALK = Usage(fresh_in=1000, visible_out=500)


def spent(provider: str, deployment: str, nanos: int, state: str, usage: Usage = TALK) -> Spent:
    return Spent(
        at_ms=AT_MS, provider=provider, deployment=deployment, cost_nanos=nanos, cost_state=state, usage=usage
    )


def against_opus(book: PriceBook, *calls: Spent) -> Savings:
    def price(usage: Usage, at_ms: int) -> int | None:
        cost = book.price("anthropic", "anthropic", "claude-opus-4-5", usage, at_ms)
        return None if cost.state == "unknown" else cost.nanos

    return savings(calls, "anthropic/claude-opus-4-5", price)


def test_local_cached_and_cheaper_answers_are_told_apart(book: PriceBook) -> None:
    """claude-opus-4-5 takes 5 and 25 USD: 1,000 in and 500 out are 17,500,000 nano-USD."""
    found = against_opus(
        book,
        spent("", "qwen", 0, "free"),
        spent("", "qwen", 40_000, "estimated"),
        spent("openai", "openai/gpt-5-mini", 1_250_000, "computed"),
        spent("openai", "openai/gpt-5-mini", 0, "free"),
    )
    assert [(row.deployment, row.kind, row.calls, row.saved_nanos) for row in found.rows] == [
        ("qwen", "local", 2, 35_000_000 - 40_000),
        ("openai/gpt-5-mini", "cached", 1, 17_500_000),
        ("openai/gpt-5-mini", "paid", 1, 17_500_000 - 1_250_000),
    ]
    assert found.baseline_nanos == 70_000_000
    assert found.saved_nanos == 70_000_000 - 1_290_000
    assert round(found.share, 4) == 0.9816


def test_the_baseline_itself_saves_nothing(book: PriceBook) -> None:
    found = against_opus(book, spent("anthropic", "anthropic/claude-opus-4-5", 17_500_000, "computed"))
    assert found.saved_nanos == 0 and found.share == 0.0


def test_a_call_of_unknown_cost_is_no_saving(book: PriceBook) -> None:
    found = against_opus(book, spent("box", "box/m", 0, "unknown"), spent("", "qwen", 0, "free"))
    assert (found.unknown_calls, found.baseline_nanos) == (1, 17_500_000)


def test_calls_without_tokens_are_not_compared(book: PriceBook) -> None:
    found = against_opus(book, spent("", "", 0, "free", Usage()))
    assert found.rows == () and found.unknown_calls == 0


def test_a_dearer_choice_is_a_loss(book: PriceBook) -> None:
    assert against_opus(book, spent("x", "x/pro", 60_000_000, "computed")).saved_nanos == -42_500_000


def test_tiers_price_calls_and_not_sums() -> None:
    """Ten calls of 30,000 tokens do not reach a tier that begins above 200,000."""
    terms = Terms(base=ListedPrices(input=10**9), tiers={"200000": ListedPrices(input=2 * 10**9)})
    row = Model(id="m", match=Clause(equals=("m",)), prices=(terms,))
    provider = msgspec.Raw(msgspec.json.encode(Provider(models=(row,))))
    book = PriceBook(Table(providers={"p": provider}), "hash")
    usage = Usage(fresh_in=30_000)
    calls = [spent("", "qwen", 0, "free", usage)] * 10
    found = savings(calls, "p/m", lambda usage, at_ms: book.price("p", "p", "m", usage, at_ms).nanos)
    assert found.saved_nanos == 10 * 30_000_000


def test_what_the_house_asks_for_itself_costs_and_saves_nothing(book: PriceBook) -> None:
    own = msgspec.structs.replace(spent("", "qwen", 40_000, "computed"), of_house=True)
    found = against_opus(book, own, spent("", "qwen", 0, "free"))
    assert (found.baseline_nanos, found.saved_nanos) == (17_500_000, 17_500_000 - 40_000)
