"""What an answer costs where the data does not say: list prices of paid models, size for open ones.

USD per million tokens, input and output, as the vendors listed them when those models were current. Only
for weighing models of a benchmark against each other; the product's own prices come from elsewhere.
"""

from __future__ import annotations

import re

USUAL_OUT_TOKENS = 300.0
"""Where the data does not say how long the answers were."""

_LISTED: tuple[tuple[str, float, float], ...] = (
    ("o1-preview", 15.0, 60.0),
    ("o1-mini", 3.0, 12.0),
    ("gpt-4o-mini", 0.15, 0.60),
    ("gpt-4o", 2.5, 10.0),
    ("chatgpt-4o", 5.0, 15.0),
    ("gpt-4-turbo", 10.0, 30.0),
    ("gpt-4-1106", 10.0, 30.0),
    ("gpt-4", 30.0, 60.0),
    ("gpt-3.5", 0.5, 1.5),
    ("claude-3-opus", 15.0, 75.0),
    ("claude-3-5-sonnet", 3.0, 15.0),
    ("claude-3-sonnet", 3.0, 15.0),
    ("claude-3-5-haiku", 0.8, 4.0),
    ("claude-3-haiku", 0.25, 1.25),
    ("gemini-1.5-pro", 1.25, 5.0),
    ("gemini-1.5-flash", 0.075, 0.30),
    ("mistral-large", 2.0, 6.0),
    ("mistral-nemo", 0.13, 0.13),
    ("yi-large", 3.0, 3.0),
    ("reka-core", 3.0, 15.0),
    ("reka-flash", 0.8, 2.0),
    ("grok-2", 2.0, 10.0),
    ("deepseek", 0.14, 0.28),
    ("jamba-1.5-large", 2.0, 8.0),
    ("command-r-plus", 2.5, 10.0),
    ("c4ai-command-r", 0.15, 0.6),
    ("command-r", 0.15, 0.6),
    ("mixtral-8x7b", 0.24, 0.24),
    ("phi-3-mini", 0.05, 0.1),
    ("phi-3.5-mini", 0.05, 0.1),
)
_PER_BILLION = 0.006
"""USD per million tokens and billion parameters: what hosts of open models ask, roughly."""
_UNKNOWN = (1.0, 3.0)
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*b(?![a-z])")


def size_billions(model: str) -> float | None:
    """Parameters in billions as the name says, if it does."""
    found = _SIZE.search(model.lower().replace("_", "."))
    return float(found[1]) if found else None


def usd_per_million(model: str) -> tuple[float, float]:
    """(input, output)."""
    name = model.lower().rsplit("/", 1)[-1]
    for start, input_usd, output_usd in _LISTED:
        if name.startswith(start):
            return input_usd, output_usd
    size = size_billions(name)
    return (size * _PER_BILLION, size * _PER_BILLION) if size else _UNKNOWN


def cost_usd(model: str, in_tokens: float, out_tokens: float | None) -> float:
    """Cost of one answer."""
    input_usd, output_usd = usd_per_million(model)
    answer = USUAL_OUT_TOKENS if out_tokens is None else out_tokens
    return (in_tokens * input_usd + answer * output_usd) / 1e6
