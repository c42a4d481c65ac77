"""Prompts that we made up, by kind of task: patterns of `phrases.yaml`, filled by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

_PLAIN = 5
"""Of so many and the list's length, so many prompts have nothing before (after) the pattern."""


@cache
def phrases() -> Mapping[str, Any]:
    """`fill`: slot to texts; `patterns`: kind to patterns; `before`, `after`: what may stand around them."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))


def made(kind: str, patterns: Sequence[str], chance: Random, material: Sequence[str] = ()) -> str:
    """One made-up prompt of that kind. `material`: other texts that may fill a {text} slot."""
    pattern = chance.choice(patterns)
    if kind not in {"heartbeat", "chat"}:
        before, after = phrases()["before"], phrases()["after"]
        pattern = chance.choice([""] * _PLAIN + before) + pattern + chance.choice([""] * _PLAIN + after)
    prompt = _filled(pattern, chance, material)
    return prompt.lower() if chance.random() < 0.15 else prompt


def _filled(pattern: str, chance: Random, material: Sequence[str]) -> str:
    """Every slot filled on its own; doubled braces become single ones, braces around other words stay."""
    fill = phrases()["fill"]
    parts: list[str] = []
    rest = pattern.replace("{{", "\x00").replace("}}", "\x01")
    while "{" in rest:
        before, _, tail = rest.partition("{")
        slot, _, rest = tail.partition("}")
        texts = fill.get(slot) or ["{" + slot + "}"]
        if slot == "text" and material and chance.random() < 0.6:
            found = chance.choice(material)
            start = chance.randrange(max(1, len(found) // 2))
            filled = found[start : start + chance.randrange(60, 900)]
        else:
            filled = chance.choice(texts)
        parts += [before, filled]
    return "".join([*parts, rest]).replace("\x00", "{").replace("\x01", "}")
