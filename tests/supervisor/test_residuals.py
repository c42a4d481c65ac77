"""What engines report makes later estimates truer, and never smaller unless it is the very same run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.memory import MemoryNeed, MemoryPart
from freehold.supervisor.residuals import (
    DAMPING_BYTES,
    ENOUGH,
    KEPT_RATIOS,
    KEPT_RUNS,
    Residuals,
    Subject,
    corrected,
    factor,
    learned,
    percentile,
)

GIB = 1024**3


def need(weights: int, compute: int, cache: int = 0) -> MemoryNeed:
    parts = [
        MemoryPart(what="weights", bytes=weights, device=0),
        MemoryPart(what="compute", bytes=compute, device=0),
        MemoryPart(what="prompt cache", bytes=cache),
    ]
    return MemoryNeed(parts=tuple(parts), devices=1, gpu_layers=33)


def report(weights: int, compute: int) -> MemoryNeed:
    told = need(weights, compute).parts[:2]
    return MemoryNeed(parts=told, devices=1, source="measured")


def subject(setting: str = "one", architecture: str = "llama", build: str = "b1") -> Subject:
    return Subject(build=build, architecture=architecture, setting=setting)


def test_the_same_run_needs_what_it_reported_the_last_time() -> None:
    thought = need(8 * GIB, 2 * GIB, cache=GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, GIB))
    now = corrected(known, subject(), thought)
    assert now.source == "measured"
    assert now.on_device(0) == 9 * GIB
    assert now.ram_bytes == GIB  # engines do not tell what caches will take
    assert now.gpu_layers == 33


def test_another_context_of_the_same_architecture_is_raised_by_what_was_missing() -> None:
    thought = need(8 * GIB, GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, 2 * GIB))
    now = corrected(known, subject("other"), thought)
    assert now.source == "formula"
    assert now.on_device(0) >= 10 * GIB


def test_an_estimate_that_was_too_large_stays_for_everything_else() -> None:
    thought = need(8 * GIB, 2 * GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, GIB))
    assert corrected(known, subject("other"), thought) == thought


def test_another_build_learns_nothing_from_it() -> None:
    thought = need(8 * GIB, GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, 2 * GIB))
    assert corrected(known, subject(build="b2"), thought) == thought


def test_an_architecture_never_seen_takes_the_99th_percentile_of_the_others() -> None:
    known = Residuals()
    thought = need(8 * GIB, GIB)
    for number in range(ENOUGH):
        known = learned(
            known, subject(f"s{number}", f"arch{number}"), thought, thought, report(8 * GIB, 3 * GIB // 2)
        )
    raised = factor(known, subject("new", "unseen"), "compute@gpu")
    assert 1.4 < raised < 1.5
    assert corrected(known, subject("new", "unseen"), thought).on_device(0) > 9 * GIB
    assert factor(known, subject("new", "unseen"), "weights@gpu") == 1.0


def test_one_report_says_nothing_of_other_architectures() -> None:
    thought = need(8 * GIB, GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, 2 * GIB))
    assert corrected(known, subject("x", "unseen"), thought) == thought


def test_a_report_that_was_misread_is_no_residual() -> None:
    thought = need(8 * GIB, GIB)
    known = learned(Residuals(), subject(), thought, thought, report(8 * GIB, 900 * GIB))
    assert "b1|llama|compute@gpu" not in known.ratios


def test_what_is_mapped_stays_as_estimated() -> None:
    mapped = MemoryPart(what="weights", bytes=GIB, mapped=True)
    own = MemoryPart(what="weights", bytes=3 * GIB)
    thought = MemoryNeed(parts=(mapped, own))
    whole_file = MemoryPart(what="weights", bytes=4 * GIB, mapped=True)
    known = learned(Residuals(), subject(), thought, thought, MemoryNeed(parts=(whole_file, own)))
    now = corrected(known, subject(), thought)
    assert (now.mapped_bytes, now.ram_bytes) == (GIB, 3 * GIB)


def test_a_report_of_another_model_is_no_lesson() -> None:
    thought = need(8 * GIB, GIB)
    draft_only = report(GIB // 2, GIB)
    assert learned(Residuals(), subject(), thought, thought, draft_only) == Residuals()


def test_without_the_estimate_at_hand_the_run_alone_is_kept() -> None:
    known = learned(Residuals(), subject(), need(GIB, GIB), None, report(GIB, 2 * GIB))
    assert known.ratios == {}
    assert corrected(known, subject(), need(GIB, GIB)).on_device(0) == 3 * GIB


def test_history_is_bounded_and_the_newest_stays() -> None:
    known, thought = Residuals(), need(8 * GIB, GIB)
    for number in range(KEPT_RUNS + 10):
        known = learned(known, subject(f"s{number}"), thought, thought, report(8 * GIB, GIB + number))
    assert len(known.runs) == KEPT_RUNS
    assert len(known.ratios["b1|llama|compute@gpu"]) == KEPT_RATIOS
    newest = corrected(known, subject(f"s{KEPT_RUNS + 9}"), thought)
    assert newest.on_device(0) == 9 * GIB + KEPT_RUNS + 9


def test_small_parts_that_are_off_by_little_do_not_look_off_by_much() -> None:
    thought, said = need(8 * GIB, 1000), report(8 * GIB, 500_000)
    known = learned(Residuals(), subject(), thought, thought, said)
    assert factor(known, subject(), "compute@gpu") < 1.05
    assert DAMPING_BYTES > 500_000


@given(st.lists(st.floats(0.5, 3, allow_nan=False), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


@given(st.integers(0, 2**36), st.integers(1, 2**34), st.integers(0, 2**34))
def test_what_was_learned_never_makes_another_estimate_smaller(weights: int, thought: int, said: int) -> None:
    before = need(weights, thought)
    known = learned(Residuals(), subject(), before, before, report(weights, said))
    after = corrected(known, subject("another"), before)
    assert after.on_device(0) >= before.on_device(0)
    assert all(one.bytes >= two.bytes for one, two in zip(after.parts, before.parts, strict=True))
