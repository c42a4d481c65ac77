"""On which terms tokens are paid: what was asked for is held, what the answer says is paid."""

from __future__ import annotations

import pytest

from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.terms import dearer, terms_in, terms_of, terms_words
from freehold.gateway.bounds import asked_terms
from freehold.gateway.tap import Tap

AT_MS = 1_795_000_000_000
USAGE = Usage(fresh_in=1_000_000, visible_out=100_000)


@pytest.mark.parametrize(
    ("tier", "nanos"),
    [
        ("default", 2_250_000_000),
        ("auto", 2_250_000_000),
        ("priority", 4_500_000_000),
        ("flex", 1_125_000_000),
    ],
)
def test_a_service_tier_has_prices_of_its_own(book: PriceBook, tier: str, nanos: int) -> None:
    """gpt-5: 1.25 and 10 USD; priority 2.5 and 20, flex 0.625 and 5."""
    cost = book.under(**terms_of(tier)).price("openai", "openai", "gpt-5", USAGE, AT_MS)
    assert (cost.nanos, cost.state) == (nanos, "computed")


def test_an_answer_made_in_the_states_costs_a_tenth_more_a_token(book: PriceBook) -> None:
    anywhere, here = (
        under.price("anthropic", "anthropic", "claude-opus-4-6", USAGE, AT_MS)
        for under in (book, book.under(**terms_of(None, geo="us")))
    )
    assert here.nanos * 10 == anywhere.nanos * 11 > 0
    assert here.state == "computed"


def test_searches_in_the_states_cost_what_they_cost_elsewhere(book: PriceBook) -> None:
    one = Usage(web_searches=10)
    asked = ("anthropic", "anthropic", "claude-opus-4-6", one, AT_MS)
    assert book.under(inference_geo="us").price(*asked) == book.price(*asked)


def test_where_an_answer_was_made_has_a_price_with_anthropic_only(book: PriceBook) -> None:
    asked = ("openai", "openai", "gpt-5", USAGE, AT_MS)
    assert book.under(inference_geo="us").price(*asked) == book.price(*asked)


@pytest.mark.parametrize("tier", [None, 7, "default", "auto", "standard", "scale", "batch", "nonsense"])
def test_other_words_mean_the_standard_terms(tier: object) -> None:
    assert terms_of(tier) == {}


def test_terms_are_told_in_words_and_read_again() -> None:
    terms = terms_of("priority", "fast", "us")
    assert terms_words(terms) == "service_tier=priority speed=fast inference_geo=us"
    assert terms_in(terms_words(terms)) == terms
    assert terms_in("") == terms_in("service_tier=what else?") == {}


def test_what_is_held_is_the_dearer_of_both(book: PriceBook) -> None:
    standard = book.rates("openai", "openai", "gpt-5", AT_MS)
    for tier, wanted in (("priority", 20_000_000_000), ("flex", 10_000_000_000)):
        asked = book.under(service_tier=tier).rates("openai", "openai", "gpt-5", AT_MS)
        found = dearer(standard, asked)
        assert found is not None and found.visible_out == wanted
    assert dearer(None, standard) == dearer(standard, None) == standard


@pytest.mark.parametrize(
    ("body", "terms"),
    [
        (b'{"service_tier": "priority"}', {"service_tier": "priority"}),
        (b'{"speed": "fast"}', {"speed": "fast"}),
        (b'{"inference_geo": "us"}', {"inference_geo": "us"}),
        (b'{"inference_geo": "global"}', {}),
        (b'{"messages": [{"content": "\\"service_tier\\": \\"priority\\""}]}', {}),
        (b'{"service_tier": {"odd": 1}}', {}),
        (b'{"service_tier": "priority"', {}),
    ],
)
def test_what_a_request_asks_for(body: bytes, terms: dict[str, str]) -> None:
    assert asked_terms(body) == terms


def test_what_an_answer_says_whole_and_streamed() -> None:
    whole = Tap("chat")
    whole.whole(b'{"model":"gpt-5","service_tier":"priority","usage":{"prompt_tokens":1}}')
    assert whole.terms() == {"service_tier": "priority"}
    streamed = Tap("chat")
    streamed.event(b'{"model":"gpt-5","service_tier":"flex","choices":[]}')
    streamed.event(b'{"model":"gpt-5","choices":[],"usage":{"prompt_tokens":1}}')
    assert streamed.terms() == {"service_tier": "flex"}
    responses = Tap("responses")
    responses.event(b'{"type":"response.created","response":{"service_tier":"auto"}}')
    responses.event(b'{"type":"response.completed","response":{"service_tier":"priority","usage":{}}}')
    assert responses.terms() == {"service_tier": "priority"}
    messages = Tap("messages")
    messages.event(
        b'{"type":"message_start","message":{"usage":{"input_tokens":1,"service_tier":"standard","speed":"fast"}}}'
    )
    messages.event(b'{"type":"message_delta","usage":{"output_tokens":9}}')
    assert messages.terms() == {"speed": "fast"}
    made = Tap("messages")
    made.whole(b'{"usage":{"input_tokens":1,"inference_geo":"us","service_tier":"standard"}}')
    assert made.terms() == {"inference_geo": "us"}
    odd = Tap("chat")
    odd.whole(b'{"service_tier":{"a":1},"usage":{"prompt_tokens":1}}')
    assert odd.terms() == {} and odd.usage_raw is not None
