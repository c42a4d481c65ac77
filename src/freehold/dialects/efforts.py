"""Reasoning effort, and what model ids tell about it.

OpenAI speaks of efforts, Anthropic's older models of token budgets, newer ones of efforts again.
The figures are this project's choice: low, medium and high lie where coding agents put theirs.
"""

from __future__ import annotations

import re

import msgspec

from freehold.dialects.conversation import Conversation, Effort
from freehold.dialects.facts import RequestFacts

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Tokens of thinking; 1,024 is the least that Anthropic accepts."""

_EFFORT_MODELS = re.compile(r"(^|[/:])(o\d|gpt-([5-9]|\d\d)|gpt-oss|codex)", re.IGNORECASE)
_NEWEST: tuple[int, int] = (99, 0)
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")


def effort_from(value: object) -> Effort | None:
    """The effort that a client named; None for words that nobody knows."""
    return value if value in EFFORTS else None


def budget_of(effort: Effort) -> int:
    """Thinking tokens for an effort."""
    return _BUDGETS[effort]


def effort_of(budget_tokens: int) -> Effort:
    """The least effort whose budget covers `budget_tokens`."""
    for effort in EFFORTS[2:]:
        if budget_tokens <= _BUDGETS[effort]:
            return effort
    return "max"


def takes_effort(model: str) -> bool:
    """Whether an OpenAI-like model is known to accept an effort; others may answer 400 to one."""
    return bool(_EFFORT_MODELS.search(model)) and "-chat" not in model  # gpt-5-chat does not reason


def sent_temperature(conversation: Conversation, facts: RequestFacts) -> float | None:
    """The temperature for an OpenAI-like upstream. Models that take an effort refuse the field, and 1
    is their default, which Claude Code likes to state."""
    temperature = conversation.sampling.temperature
    return None if temperature == 1 and takes_effort(facts.model) else temperature


class Claude(msgspec.Struct, frozen=True):
    """What a model behind the Messages dialect accepts. Source: Anthropic's "what's new" pages and
    the 400s that its users report. A model that is no Claude gets the conservative answer.
    """

    adaptive: bool = False
    """`thinking: {type: adaptive}` and `output_config.effort` (from 4.6 on)."""
    samples: bool = True
    """`temperature`, `top_p`, `top_k` (refused from 4.7 on)."""
    schemas: bool = False
    """`output_config.format` and `strict` tools (from 4.5 on, and Opus 4.1)."""
    system_turns: bool = False
    """`role: system` after a user turn (from 4.8 on)."""
    one_sampler: bool = False
    """Refuses `temperature` together with `top_p`."""


def _version(found: re.Match[str]) -> tuple[int, int]:
    return int(found[1]), int(found[2] or 0)


def claude(model: str) -> Claude:
    """What `model` accepts, by its id; unknown Claude ids are taken for new ones."""
    name = model.lower()
    if "claude" not in name:
        return Claude()
    found = _CLAUDE.search(name)
    version = _version(found) if found else _NEWEST
    return Claude(
        adaptive=version >= (4, 6),
        samples=version < (4, 7),
        schemas=version >= (4, 5) or version == (4, 1),
        system_turns=version >= (4, 8),
        one_sampler=version >= (4, 1),
    )
