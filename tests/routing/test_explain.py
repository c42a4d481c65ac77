"""A choice laid open, and what could have been."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgspec.structs import replace

from freehold.core.usage import Usage
from freehold.routing.auto import decide
from freehold.routing.explain import Explanation, PastCall, explain, explain_past
from freehold.routing.world import Ask, Check, Needs, RoutingRules, Standing, World, dollars
from tests.routing import worlds as made
from tests.routing.worlds import CHEAP, LOCAL, USD, ask, world

RULES = RoutingRules(tasks={"review": "premium", "code": "local"}, baseline="p/opus")


def why(found: Explanation) -> dict[str, str]:
    return {one.name: one.why for one in found.candidates}


def test_every_place_says_why_it_is_not_the_one() -> None:
    standings = {"glm": Standing(wait_s=20.0, loaded=False)}
    found = explain(ask(task="chat", input_tokens=1_000_000), world(standings=standings), RULES)
    assert why(found) == {
        "qwen": "",
        "glm": "slower by about 20.0 s",
        "p/mini": "dearer",
        "p/opus": "dearer",
    }
    assert [one.order for one in found.candidates] == [1, 2, 3, 4]
    assert found.baseline_nanos == 5_002_000_000
    reviewed = explain(ask(task="review"), world(), RULES)
    assert why(reviewed)["qwen"] == "is local, and review begins premium"
    assert reviewed.candidates[0].name == "p/opus"
    hard = explain(ask(task="strategy"), world(), RoutingRules())
    assert why(hard)["qwen"].startswith("chance 0.")
    assert why(hard)["qwen"].endswith(f"is below {hard.demanded:.2f}")
    assert why(explain(ask(task="code"), world(), RULES))["p/opus"] == "only if those before it cannot"


def test_a_doubt_is_told() -> None:
    found = explain(ask(task="chat", needs=Needs(tools=True)), world(), RULES)
    assert "nobody knows whether it takes tools" in why(found)["p/opus"]


def test_what_becomes_of_the_first_answer_is_told() -> None:
    checked = RoutingRules(tasks={"code": "local"}, checks={"code": Check(command=("python", "check.py"))})
    compared = RoutingRules(tasks={"code": "local"}, agree=frozenset(["code"]))
    code, critical = ask(task="code"), ask(task="code", critical=True)
    assert explain(code, world(), checked).before_given == "it is checked by python check.py"
    assert "compared with that of another local model" in explain(code, world(), compared).before_given
    for rules in (checked, compared):
        assert not explain(critical, world(), rules).before_given
        assert not explain(ask(task="chat"), world(), rules).before_given
        assert not explain(code, world(), replace(rules, escalate=False)).before_given
        alone = world(LOCAL)
        assert not explain(code, alone, rules).before_given, "nobody higher could be asked"


def test_a_past_call_beside_what_it_could_have_been() -> None:
    call = PastCall(
        receipt="r1",
        asked="auto",
        deployment="p/mini",
        route="auto: p/mini (balanced); ...",
        task="chat",
        usage=Usage(fresh_in=90_000, cache_read=10_000, visible_out=1000),
        cost_nanos=23_750_000,
    )
    found = explain_past(call, world(), RULES)
    prices = {one.name: one.price_nanos for one in found.candidates}
    assert prices == {"p/mini": 23_750_000, "qwen": 0, "glm": 0, "p/opus": 475_000_000}
    assert found.candidates[0].name == "p/mini"
    assert why(found)["p/mini"] == "answered"
    assert why(found)["qwen"] == "would be asked first today"
    assert (found.reason, found.cost_nanos, found.baseline_nanos) == (call.route, 23_750_000, 475_000_000)


@given(made.worlds(), made.asks, made.rules)
def test_an_explanation_tells_what_is_decided(around: World, call: Ask, rules: RoutingRules) -> None:
    found, decision = explain(call, around, rules), decide(call, around, rules)
    in_order = sorted((one for one in found.candidates if one.order), key=lambda one: one.order or 0)
    assert [one.name for one in in_order] == [one.name for one in decision.candidates]
    assert {one.name for one in found.candidates} == {one.name for one in around.places}
    for one in found.candidates:
        assert bool(one.why) is (one.order != 1)


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (None, "unknown"),
        (0, "$0"),
        (1, "$0.000000001"),
        (290, "$0.00000029"),
        (7_000_000, "$0.007"),
        (500_000_000, "$0.50"),
        (42_000, "$0.000042"),
        (2_100_000, "$0.0021"),
        (7 * USD, "$7.00"),
    ],
)
def test_money_in_few_digits(nanos: int | None, words: str) -> None:
    assert dollars(nanos) == words


def test_places_that_only_stand_in_names_are_not_explained_for_auto() -> None:
    found = explain(ask(task="chat"), world(LOCAL, replace(CHEAP, auto=False)), RULES)
    assert [one.name for one in found.candidates] == ["qwen"]
