"""Which calls are put to a cheaper place too, what a judge is asked, and what is counted of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.auto import decide
from freehold.routing.shadow import (
    ShadowPlan,
    ShadowRules,
    ShadowTally,
    Tallies,
    counted,
    judge_prompt,
    judged,
    shadow_plan,
)
from freehold.routing.world import RoutingRules, Standing
from tests.routing.worlds import USD, ask, world

RULES = RoutingRules(tasks={"review": "premium", "code": "local"}, baseline="p/opus")
SHADOW = ShadowRules(share=0.1, judge="p/opus", budget_nanos=USD)


def plan(rules: ShadowRules = SHADOW, *, barred: tuple[str, ...] = (), **facts: object) -> ShadowPlan | None:
    call = ask(task=str(facts.pop("task", "review")))
    usual = {"chance": 0.05, "spent_nanos": 0, "critical": False, "side_effects": False}
    around = world(standings={name: Standing(barred="rests") for name in barred})
    return shadow_plan(decide(call, around, RULES), rules, **(usual | facts))  # pyright: ignore


def place(**facts: object) -> str | None:
    found = plan(**facts)  # pyright: ignore
    return None if found is None else found.deployment


def test_some_dear_calls_are_put_to_a_cheaper_place() -> None:
    assert place() is not None
    assert place(chance=0.1) is None
    assert place(critical=True) is None
    assert place(side_effects=True) is None
    assert place(spent_nanos=USD) is None
    assert place(task="code") is None, "was local anyway"
    assert place(rules=ShadowRules(share=1.0)) is None, "nobody judges"


def test_what_could_be_local_is_asked_most_and_what_could_be_cheaper_now_and_then() -> None:
    tiers = [found.tier for step in range(100) if (found := plan(chance=step / 1000)) is not None]
    assert len(tiers) == 100
    assert 60 <= tiers.count("local") <= 90
    assert set(tiers) == {"local", "balanced"}


def test_one_that_could_not_have_answered_is_no_shadow() -> None:
    assert place(barred=("p/mini", "glm")) == "qwen"
    assert place(barred=("p/mini", "glm", "qwen")) is None


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("8", 0.8),
        ("10", 1.0),
        ("Score: 7/10", 0.7),
        (" 0\n", 0.0),
        ("On a scale of 0 to 10, I'd rate it 9", 0.9),
        ("Score (0-10): 8", 0.8),
        ("0–10: 3", 0.3),
        ("none", None),
        ("", None),
        ("2025", None),
    ],
)
def test_a_judge_s_words(words: str, score: float | None) -> None:
    assert judged(words) == score


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_a_judge_sees_everything(question: str, answer: str, shadow: str) -> None:
    asked = judge_prompt(question, answer, shadow)
    assert question in asked
    assert answer in asked
    assert shadow in asked


def test_comparisons_are_counted_by_kind_of_task_and_place() -> None:
    tallies: Tallies = {}
    for score in (0.9, 0.6, 0.2, 0.8):
        tallies = counted(tallies, "review", "qwen", "local", score)
    tallies = counted(tallies, "review", "p/mini", "balanced", 0.5)
    assert tallies == {
        "review": {
            "qwen": ShadowTally(tier="local", compared=4, good=3),
            "p/mini": ShadowTally(tier="balanced", compared=1, good=1),
        }
    }
