"""The trained reader beside the plain counts: it speaks when outcomes stand behind it."""

from __future__ import annotations

import pytest

from freehold.routing.learned import Learned, grown
from freehold.routing.outcomes import Outcome, usual

START = {"qwen": usual("code", "local"), "p/opus": usual("code", "premium")}
HARD = "Prove that the halting problem is undecidable, step by step, with every lemma."
PLAIN = "Write a function that adds two numbers."


def outcome(deployment: str, score: float) -> Outcome:
    return Outcome(task="code", deployment=deployment, score=score)


def test_without_outcomes_chances_stay_what_is_usual() -> None:
    assert Learned().beliefs(HARD, "code", START) == START


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Translate to French: good morning, everybody", "translate"),
        ("Summarise this text in two sentences: the cat sat on the mat.", "summarise"),
        ("Write a Python function that sorts a list of words", "code"),
    ],
)
def test_plain_kinds_of_task_are_recognised(prompt: str, kind: str) -> None:
    assert Learned().guess(prompt) == kind


def test_outcomes_on_alike_prompts_count_more_than_on_others() -> None:
    learned = Learned()
    for number in range(30):
        learned.learn(f"{HARD} ({number})", outcome("qwen", 0.0), 0.8)
        learned.learn(f"{PLAIN} ({number})", outcome("qwen", 1.0), 0.8)
    hard = learned.beliefs(HARD, "code", START)
    plain = learned.beliefs(PLAIN, "code", START)
    assert hard["qwen"].mean < plain["qwen"].mean - 0.2
    assert hard["p/opus"] == START["p/opus"]


def test_groups_are_grown_elsewhere_and_nothing_learned_meanwhile_is_lost() -> None:
    learned = Learned()
    for number in range(250):
        learned.learn(f"{PLAIN} Number {number}.", outcome("qwen", number % 2), 0.8)
    assert learned.due
    kept = learned.kept()
    for number in range(50):
        learned.learn(f"{HARD} ({number})", outcome("qwen", 0.0), 0.8)
    before = learned.beliefs(HARD, "code", START)["qwen"]
    estimator = grown(kept)
    assert estimator is not None
    learned.use(estimator)
    assert not learned.due
    assert learned.beliefs(HARD, "code", START)["qwen"].mean == pytest.approx(before.mean, abs=0.15)
    assert grown(b"torn") is None
