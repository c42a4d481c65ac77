"""What model ids tell about reasoning."""

from __future__ import annotations

import pytest

from freehold.dialects.efforts import EFFORTS, budget_of, claude, effort_from, effort_of, takes_effort


@pytest.mark.parametrize(
    ("model", "adaptive", "samples", "schemas", "system_turns"),
    [
        ("claude-3-5-sonnet-20241022", False, True, False, False),
        ("claude-sonnet-4-20250514", False, True, False, False),
        ("claude-opus-4-1-20250805", False, True, True, False),
        ("claude-haiku-4-5-20251001", False, True, True, False),
        ("anthropic/claude-opus-4.6", True, True, True, False),
        ("claude-opus-4-7", True, False, True, False),
        ("claude-opus-4-8", True, False, True, True),
        ("claude-sonnet-5", True, False, True, True),
        ("claude-fable-5-2", True, False, True, True),
        ("claude-mythos-preview", True, False, True, True),
        ("some-local-model", False, True, False, False),
    ],
)
def test_claude_versions(
    model: str, adaptive: bool, samples: bool, schemas: bool, system_turns: bool
) -> None:
    known = claude(model)
    assert (known.adaptive, known.samples, known.schemas, known.system_turns) == (
        adaptive,
        samples,
        schemas,
        system_turns,
    )


def test_efforts_and_budgets_lead_to_each_other() -> None:
    for effort in EFFORTS[2:]:
        assert effort_of(budget_of(effort)) == effort
    assert effort_of(10**6) == "max"
    assert effort_of(1) == "low"


@pytest.mark.parametrize("model", ["o1", "o4-mini", "gpt-5.6", "openai/gpt-6-astra", "gpt-oss:20b", "gpt-10"])
def test_models_that_take_an_effort(model: str) -> None:
    assert takes_effort(model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1", "llama-3.1-8b", "qwen3-8b", "phi-o3", "kimi-k2"])
def test_models_that_may_refuse_an_effort(model: str) -> None:
    assert not takes_effort(model)


def test_words_that_are_no_effort() -> None:
    assert effort_from("extreme") is None
    assert effort_from(["low"]) is None
    assert effort_from("xhigh") == "xhigh"
