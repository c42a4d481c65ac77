"""Choosing who answers: the cheapest that is good enough, among those that can, fit and may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freehold.core.catalog import Deployment
from freehold.routing.auto import decide, price_nanos
from freehold.routing.world import (
    Abilities,
    AliasRule,
    Ask,
    Belief,
    Check,
    Decision,
    Needs,
    Place,
    Rates,
    RoutingRules,
    Standing,
    Sticky,
    World,
)
from tests.growth import LINEAR, cpu_s, growth
from tests.routing import worlds as made
from tests.routing.worlds import BEST, CHEAP, HOUSE, LOCAL, OTHER, USD, ask, place, world

RULES = RoutingRules(tasks={"code": "local", "review": "premium", "odd": "p/mini", "writer": "balanced"})


def first(decision: Decision) -> str:
    return decision.candidates[0].name


def why(decision: Decision, name: str) -> str:
    return next(one.excluded for one in decision.considered if one.name == name)


# -- stories


@pytest.mark.parametrize(
    ("task", "chosen"),
    [
        ("heartbeat", "qwen"),
        ("summarise", "qwen"),
        ("code", "qwen"),  # bound to local
        ("review", "p/opus"),
        ("strategy", "p/opus"),  # not bound: no small model is near enough
        ("odd", "p/mini"),  # bound to a model
        ("", "qwen"),
    ],
)
def test_where_a_task_begins_without_any_outcome(task: str, chosen: str) -> None:
    assert first(decide(ask(task=task), world(), RULES)) == chosen


def test_an_agent_s_declaration_counts_where_the_call_says_nothing_that_is_bound() -> None:
    assert first(decide(ask(agent="writer"), world(), RULES)) == "p/mini"
    assert first(decide(ask(agent="writer", task="review"), world(), RULES)) == "p/opus"
    assert first(decide(ask(guess="review"), world(), RULES)) == "p/opus"
    assert decide(ask(guess="review"), world(), RULES).task == "review"
    assert decide(ask(guess="review", task="code"), world(), RULES).task == "code"


def test_a_bound_task_goes_up_when_its_tier_cannot_and_never_down() -> None:
    deaf = replace(LOCAL, able=Abilities(vision=False))
    decision = decide(ask(task="code", needs=Needs(vision=True)), world(deaf, CHEAP, BEST), RULES)
    assert [one.name for one in decision.candidates] == ["p/mini", "p/opus"]
    assert why(decision, "qwen") == "takes no pictures"
    barred = {"p/opus": Standing(barred="rests for 5 s")}
    decision = decide(ask(task="review"), world(standings=barred), RULES)
    assert decision.candidates == ()
    assert "p/opus rests for 5 s" in decision.reason
    assert "qwen is local, and review begins premium" in decision.reason


def test_each_reason_is_told_in_words() -> None:
    decision = decide(
        ask(needs=Needs(tools=True, native="messages"), input_tokens=9000, max_wait_s=5.0),
        world(
            replace(LOCAL, able=Abilities(context=4096, native=frozenset(("chat", "messages")))),
            replace(OTHER, able=Abilities(native=frozenset(("messages",)))),
            replace(CHEAP, able=Abilities(tools=False)),
            BEST,
            standings={"glm": Standing(wait_s=40.0, loaded=False)},
        ),
        RULES,
    )
    assert decision.candidates == ()
    assert why(decision, "qwen") == "takes 4,096 tokens, the prompt has about 9,000"
    assert why(decision, "glm") == "begins in about 40 s, 5 s are allowed"
    assert why(decision, "p/mini") == "takes no tools"
    assert "does not itself speak messages" in why(decision, "p/opus")


def test_a_budget_keeps_out_what_it_cannot_pay_and_what_has_no_price() -> None:
    unpriced = place("q/new", "balanced", rates=None)
    decision = decide(ask(), world(LOCAL, CHEAP, BEST, unpriced, budget_left_nanos=1_000_000), RULES)
    assert why(decision, "p/opus") == "would cost about $0.007, the budget has $0.001 left"
    assert why(decision, "q/new") == "has no known price, and there is a hard budget"
    assert {one.name for one in decision.candidates} == {"qwen", "p/mini"}


def test_an_unknown_price_is_taken_for_the_dearest() -> None:
    sure = {name: Belief(0.9, 0.0) for name in ("q/new", "p/mini")}
    unpriced = place("q/new", "balanced", rates=None)
    assert first(decide(ask(), world(unpriced, CHEAP, beliefs=sure), RULES)) == "p/mini"


def test_what_nobody_knows_is_yes_but_ranked_lower() -> None:
    known = replace(OTHER, able=Abilities(tools=True))
    decision = decide(ask(needs=Needs(tools=True), task="chat"), world(LOCAL, known), RULES)
    assert [one.doubts for one in decision.considered] == [("tools",), ()]
    assert decision.considered[0].chance < decision.considered[1].chance
    tried = {"qwen": Belief(0.9, 0.05, 20.0)}
    assert not decide(ask(needs=Needs(tools=True)), world(LOCAL, beliefs=tried), RULES).considered[0].doubts


def test_waiting_has_a_price() -> None:
    slow = {"qwen": Standing(wait_s=90.0, loaded=False)}
    patient = RoutingRules(second_nanos=0)
    hurried = RoutingRules(second_nanos=USD // 3600)  # a dollar an hour
    bound = world(LOCAL, CHEAP, standings=slow)
    assert first(decide(ask(task="chat"), bound, patient)) == "qwen"
    assert first(decide(ask(task="chat"), bound, hurried)) == "p/mini"


def test_leaving_a_cache_costs_what_it_held() -> None:
    a, b = place("p/a", "balanced", 1.0), place("p/b", "balanced", 0.5)
    question = ask(input_tokens=100_000, output_tokens=10, session="s")
    fresh = world(a, b)
    assert first(decide(question, fresh, RULES)) == "p/b"
    stays = replace(fresh, sticky=Sticky(deployment="p/a", tokens=100_000, at_ms=0), now_ms=60_000)
    assert first(decide(question, stays, RULES)) == "p/a"
    assert "where the session is" in decide(question, stays, RULES).reason
    little = replace(stays, sticky=Sticky(deployment="p/a", tokens=10_000, at_ms=0))
    assert first(decide(question, little, RULES)) == "p/b"
    cold = replace(stays, now_ms=600_000)
    assert first(decide(question, cold, RULES)) == "p/b"


def test_a_question_that_was_not_answered_well_goes_up() -> None:
    decision = decide(ask(task="chat", failed=("qwen",)), world(), RULES)
    assert first(decision) == "p/mini"
    assert why(decision, "qwen") == "its answer to this was not good enough"
    assert why(decision, "glm") == "is local, and chat was asked again"
    assert (
        first(decide(ask(task="review", failed=("p/opus",)), world(), RULES)) == "p/opus"
    )  # nobody is above
    calm = decide(ask(task="chat", failed=("qwen",)), world(), RoutingRules(escalate=False))
    assert first(calm) == "glm"


def test_names_with_a_route() -> None:
    aliases = {
        "quick": AliasRule("fastest", ("qwen", "p/mini")),
        "thrifty": AliasRule("cheapest", ("p/opus", "p/mini")),
        "any": AliasRule("balance", ("qwen", "glm")),
        "wise": AliasRule("auto", ("p/mini", "p/opus")),
    }
    standings = {
        "qwen": Standing(first_s=0.2, tokens_per_s=10.0, outstanding=3),
        "p/mini": Standing(first_s=0.6, tokens_per_s=200.0),
    }
    around, rules = world(standings=standings), RoutingRules(aliases=aliases)
    chosen = {name: first(decide(ask(model=name), around, rules)) for name in aliases}
    assert chosen == {"quick": "p/mini", "thrifty": "p/mini", "any": "glm", "wise": "p/mini"}
    assert decide(ask(model="quick"), around, rules).reason.startswith("quick: p/mini is the fastest")
    assert {one.name for one in decide(ask(model="wise"), around, rules).considered} == {"p/mini", "p/opus"}


def test_a_place_that_is_only_in_a_name_of_the_user_s_is_not_asked_for_auto() -> None:
    apart = replace(OTHER, auto=False)
    assert {one.name for one in decide(ask(), world(LOCAL, apart), RULES).considered} == {"qwen"}


def test_one_model_at_several_places_is_shared_out_by_its_prompts_beginning() -> None:
    twins = tuple(replace(place(f"gpu{n}"), model="m.gguf") for n in range(4))
    where = {
        prefix: first(decide(ask(prefix=prefix), world(*twins), RULES))
        for prefix in (b"%d" % n for n in range(64))
    }
    assert set(where.values()) == {"gpu0", "gpu1", "gpu2", "gpu3"}
    fewer = world(*twins[:3])
    moved = [p for p, name in where.items() if first(decide(ask(prefix=p), fewer, RULES)) != name]
    assert all(where[prefix] == "gpu3" for prefix in moved)  # only those whose server went away


def test_nobody_takes_part() -> None:
    assert decide(ask(), World(places=()), RULES).reason == "auto: no model takes part; name some under tiers"


# -- what holds for every world


@given(made.worlds(), made.asks, made.rules, st.floats(0, 1, exclude_max=True))
def test_nothing_excluded_is_ever_chosen_and_all_else_is_there_once(
    around: World, call: Ask, rules: RoutingRules, chance: float
) -> None:
    decision = decide(call, around, rules, chance)
    names = [one.name for one in decision.candidates]
    assert sorted(names) == sorted(one.name for one in decision.considered if not one.excluded)
    assert [one.name for one in decision.considered] == [one.name for one in around.places]
    assert decision.reason.isprintable()
    if not set(names) <= set(call.failed):
        assert not set(names) & set(call.failed) or decision == decide(
            replace(call, failed=()), around, rules, chance
        )


@given(made.worlds(), made.asks, made.rules, st.floats(0.05, 1.0))
def test_a_higher_quality_never_picks_one_that_is_less_likely_good(
    around: World, call: Ask, rules: RoutingRules, quality: float
) -> None:
    low, high = sorted((rules.quality, quality))
    before = decide(call, around, replace(rules, quality=low))
    after = decide(call, around, replace(rules, quality=high))
    if before.candidates:
        chances = {one.name: one.chance for one in after.considered}
        bar = [one for one in after.considered if one.passes]
        if any(one.name == first(before) for one in bar):
            return  # still good enough: then it may stay, or its twin with the same price
        assert chances[first(after)] >= chances[first(before)] - 1e-9


@given(made.worlds(), made.asks)
def test_with_equal_chances_the_cheapest_is_asked(around: World, call: Ask) -> None:
    rules = RoutingRules(escalate=False, second_nanos=0)
    same = {one.name: Belief(0.8, 0.0, 100.0) for one in around.places}
    decision = decide(call, replace(around, beliefs=same), rules)
    known = {one.name: one.price_nanos for one in decision.considered if not one.excluded}
    priced = [price for price in known.values() if price is not None]
    if priced:
        assert known[first(decision)] == min(priced)


@given(made.worlds(), made.asks, made.rules)
def test_a_session_stays_unless_its_price_is_beaten_by_more_than_the_cache_is_worth(
    around: World, call: Ask, rules: RoutingRules
) -> None:
    rules = replace(rules, second_nanos=0)
    decision = decide(call, around, rules)
    sticky = around.sticky
    seen = {one.name: one for one in decision.considered}
    here = seen.get(sticky.deployment) if sticky else None
    if sticky is None or here is None or not here.passes or here.price_nanos is None:
        return
    home = next(one for one in around.places if one.name == sticky.deployment)
    warm = around.now_ms - sticky.at_ms <= home.cache_s * 1000
    cached = min(sticky.tokens, call.input_tokens) if warm else 0
    assert here.price_nanos == price_nanos(home.rates, call, cached)
    if first(decision) != sticky.deployment:
        price = seen[first(decision)].price_nanos
        assert price is not None
        assert price < here.price_nanos  # fresh there < cached here: beaten by more than the loss


@given(made.worlds(), made.asks, made.rules, st.floats(0, 1, exclude_max=True))
def test_a_critical_call_is_never_explored_and_chance_changes_nothing_for_it(
    around: World, call: Ask, rules: RoutingRules, chance: float
) -> None:
    call = replace(call, critical=True)
    decision = decide(call, around, rules, chance)
    assert not decision.explored
    assert decision == decide(call, around, rules)


@given(made.worlds(), made.asks, made.rules, st.floats(0, 1, exclude_max=True))
def test_exploring_is_bounded_by_its_share(
    around: World, call: Ask, rules: RoutingRules, chance: float
) -> None:
    decision = decide(call, around, rules, chance)
    if chance >= rules.explore:
        assert not decision.explored
        assert decision == decide(call, around, rules)


def test_exploring_tries_what_is_little_known_and_leaves_alone_what_is_known_to_fail() -> None:
    beliefs = {"qwen": Belief(0.6, 0.15, 2.0), "glm": Belief(0.2, 0.01, 200.0), "p/mini": Belief(0.9, 0.02)}
    around, rules = world(LOCAL, OTHER, CHEAP, beliefs=beliefs), RoutingRules(escalate=False)
    assert first(decide(ask(), around, rules, 0.5)) == "p/mini"
    tried = decide(ask(), around, rules, 0.01)
    assert (first(tried), tried.explored) == ("qwen", True)
    assert "tried to learn" in tried.reason
    known = replace(around, beliefs={**beliefs, "qwen": Belief(0.6, 0.02, 200.0)})
    assert first(decide(ask(), known, rules, 0.01)) == "p/mini"


def test_a_decision_takes_no_longer_than_its_places_deserve() -> None:
    def deciding(size: int) -> Callable[[], object]:
        around = world(*HOUSE, *(place(f"p/m{n}", "balanced", 0.1 * n + 0.1) for n in range(size)))
        return lambda: decide(ask(task="chat"), around, RULES)

    assert growth(deciding, 20) < LINEAR
    assert cpu_s(deciding(24)) < 0.001


def test_twins_whose_power_is_only_measured_share_the_load() -> None:
    """What two servers with one model have cost lately is never quite the same: that is no reason to go to
    the same one again and again."""
    rules = RoutingRules(explore=0)
    twins = tuple(
        Place(deployment=Deployment(name=name, model_id="m", server=name), tier="local", model="m.gguf")
        for name in ("one", "two")
    )
    busy = Standing(outstanding=3, rates=Rates(out=1_000_000))
    idle = Standing(rates=Rates(out=1_010_000))
    world = World(places=twins, standings={"one": busy, "two": idle})
    assert first(decide(Ask(), world, rules)) == "two"
    assert first(decide(Ask(), replace(world, standings={"one": idle, "two": busy}), rules)) == "one"


def test_a_budget_does_not_pay_for_our_own_power() -> None:
    place = Place(deployment=Deployment(name="own", model_id="m", server="own"), tier="local")
    dear = Standing(rates=Rates(out=10**15))
    world = World(places=(place,), standings={"own": dear}, budget_left_nanos=1)
    assert first(decide(Ask(), world, RoutingRules())) == "own"


def code(rules: RoutingRules, **facts: object) -> str:
    """Who is asked first to write code."""
    return decide(ask(task="code", **facts), world(), rules).candidates[0].name


def test_where_bad_answers_are_found_out_cheap_places_are_good_enough() -> None:
    checks = {"code": Check(command=("check",))}
    assert code(RoutingRules()) != LOCAL.name
    assert code(RoutingRules(checks=checks)) == LOCAL.name
    assert code(RoutingRules(checks=checks, escalate=False)) != LOCAL.name
    assert code(RoutingRules(checks=checks), critical=True) != LOCAL.name
    assert code(RoutingRules(checks=checks), needs=Needs(tools=True)) != LOCAL.name


def test_streams_are_only_found_out_where_they_are_held() -> None:
    checks = {"code": Check(command=("check",))}
    assert code(RoutingRules(checks=checks), streamed=True) != LOCAL.name
    assert code(RoutingRules(checks=checks, hold_streams=True), streamed=True) == LOCAL.name


def test_comparing_needs_two_local_places() -> None:
    rules = RoutingRules(agree=frozenset(["code"]))

    def chance(*places: Place) -> float:
        (found,) = [
            one
            for one in decide(ask(task="code"), world(*places), rules).considered
            if one.name == LOCAL.name
        ]
        return found.chance

    assert chance(LOCAL, OTHER, BEST) > chance(LOCAL, BEST)
