"""Chances: from what is usual to what was seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config_routing import TIERS, Tier
from freehold.routing.outcomes import MOST, WEIGHTS, Beliefs, Outcome, Source, cautious, kind_of, usual


def outcome(score: float, task: str = "code", deployment: str = "qwen", **facts: object) -> Outcome:
    return Outcome(**({"task": task, "deployment": deployment, "score": score} | facts))  # pyright: ignore


def after(*outcomes: Outcome) -> Beliefs:
    beliefs = Beliefs()
    for one in outcomes:
        beliefs.learn(one)
    return beliefs


@pytest.mark.parametrize("task", ["", "code", "heartbeat", "review", "made up"])
def test_without_outcomes_dearer_tiers_are_likelier_good_and_nothing_is_sure(task: str) -> None:
    means = [usual(task, tier).mean for tier in TIERS]
    assert means == sorted(means)
    assert all(0 < belief.deviation < 0.25 for belief in (usual(task, tier) for tier in TIERS))
    assert Beliefs().belief(task, "qwen", "local") == usual(task, "local")


def test_one_kind_of_task_by_many_names() -> None:
    assert kind_of(" Coding ") == "code"
    assert usual("summarize", "local") == usual("summarise", "local")
    assert after(outcome(0.0, task="coding")).belief("code", "qwen", "local").trials == 1.0


def test_outcomes_outvote_what_is_usual() -> None:
    good = after(*[outcome(1.0)] * 40).belief("code", "qwen", "local")
    bad = after(*[outcome(0.0)] * 40).belief("code", "qwen", "local")
    assert good.mean > 0.95
    assert bad.mean < 0.15
    assert good.deviation < usual("code", "local").deviation / 2


def test_other_tasks_count_a_little() -> None:
    seen = after(*[outcome(0.0, task="review")] * 50).belief("code", "qwen", "local")
    assert usual("code", "local").mean / 3 < seen.mean < usual("code", "local").mean
    assert seen.trials == 0.0


def test_another_deployment_s_outcomes_say_nothing() -> None:
    assert after(outcome(0.0)).belief("code", "glm", "local") == usual("code", "local")


def test_who_thinks_again_is_counted_once() -> None:
    twice = after(outcome(1.0, receipt="r1"), outcome(0.0, receipt="r1"))
    once = after(outcome(0.0, receipt="r1"))
    assert twice.belief("code", "qwen", "local") == once.belief("code", "qwen", "local")
    both = after(outcome(0.0, receipt="r1"), outcome(0.0, receipt="r1", source="retry"))
    assert both.belief("code", "qwen", "local").trials == WEIGHTS["person"] + WEIGHTS["retry"]


def test_who_thinks_again_after_a_restart_is_counted_once_too() -> None:
    before = after(outcome(1.0, receipt="r1"))
    again = Beliefs(before.tallies)
    again.remember(before.said)
    assert not again.learn(outcome(0.0, receipt="r1"))
    assert again.belief("code", "qwen", "local").trials == 1.0


def test_made_up_kinds_of_task_do_not_fill_the_memory() -> None:
    beliefs = after(outcome(1.0), *(outcome(1.0, task=f"ticket-{n}") for n in range(2 * Beliefs.KINDS)))
    assert len(beliefs.tallies) == Beliefs.KINDS
    assert "code" not in beliefs.tallies


def test_what_is_kept_is_what_was_learned() -> None:
    before = after(*[outcome(1.0)] * 5, *[outcome(0.0, task="review")] * 5)
    again = Beliefs(before.tallies)
    for task in ("code", "review", "chat"):
        assert again.belief(task, "qwen", "local") == before.belief(task, "qwen", "local")


def test_old_outcomes_fade() -> None:
    changed = after(*[outcome(1.0)] * 2000, *[outcome(0.0)] * 600).belief("code", "qwen", "local")
    assert changed.trials <= MOST
    assert changed.mean < 0.1


@given(
    st.lists(st.tuples(st.floats(-1, 2), st.sampled_from([*WEIGHTS]), st.sampled_from(["", "r1", "r2"]))),
    st.sampled_from(TIERS),
)
def test_a_chance_stays_one(said: Sequence[tuple[float, Source, str]], tier: Tier) -> None:
    beliefs = after(*(outcome(score, source=source, receipt=receipt) for score, source, receipt in said))
    belief = beliefs.belief("code", "qwen", tier)
    assert 0.0 < belief.mean < 1.0
    assert 0.0 < belief.deviation <= 0.5
    assert 0.0 <= cautious(belief) <= belief.mean


def test_rare_retries_move_nothing_and_frequent_ones_do_however_long_a_house_runs() -> None:
    def chance(every: int) -> float:
        beliefs = Beliefs()
        for number in range(3000):
            if number % every == 0:
                beliefs.learn(
                    Outcome(task="chat", deployment="own", score=0.0, source="retry", receipt=f"r{number}")
                )
            else:
                beliefs.went_on("chat", "own")
        return beliefs.belief("chat", "own", "local").mean

    assert chance(200) > usual("chat", "local").mean
    assert chance(10) < 0.6


def test_silence_says_nothing_of_whom_nobody_has_spoken() -> None:
    beliefs = Beliefs()
    beliefs.went_on("chat", "own")
    assert beliefs.belief("chat", "own", "local") == usual("chat", "local")
    assert not beliefs.tallies


def _sent_up(share: float, count: int = 500) -> float:
    """The chance of a place when such a share of its answers is sent up; of the rest nobody says a word."""
    beliefs, due = Beliefs(), 0.0
    for number in range(count):
        due += share
        if due >= 1.0:
            due -= 1.0
            said = Outcome(task="code", deployment="q", score=0.0, source="escalation", receipt=f"r{number}")
            beliefs.learn(said)
        else:
            beliefs.given("code", "q")
    return beliefs.belief("code", "q", "local").mean


def test_a_few_answers_sent_up_of_many_change_nothing_and_many_do() -> None:
    before = usual("code", "local").mean
    assert _sent_up(0.03) == pytest.approx(before)
    assert _sent_up(0.3) < before - 0.1
    assert _sent_up(1.0) < 0.1


def test_answers_sent_up_outweigh_no_praise_and_answers_given_are_none() -> None:
    beliefs = Beliefs()
    for number in range(20):
        beliefs.learn(Outcome(task="code", deployment="q", score=1.0, receipt=f"g{number}"))
        beliefs.given("code", "q")
    praised = beliefs.belief("code", "q", "local").mean
    beliefs.learn(Outcome(task="code", deployment="q", score=0.0, source="escalation", receipt="r"))
    beliefs.given("code", "q")
    assert 0.8 * praised < beliefs.belief("code", "q", "local").mean < praised
