"""What went wrong elsewhere, as stories: each group of defects that users of other gateways, trackers and log
readers reported in public, with the figures that are right. Numbers are those of the list in the issue.

What only happens on the wire (streams, clients that leave) is told to a running house; what happens while
counting, to the parts that count.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.scopes import Payer
from freehold.costs.budgets.worst import InputBound, worst_case_nanos
from freehold.costs.overrides import parse_overrides
from freehold.costs.prices import ListedPrices, cost_of, rates_from
from freehold.costs.savings import Spent, savings
from freehold.dialects.usage import billed_nanos, merge_usage, usage_of
from freehold.gateway.tap import Tap
from freehold.receipts.query import open_readonly
from freehold.receipts.rebuild import rebuild
from freehold.receipts.sums import Between, calls, sums
from freehold.testing.standin import DEFAULT_PIECES, Behaviour
from tests.costs.budgets.budgeting import T0, rules
from tests.receipts.story import make_receipt, write_ledger
from tests.talk import PATHS, asking
from tests.wire import request_bytes

AT_MS = 1_795_000_000_000
USD = 10**9
EVER = Between(0, 1 << 50)
OUT = len(DEFAULT_PIECES)
"""Output tokens of the stand-in's usual answer; its input is 11."""


def raw(**usage: Any) -> bytes:
    return json.dumps(usage).encode()


def anthropic(book: PriceBook, model: str, usage: bytes) -> tuple[int, str]:
    cost = book.price("anthropic", "anthropic", model, usage_of("messages", usage), AT_MS)
    return cost.nanos, cost.state


# -- 1 to 4: the cache


def test_01_cache_writes_are_charged_once(book: PriceBook) -> None:
    """Sonnet 4.5: 3, 15 and 3.75 USD. Charged twice, it would be 76,800,000."""
    told = raw(input_tokens=100, cache_creation_input_tokens=10_000, output_tokens=100)
    assert anthropic(book, "claude-sonnet-4-5", told) == (39_300_000, "computed")


def test_01_cache_writes_within_an_openai_like_prompt_are_charged_once(book: PriceBook) -> None:
    """Gateways pass Anthropic's names on, inside a prompt that includes them."""
    told = raw(prompt_tokens=10_100, completion_tokens=100, cache_creation_input_tokens=10_000)
    usage = usage_of("chat", told)
    assert (usage.fresh_in, usage.cache_write_5m, usage.input_total) == (100, 10_000, 10_100)
    cost = book.price("anthropic", "anthropic", "claude-sonnet-4-5", usage, AT_MS)
    assert cost.nanos == 39_300_000


def test_02_the_cache_has_its_own_prices_at_resellers_too(book: PriceBook) -> None:
    """Opus 4 on Bedrock: reads 1.50, writes 18.75, an hour's writes 30 USD."""
    model = "us.anthropic.claude-opus-4-20250514-v1:0"
    usage = Usage(cache_read=10_000, cache_write_5m=1000, cache_write_1h=100, fresh_in=10, visible_out=10)
    cost = book.price("aws", "bedrock", model, usage, AT_MS)
    assert (cost.nanos, cost.state) == (15_000_000 + 18_750_000 + 3_000_000 + 150_000 + 750_000, "computed")


def test_03_a_stream_costs_what_the_whole_answer_costs(book: PriceBook) -> None:
    """Peers priced cache reads of streams as fresh input: seven times too much."""
    start = raw(input_tokens=50, cache_read_input_tokens=90_000, output_tokens=1)
    merged = merge_usage(merge_usage(None, start), raw(output_tokens=700))
    whole = raw(input_tokens=50, cache_read_input_tokens=90_000, output_tokens=700)
    assert usage_of("messages", merged) == usage_of("messages", whole)
    assert anthropic(book, "claude-sonnet-4-5", merged) == (150_000 + 27_000_000 + 10_500_000, "computed")


@pytest.mark.parametrize("place", ["alpha", "claude"])
def test_03_the_house_counts_streams_and_whole_answers_alike(town, model, place) -> None:
    usages = []
    for stream in (False, True):
        getattr(town, place).script(Behaviour(input_tokens=1000, cached_tokens=900))
        dialect = {"alpha": "chat", "claude": "messages"}[place]
        with town.house.wire() as wire:
            wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}", stream=stream))
        usages.append(town.house.receipt().usage)
    assert usages[0] == usages[1] == Usage(fresh_in=100, cache_read=900, visible_out=OUT)


def test_04_a_price_of_the_configuration_does_not_add_cached_tokens_again() -> None:
    """100,000 in, 90,000 of them cached: 30,000,000 + 27,000,000, not 327,000,000."""
    prices = parse_overrides({"box/m": {"input": 3, "output": 15, "cache_read": 0.3}})
    told = raw(
        prompt_tokens=100_000,
        completion_tokens=0,
        total_tokens=100_000,
        prompt_tokens_details={"cached_tokens": 90_000},
    )
    cost = PriceBook.empty(prices).price(None, "box", "m", usage_of("chat", told), AT_MS)
    assert (cost.nanos, cost.state) == (57_000_000, "computed")


# -- 5 to 9: streams, clients that leave, bridges


def test_05_a_stream_whose_client_asked_for_no_usage_is_still_counted_exactly(town, model) -> None:
    """Peers estimated such streams and saw no reasoning: up to 90 % of the output was missing."""
    town.alpha.script(Behaviour(thinking="one two three four five six seven", cached_tokens=4))
    with town.house.wire() as wire:
        wire.call(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True))
    receipt = town.house.receipt()
    assert receipt.usage == Usage(fresh_in=7, cache_read=4, reasoning=7, visible_out=OUT)
    assert receipt.usage_state == "reported"


def left_after(town, place: str, dialect: str, name: str) -> Any:
    """The receipt of a call whose client left in mid-stream."""
    upstream = getattr(town, place)
    upstream.script(Behaviour(hold_events="g", input_tokens=1234))
    with town.house.wire() as wire:
        wire.send(request_bytes(PATHS[dialect], asking(dialect, name, stream=True, text="x" * 400)))
        upstream.wait_for(1)
        upstream.gate("g").release(5)
        next(wire.events(wire.head()))
        wire.close()
    (receipt,) = town.house.wait_receipts(1)
    return receipt


def test_06_a_client_that_leaves_has_been_charged_for_what_it_got(town, model) -> None:
    """Peers billed nothing. Where nothing was told, the prompt is estimated by its size, never by zero."""
    receipt = left_after(town, "alpha", "chat", f"alpha/{model}")
    assert (receipt.outcome, receipt.usage_state) == ("cancelled", "estimated")
    assert receipt.usage.fresh_in == receipt.request_bytes // 4 > 100
    assert receipt.usage.visible_out >= 1


def test_07_an_abandoned_stream_of_an_alias_keeps_the_input_that_was_told(town, model) -> None:
    """Peers billed such streams for the part that was drained, or nothing on an alias."""
    receipt = left_after(town, "claude", "messages", f"cross-{model}")
    assert (receipt.outcome, receipt.deployment) == ("cancelled", f"claude/{model}")
    assert receipt.usage.input_total == 1234, "message_start told it before the client left"
    assert receipt.usage_state == "partial"
    assert '"input_tokens"' in receipt.usage_raw


def test_08_zero_is_a_value(book: PriceBook, town, model) -> None:
    """Peers replaced a usage of zero by an estimate."""
    told = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    body = {"id": "c", "object": "chat.completion", "model": model, "choices": [], "usage": told}
    town.alpha.script(Behaviour(body=json.dumps(body).encode()))
    with town.house.wire() as wire:
        wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    receipt = town.house.receipt()
    assert (receipt.usage, receipt.usage_state) == (Usage(), "reported")
    cost = book.price("openai", "openai", "gpt-4o", receipt.usage, AT_MS)
    assert (cost.nanos, cost.state) == (0, "computed")
    assert billed_nanos(raw(cost=0)) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_09_a_bridge_between_dialects_loses_no_receipt(town, model, stream) -> None:
    """Responses asked of a place that only speaks chat: peers dropped the row."""
    town.beta.script(Behaviour(cached_tokens=4))
    with town.house.wire() as wire:
        answer = wire.call(PATHS["responses"], asking("responses", f"beta/{model}", stream=stream))
    receipt = town.house.receipt()
    assert receipt.id == answer.header("x-freehold-receipt")
    assert receipt.usage == Usage(fresh_in=7, cache_read=4, visible_out=OUT)


# -- 10 to 13: prices that are missing, and budgets


def test_10_audio_is_never_free(book: PriceBook) -> None:
    """A model without a price for audio: its text price, and said to be an estimate."""
    usage = usage_of(
        "chat", raw(prompt_tokens=1000, completion_tokens=0, prompt_tokens_details={"audio_tokens": 900})
    )
    cost = book.price("openai", "openai", "gpt-4o-audio-preview", usage, AT_MS)
    assert (cost.nanos, cost.state) == (2_500_000, "estimated")


def test_11_calls_at_the_same_time_do_not_spend_the_same_money() -> None:
    """Peers looked, then spent: as many times the cap as there were calls. First-seen sessions included."""
    budgets = BudgetBook(rules({"scope": "session:*", "limit_usd": 1}, {"scope": "all", "limit_usd": 1}))
    answers = [budgets.hold(Payer(session=f"s{n % 50}"), USD // 100, T0, f"c{n}") for n in range(500)]
    assert sum(isinstance(answer, Hold) for answer in answers) == 100


def test_12_what_is_held_knows_the_tier_that_the_call_may_reach() -> None:
    """Above 272,000 tokens everything costs double: 300,000 of them can cost 0.60 USD, not 0.30."""
    tiers = {272_000: ListedPrices(input=2 * USD, output=2 * USD)}
    rates = rates_from(ListedPrices(input=USD, output=USD), tiers)
    assert rates is not None
    worst = worst_case_nanos(rates, InputBound(tokens=300_000), 0)
    assert worst == cost_of(rates, Usage(fresh_in=300_000))[0] == 600_000_000
    budgets = BudgetBook(rules({"scope": "all", "limit_usd": 0.45}))
    assert isinstance(budgets.hold(Payer(), worst, T0), Denial)


def test_13_no_hold_leaks_and_none_is_counted_twice() -> None:
    """Peers blocked calls at 55.74 of 100 USD. Here the last cent can be spent, whatever calls did before."""
    budgets = BudgetBook(rules({"scope": "all", "limit_usd": 100}))
    spent = 0
    for number in range(3000):
        hold = budgets.hold(Payer(), USD, T0, f"c{number}")
        assert isinstance(hold, Hold)
        if number % 3 == 0:
            budgets.release(hold)
        else:
            budgets.settle(hold, 20_000_000, T0)
            spent += 20_000_000
    assert spent == 40 * USD
    assert isinstance(budgets.hold(Payer(), 60 * USD, T0), Hold)
    assert isinstance(budgets.hold(Payer(), 1, T0), Denial)


# -- 14 to 18: who counts what


def test_14_an_input_that_includes_the_cache_is_not_one_that_excludes_it(book: PriceBook) -> None:
    """The same call, told in both habits, has the same buckets: 10,000 in, 9,000 of them cached."""
    including = usage_of(
        "responses", raw(input_tokens=10_000, output_tokens=5, input_tokens_details={"cached_tokens": 9000})
    )
    excluding = usage_of("messages", raw(input_tokens=1000, cache_read_input_tokens=9000, output_tokens=5))
    assert including == excluding == Usage(fresh_in=1000, cache_read=9000, visible_out=5)


def test_14_a_kind_of_token_without_a_price_is_not_free() -> None:
    """A price list that only knows output: what went in is unknown, and then so is the whole."""
    book = PriceBook.empty(parse_overrides({"box/m": {"output": 15}}))
    assert book.price(None, "box", "m", Usage(fresh_in=5, visible_out=5), AT_MS).state == "unknown"


def test_15_the_last_word_of_a_stream_counts_and_not_its_placeholder() -> None:
    """Log readers kept the first snapshot: output 10 to 17 times too small."""
    tap = Tap("messages")
    tap.event(b'{"type":"message_start","message":{"id":"m","usage":{"input_tokens":412,"output_tokens":1}}}')
    tap.event(b'{"type":"message_delta","delta":{},"usage":{"output_tokens":5}}')
    tap.event(b'{"type":"message_delta","delta":{},"usage":{"output_tokens":173}}')
    assert tap.usage_raw is not None
    assert usage_of("messages", tap.usage_raw) == Usage(fresh_in=412, visible_out=173)


def test_16_usage_that_is_told_again_is_not_added_again() -> None:
    """Log readers found the whole usage beside each block of an answer, and summed it up."""
    tap = Tap("chat")
    for _ in range(4):
        tap.event(
            b'{"id":"c","choices":[],"usage":{"prompt_tokens":300,"completion_tokens":40,"total_tokens":340}}'
        )
    assert tap.usage_raw is not None
    assert usage_of("chat", tap.usage_raw) == Usage(fresh_in=300, visible_out=40)


def test_17_a_conversation_that_is_sent_again_is_counted_by_what_each_answer_told(town, model) -> None:
    """Readers of forked sessions replayed their parent's counters: thousands of dollars a day.

    Here nothing is a counter: each answer's own usage is one receipt, and a fork is another call.
    """
    for _ in range(3):
        with town.house.wire() as wire:
            wire.call(
                PATHS["chat"], asking("chat", f"alpha/{model}"), headers={"x-freehold-session": "parent"}
            )
    receipts = town.house.new_receipts()
    assert [receipt.usage for receipt in receipts] == [Usage(fresh_in=11, visible_out=OUT)] * 3
    assert len({receipt.id for receipt in receipts}) == 3


def test_18_reading_the_log_twice_doubles_nothing(tmp_path: Path) -> None:
    """Other readers showed 150 times the truth after reading again. Made anew, all sums are the same."""
    write_ledger(tmp_path, [make_receipt(number) for number in range(500)])
    found = []
    for _ in range(2):
        with open_readonly(tmp_path) as db:
            found.append((sorted(sums(db, ("model", "session"), EVER), key=repr), list(calls(db, EVER))))
        rebuild(tmp_path)
    assert found[0] == found[1]
    assert sum(row.cost_nanos for row in found[0][0]) == sum(number * 7 + 1 for number in range(500))


# -- 19 to 21


def test_19_an_answer_from_the_cache_is_a_call_that_costs_nothing() -> None:
    """Peers billed it as a call. It is a call, its cost is zero, and what it saved is told."""
    hit = Spent(
        at_ms=AT_MS,
        provider="openai",
        deployment="openai/gpt-4o",
        cost_nanos=0,
        cost_state="free",
        usage=Usage(fresh_in=100),
    )
    found = savings([hit], "openai/gpt-4o", lambda usage, _: usage.fresh_in * 2500)
    assert (found.cost_nanos, found.saved_nanos, found.rows[0].kind) == (0, 250_000, "cached")


def test_20_spoken_tokens_have_the_price_of_speech(book: PriceBook) -> None:
    """gpt-audio: text 2.50, speech in 32 and out 64 USD. By the text price it would be 13 times less."""
    told = raw(
        prompt_tokens=1100,
        completion_tokens=600,
        total_tokens=1700,
        prompt_tokens_details={"audio_tokens": 1000, "cached_tokens": 0, "text_tokens": 100},
        completion_tokens_details={"audio_tokens": 500, "text_tokens": 100},
    )
    cost = book.price("openai", "openai", "gpt-audio", usage_of("chat", told), AT_MS)
    assert (cost.nanos, cost.state) == (250_000 + 32_000_000 + 32_000_000 + 1_000_000, "computed")


def test_20_cached_speech_is_taken_out_of_speech_once() -> None:
    """1,000 tokens of speech, 800 of them cached; 100 of text, 50 of them cached."""
    told = raw(
        prompt_tokens=1100,
        completion_tokens=0,
        total_tokens=1100,
        prompt_tokens_details={
            "audio_tokens": 1000,
            "cached_tokens": 850,
            "cached_tokens_details": {"audio_tokens": 800, "text_tokens": 50},
        },
    )
    usage = usage_of("chat", told)
    assert usage == Usage(cache_read=850, audio_in=200, fresh_in=50)
    assert usage.input_total == 1100


def test_21_tables_grow_with_calls_and_not_with_their_parts(tmp_path: Path) -> None:
    """Peers wrote a row for each tool, tag and team of a call, and never dropped one: hundreds of gigabytes.

    Here a call is one row, whatever it used, and the sums of an hour are one row for each combination.
    """
    receipts = [make_receipt(n, started_ms=AT_MS + n, session="s", agent="a") for n in range(1000)]
    write_ledger(tmp_path, receipts)
    with open_readonly(tmp_path) as db:
        sizes = {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("calls", "rollups", "session_rollups")
        }
    combinations = len({(receipt.project, receipt.cost_state) for receipt in receipts})
    assert combinations == 4
    assert sizes == {"calls": 1000, "rollups": combinations, "session_rollups": combinations}
