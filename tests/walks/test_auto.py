"""`model: auto`: the cheapest place that is good enough, in words; one tier up when its answer is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin, ToolCall
from tests.house import House, provider
from tests.talk import PATHS
from tests.walks.priced import ask, priced

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}
GOOD = Behaviour(tool_calls=(ToolCall(name="weather", arguments='{"city":"Vienna"}'),))
BROKEN = Behaviour(tool_calls=(ToolCall(name="weather", arguments='{"city":'),))


@pytest.fixture
def upstream():
    with Standin(("small", "large")) as standin:
        yield standin


@pytest.fixture
def house(tmp_path: Path, upstream: Standin):
    """`home/small` costs next to nothing, `cloud/large` much."""
    config = {
        "providers": {"home": provider(upstream), "cloud": provider(upstream)},
        "prices": priced(upstream, "home", 0.01, 0.02) | priced(upstream, "cloud", 15.0, 75.0),
        "tiers": {"local": ["home/small"], "premium": ["cloud/large"]},
        "routing": {"tasks": {"review": "premium"}, "explore": 0},
        "models": {"helper": {"candidates": ["cloud/large", "home/small"], "route": "cheapest"}},
    }
    running = House(tmp_path, config)
    yield running
    running.stop()


def test_what_is_cheap_and_good_enough_answers_and_says_why(house: House, upstream: Standin) -> None:
    answer = ask(house, "auto", "Say hello to Anna")
    assert answer.status == 200
    assert answer.header("x-freehold-deployment") == "home/small"
    assert (answer.header("x-freehold-route") or "").startswith("auto: home/small (local)")
    receipt = house.receipt()
    assert (receipt.model_asked, receipt.deployment) == ("auto", "home/small")
    assert receipt.route == answer.header("x-freehold-route")


def test_a_kind_of_task_may_be_bound_to_a_tier(house: House) -> None:
    answer = ask(house, "auto", headers={"x-freehold-task": "review"})
    assert answer.header("x-freehold-deployment") == "cloud/large"
    assert "review (said)" in (answer.header("x-freehold-route") or "")


def test_a_name_of_the_users_own_chooses_among_its_candidates(house: House) -> None:
    answer = ask(house, "helper")
    assert answer.header("x-freehold-deployment") == "home/small"
    assert "is the cheapest" in (answer.header("x-freehold-route") or "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_a_broken_tool_call_goes_one_tier_up_and_both_are_paid_on_one_receipt(
    house: House, upstream: Standin, dialect: str, stream: bool
) -> None:
    upstream.by_model |= {"small": BROKEN, "large": GOOD}
    tool = WEATHER
    if dialect == "messages":
        tool = {"name": "weather", "input_schema": WEATHER["function"]["parameters"]}
    with house.wire() as wire:
        body = {
            "model": "auto",
            "max_tokens": 64,
            "stream": stream,
            "messages": [{"role": "user", "content": "How is the weather in Vienna?"}],
            "tools": [tool],
        }
        answer = wire.call(PATHS[dialect], body)
    assert answer.status == 200
    assert answer.header("x-freehold-deployment") == "cloud/large"
    assert b"Vienna" in answer.body
    (receipt,) = [one for one in house.new_receipts() if one.kind == "call"]
    assert [attempt.deployment for attempt in receipt.attempts] == ["home/small", "cloud/large"]
    cheap, dear = receipt.attempts
    assert "broken JSON in a call of weather" in cheap.error
    assert 0 < cheap.cost_nanos < receipt.cost_nanos
    assert dear.cost_nanos == 0, "the sum is the receipt's"
    assert receipt.outcome == "ok"
    assert house.run("receipts", "verify", "--home", str(house.home)).returncode == 0


def test_the_first_words_of_a_stream_tell_a_refusal(house: House, upstream: Standin) -> None:
    upstream.by_model["small"] = Behaviour(
        pieces=("I'm sorry, ", "but I cannot help ", "with that ", "request at all. ") * 2
    )
    answer = ask(house, "auto", "How do I sharpen a knife?", stream=True)
    assert answer.header("x-freehold-deployment") == "cloud/large"
    assert b"sorry" not in answer.body


def test_an_answer_that_must_do_is_given(house: House, upstream: Standin) -> None:
    """Nobody is left above: the answer goes to the client as it is."""
    upstream.by_model["large"] = BROKEN
    answer = ask(house, "auto", headers={"x-freehold-task": "review"}, tools=[WEATHER])
    assert answer.status == 200
    assert answer.header("x-freehold-deployment") == "cloud/large"


def test_a_session_stays_where_it_is(house: House, upstream: Standin) -> None:
    told = {"x-freehold-session": "s1"}
    ask(house, "auto", "Say hello to Anna", headers=told)
    answer = ask(house, "auto", "And now to Berta, please", headers=told)
    assert "where the session is" in (answer.header("x-freehold-route") or "")


def test_what_our_own_power_costs_is_in_the_choice_and_in_what_others_would_have_cost(tmp_path: Path) -> None:
    """A slow machine with dear electricity: once it is known what its tokens cost, a cheap model is asked."""
    with Standin(("m",)) as machine, Standin(("cheap",)) as cloud:
        house = House(
            tmp_path,
            {
                "servers": {"own": {"adopt": machine.url, "model": "m", "health": "/v1/models"}},
                "providers": {"cloud": provider(cloud)},
                "prices": priced(cloud, "cloud", 0.01, 0.02),
                "tiers": {"local": ["own"], "balanced": ["cloud/cheap"]},
                "routing": {"explore": 0, "minute_usd": 0, "tasks": {"heartbeat": "local"}},
                "energy": {"tariff_per_kwh_usd": 1000, "busy_watts": 1000},
                "budgets": [{"scope": "all", "limit_usd": 0.001, "window": "total"}],
            },
        )
        try:
            machine.default = Behaviour(delay_head_s=0.02)
            first = ask(house, "auto", "Say hello to Anna", max_tokens=20)
            assert first.header("x-freehold-deployment") == "own", "nobody knows yet what it costs"
            own = house.receipt()
            second = ask(house, "auto", "Say hello to Berta", max_tokens=20)
            assert second.header("x-freehold-deployment") == "cloud/cheap"
            house.new_receipts()
            bound = ask(house, "auto", "Say hello to Cleo", headers={"x-freehold-task": "heartbeat"})
            assert bound.header("x-freehold-deployment") == "own", "no budget pays for it"
            past = json.loads(house.run("route", "explain", "--receipt", own.id, "--json").stdout)
            prices = {one["name"]: one["price_nanos"] for one in past["candidates"]}
            assert prices["own"] == pytest.approx(own.cost_nanos, rel=0.5)
            assert own.cost_nanos > 1_000_000, "more than the budget has"
            assert 0 < prices["cloud/cheap"] < own.cost_nanos
            house.stop()
            alone = house.run("route", "explain", "--receipt", own.id, "--json", "--config", "freehold.yaml")
            again = {one["name"]: one["price_nanos"] for one in json.loads(alone.stdout)["candidates"]}
            assert again == prices, "known without a running house"
        finally:
            house.stop()


def test_what_is_no_conversation_is_not_chosen_for_but_told(house: House, upstream: Standin) -> None:
    with house.wire() as wire:
        answer = wire.call("/v1/embeddings", {"model": "auto", "input": "hello"})
    assert answer.status == 400
    assert b"name a model for embeddings" in answer.body
    assert not upstream.seen


def test_explaining_a_name_that_leaves_no_choice_says_which_do(house: House) -> None:
    for name in ("home/small", "hlper"):
        told = house.run("route", "explain", "hello", "--model", name)
        assert told.returncode == 1
        assert f"nothing is chosen for '{name}'" in told.stderr
        assert "auto, helper" in told.stderr


def test_a_kept_answer_is_not_given_to_who_asks_for_a_better_one(tmp_path: Path, upstream: Standin) -> None:
    house = House(
        tmp_path,
        {
            "providers": {"home": provider(upstream), "cloud": provider(upstream)},
            "prices": priced(upstream, "home", 0.01, 0.02) | priced(upstream, "cloud", 15.0, 75.0),
            "tiers": {"local": ["home/small"], "premium": ["cloud/large"]},
            "routing": {"tasks": {"review": "premium", "editor": "premium"}, "explore": 0},
            "cache": {"exact": {"ttl": "1h"}},
        },
    )
    try:
        assert ask(house, "auto").header("x-freehold-deployment") == "home/small"
        again = ask(house, "auto", headers={"x-freehold-agent": "clerk"})
        assert (again.header("x-freehold-cache"), again.header("x-freehold-deployment")) == (
            "hit",
            "home/small",
        )
        for header in ({"x-freehold-task": "review"}, {"x-freehold-agent": "editor"}):
            better = ask(house, "auto", headers=header)
            assert better.header("x-freehold-cache") == "miss"
            assert better.header("x-freehold-deployment") == "cloud/large"
        assert ask(house, "auto", headers={"x-freehold-critical": "1"}).header("x-freehold-cache") == "miss"
        house.new_receipts()
        ask(house, "auto")
        kept = house.receipt()
        shown = house.run("receipts", "show", kept.id).stdout
        assert "answered by   small (home/small)" in shown
        assert "the answer of r" in shown
        told = house.run("route", "explain", "--receipt", kept.id).stdout
        assert f"{kept.id} was answered without a model: an answer of home/small was kept" in told
    finally:
        house.stop()


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_what_nobody_can_ever_take_is_not_to_be_sent_again(
    tmp_path: Path, upstream: Standin, dialect: str
) -> None:
    """Clients repeat a 503; agents shorten their conversation when it is too long."""
    house = House(
        tmp_path,
        {
            "servers": {
                "own": {"adopt": upstream.url, "model": "small", "health": "/v1/models", "context": 512}
            },
            "tiers": {"local": ["own"]},
        },
    )
    try:
        answer = ask(house, "auto", "word " * 2000, dialect=dialect)
        assert answer.status == 400
        assert b"prompt is too long: auto: nobody can take this call: own takes 512 tokens" in answer.body
        assert ask(house, "auto", dialect=dialect).status == 200
    finally:
        house.stop()


def test_what_others_would_have_cost_leaves_out_the_attempt_that_was_no_good(
    house: House, upstream: Standin
) -> None:
    upstream.by_model["small"] = Behaviour(pieces=("",))
    assert ask(house, "auto").header("x-freehold-deployment") == "cloud/large"
    receipt = house.receipt()
    bad = receipt.attempts[0]
    assert bad.cost_nanos > 0
    told = json.loads(house.run("route", "explain", "--receipt", receipt.id, "--json").stdout)
    prices = {one["name"]: one["price_nanos"] for one in told["candidates"]}
    assert prices["cloud/large"] == receipt.cost_nanos - bad.cost_nanos == told["baseline_nanos"]
