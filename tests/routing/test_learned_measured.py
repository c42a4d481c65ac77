"""What is measured is what decides: the learner of the gateway and the estimator of the benchmark."""

from __future__ import annotations

from random import Random

import pytest

from freehold.routing.learn import shipped
from freehold.routing.learn.ability import ability_of_chance
from freehold.routing.learned import TRUST, Learned, grown
from freehold.routing.outcomes import Outcome, usual

START = {"small": usual("maths", "local"), "large": usual("maths", "premium")}
SUBJECTS = ("the sum of two primes", "a limit at infinity", "a train that leaves at noon", "a matrix")


def history(count: int) -> list[tuple[str, str, float]]:
    """(prompt, deployment, score): the small one fails where something is to be proved."""
    chance = Random(4)
    found: list[tuple[str, str, float]] = []
    for number in range(count):
        hard, subject = number % 2 == 0, chance.choice(SUBJECTS)
        prompt = f"{'Prove a theorem on' if hard else 'What is'} {subject}, case {number}?"
        right = {"small": 0.15 if hard else 0.9, "large": 0.9}
        found += [(prompt, name, float(chance.random() < right[name])) for name in START]
    return found


def taught(said: list[tuple[str, str, float]]) -> Learned:
    learned = Learned()
    for prompt, name, score in said:
        outcome = Outcome(task="maths", deployment=name, score=score)
        learned.learn(prompt, outcome, START[name].mean)
    return learned


def test_the_gateway_learns_as_the_benchmark_does() -> None:
    said = history(150)
    learned = taught(said)
    measured = shipped.estimator()
    read = {prompt: shipped.features_of(prompt, "maths") for prompt, _, _ in said}
    for prompt, name, score in said:
        measured.introduce(name, ability_of_chance(START[name].mean))
        measured.update(read[prompt], name, score)
    measured.regrow()
    after = grown(learned.kept())
    assert after is not None
    learned.use(after)
    for prompt in ("Prove a theorem on graphs", "What is seven times eight?"):
        features = shipped.features_of(prompt, "maths")
        for name, belief in learned.beliefs(prompt, "maths", START).items():
            raw = measured.predict(features, name)
            weight = raw.trials / (raw.trials + TRUST)
            start = START[name].mean
            assert belief.mean == pytest.approx(start + weight * (raw.mean - start), abs=0.02)


def test_more_outcomes_part_easy_from_hard_no_worse() -> None:
    """How far apart the small one's chances are, on prompts that it has not met."""
    apart: list[float] = []
    for count in (0, 30, 120):
        learned = taught(history(count))
        hard = learned.beliefs("Prove a theorem on rings, case 9999?", "maths", START)["small"].mean
        easy = learned.beliefs("What is a ring, case 9998?", "maths", START)["small"].mean
        assert 0.0 <= hard <= 1.0
        assert 0.0 <= easy <= 1.0
        apart.append(easy - hard)
    assert apart[0] == 0.0
    assert apart[0] <= apart[1] <= apart[2] + 0.02
    assert apart[2] > 0.15
