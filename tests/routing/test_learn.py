"""Stories of prompts read as numbers and of deployments learned from their outcomes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.routing.learn import shipped
from freehold.routing.learn.ability import ability_of_chance, expected_ability
from freehold.routing.learn.estimator import Estimator, Prior, Sample
from freehold.routing.learn.features import KINDS
from freehold.routing.learn.forest import Forest, Growth, Residual, chances, grow, pack, unpack
from freehold.routing.learn.keeping import from_kept, to_kept
from freehold.routing.learn.signs import HEAD_CHARS, NAMES, TAIL_CHARS, sample
from tests.growth import LINEAR, cpu_s, growth

EASY = [
    f"{name} has {n} apples and buys {n + 2} more. How many apples?"
    for n in range(40)
    for name in ("Tom", "Ann")
]
HARD = [
    f"def f_{n}(x):\n    return [x * {n} for _ in range({n})]\n\nassert f_{n}(2) == ??" for n in range(80)
]


def taught(estimator: Estimator, rounds: int = 1) -> None:
    """`small` fails at code, `large` does not."""
    for _ in range(rounds):
        for easy, hard in zip(EASY, HARD, strict=True):
            for prompt, small in ((easy, 1.0), (hard, 0.0)):
                features = shipped.features_of(prompt)
                estimator.update(features, "small", small)
                estimator.update(features, "large", 1.0)


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("ping", "heartbeat"),
        (
            "Summarise this e-mail thread in two sentences:\n\nHi all, the meeting moves to Friday.",
            "summarise",
        ),
        ("Translate to German: where is the station?", "translate"),
        ("Write a Python function that merges two sorted lists.", "code"),
        ("What is the capital of Australia?", "question"),
        ("If 3x + 5 = 20, what is x?", "maths"),
        ("Classify the sentiment of this review as positive or negative: I love it", "classify"),
        ("hello, how are you?", "chat"),
        ("Develop a three-year strategy for a bakery chain.", "strategy"),
    ],
)
def test_a_plain_prompt_tells_what_kind_of_task_it_is(prompt: str, kind: str) -> None:
    assert shipped.classify(prompt).kind == kind


@given(st.text(max_size=4000), st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_text_has_features(prompt: str, task: str) -> None:
    features = shipped.features_of(prompt, task)
    assert features.guess.kind in KINDS
    assert 0.0 < features.guess.confidence <= 1.0
    assert len(features.vector) == len(shipped.features_of("x").vector)
    assert all(isfinite(value) for value in features.vector)
    assert 0.0 < shipped.estimator().predict(features, "new").mean < 1.0


def test_lone_surrogates_and_emptiness_are_read_too() -> None:
    assert shipped.features_of("\ud800 \udfff", "\ud800").guess.kind in KINDS
    assert shipped.features_of("").guess.kind in KINDS


def test_a_long_prompt_is_judged_by_its_head_and_tail() -> None:
    head, tail = "a" * HEAD_CHARS, "z" * TAIL_CHARS
    assert sample(f"{head}{'middle' * 5000}{tail}") == f"{head}\n{tail}"


def test_features_are_the_same_in_another_process() -> None:
    program = (
        "from freehold.routing.learn.shipped import features_of\n"
        "print(features_of('Why is the sky blue?', 'q').vector)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert found.stdout.strip() == str(shipped.features_of("Why is the sky blue?", "q").vector)


def test_the_names_of_signs_are_as_many_as_the_signs() -> None:
    from freehold.routing.learn.signs import signs_of

    assert len(signs_of("a b", "a b", ["a", "b"])) == len(NAMES)


def test_a_declared_task_tells_equal_prompts_apart() -> None:
    assert shipped.features_of("go on", "code").vector != shipped.features_of("go on", "chat").vector


def test_reading_a_prompt_takes_no_longer_than_its_length_deserves() -> None:
    def reading(size: int) -> Callable[[], object]:
        prompt = ("\n".join(EASY) * 10)[:size]
        return lambda: shipped.features_of(prompt)

    assert growth(reading, 2_048) < LINEAR
    assert cpu_s(reading(8_192)) < 0.002  # the bar of 0.3 ms is measured by the benchmark, on a quiet core


def test_a_larger_or_dearer_model_is_expected_to_do_better_and_within_bounds() -> None:
    assert expected_ability(8) < expected_ability(70) < expected_ability(405)
    assert expected_ability(None, 0.3) < expected_ability(None, 15.0)
    assert expected_ability(1e-6) >= -1.2
    assert expected_ability(None, 1e9) <= 2.0
    assert ability_of_chance(0.5) == 0.0


def test_untried_deployments_differ_by_what_is_known_of_them() -> None:
    estimator = shipped.estimator()
    estimator.introduce("small", expected_ability(3))
    estimator.introduce("large", expected_ability(405))
    features = shipped.features_of(EASY[0])
    assert estimator.predict(features, "small").mean < estimator.predict(features, "large").mean


def test_outcomes_teach_where_the_small_one_fails() -> None:
    estimator = shipped.estimator()
    taught(estimator)
    easy, hard = shipped.features_of(EASY[3]), shipped.features_of(HARD[3])
    assert estimator.predict(easy, "small").mean > 0.75
    assert estimator.predict(hard, "small").mean < 0.45
    assert estimator.predict(hard, "large").mean > 0.75


def test_groups_grown_from_outcomes_tell_apart_what_the_shipped_ones_do_not() -> None:
    estimator = shipped.estimator()
    for prompt in EASY + HARD:
        estimator.update(shipped.features_of(prompt, "alpha"), "small", 1.0)
        estimator.update(shipped.features_of(prompt, "beta"), "small", 0.0)
    alpha, beta = shipped.features_of("What is two and two?", "alpha"), shipped.features_of("Two?", "beta")
    before = estimator.predict(alpha, "small").mean - estimator.predict(beta, "small").mean
    assert estimator.due
    estimator.regrow(Growth(trees=12))
    assert not estimator.due
    after = estimator.predict(alpha, "small").mean - estimator.predict(beta, "small").mean
    assert after > before + 0.2


def test_more_outcomes_make_surer() -> None:
    estimator = shipped.estimator()
    features = shipped.features_of(EASY[0])
    estimator.introduce("small", 0.0)
    unsure = estimator.predict(features, "small")
    for _ in range(30):
        estimator.update(features, "small", 1.0)
    surer = estimator.predict(features, "small")
    assert surer.deviation < unsure.deviation
    assert surer.trials == pytest.approx(30.0)
    assert surer.mean > unsure.mean


def test_what_one_model_finds_hard_warns_of_a_model_that_nobody_tried() -> None:
    estimator = shipped.estimator()
    estimator.introduce("new", 0.5)
    features = shipped.features_of(HARD[0])
    before = estimator.predict(features, "new").mean
    for prompt in HARD:
        estimator.update(shipped.features_of(prompt), "small", 0.0)
    assert estimator.predict(features, "new").mean < before - 0.1


def test_predicting_changes_nothing() -> None:
    estimator = shipped.estimator()
    taught(estimator)
    first, other = shipped.features_of(EASY[0]), shipped.features_of(HARD[0])
    belief = estimator.predict(first, "small")
    estimator.predict(other, "large")
    estimator.predict(other, "never heard of")
    assert estimator.predict(first, "small") == belief


def test_what_was_learned_outlives_the_process() -> None:
    estimator = shipped.estimator()
    taught(estimator)
    again = from_kept(to_kept(estimator, shipped.prior()), shipped.prior())
    assert again is not None
    for prompt in (EASY[5], HARD[5]):
        features = shipped.features_of(prompt)
        before, after = estimator.predict(features, "small"), again.predict(features, "small")
        assert after.mean == pytest.approx(before.mean, abs=1e-5)
    again.regrow(Growth(trees=8))
    estimator.regrow(Growth(trees=8))
    features = shipped.features_of(HARD[9])
    assert again.predict(features, "small").mean == pytest.approx(
        estimator.predict(features, "small").mean, abs=0.05
    )


def test_what_was_kept_over_another_prior_or_is_damaged_is_left() -> None:
    kept = to_kept(shipped.estimator(), shipped.prior())
    assert from_kept(kept, Prior(Forest(), [], [])) is None
    assert from_kept(kept[:-4], shipped.prior()) is None
    assert from_kept(b"", shipped.prior()) is None


def test_a_forest_parts_what_differs_and_the_same_seed_grows_the_same() -> None:
    vectors = [(float(i % 2), float(i)) for i in range(200)]
    rows = [Residual((0.5 if i % 2 else -0.5, 0.0, 0.0), (1, 0, 0)) for i in range(200)]
    forest = grow(vectors, rows, Growth(trees=4, tried=8), seed=3)
    assert forest == grow(vectors, rows, Growth(trees=4, tried=8), seed=3)
    odd = {leaf for i in range(1, 200, 2) for leaf in forest.groups(vectors[i])}
    even = {leaf for i in range(0, 200, 2) for leaf in forest.groups(vectors[i])}
    assert not odd & even
    again = unpack(pack(forest))
    assert all(again.groups(v) == forest.groups(v) for v in vectors)


def test_nothing_to_grow_from_grows_nothing() -> None:
    assert grow([], [], Growth(), 1) == Forest()
    estimator = shipped.estimator()
    estimator.learn([Sample(shipped.features_of("one"), {"a": 1.0})])
    estimator.regrow()
    assert not estimator.due


@given(st.integers())
def test_chances_lie_between_nought_and_one(seed: int) -> None:
    drawn = chances(seed)
    found = [next(drawn) for _ in range(50)]
    assert all(0.0 <= value < 1.0 for value in found)
    assert len(set(found)) > 40
