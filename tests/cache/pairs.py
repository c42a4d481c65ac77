"""The pairs of questions that the cache by meaning is measured on: written for this project, in `pairs.json`.

`part`: "tune" were looked at while the guard was written, "check" were written afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from freehold.cache.guard import conflict, read, signature
from freehold.cache.vectors import Vector, cosine

FILE = Path(__file__).with_name("pairs.json")


class Pair(NamedTuple):
    """Two questions. `changed` says what makes the second another one; empty when both mean the same."""

    part: str
    ask: str
    other: str
    changed: str


class Score(NamedTuple):
    """How a comparison did. `wrong`: pairs taken for the same that are not."""

    same: int
    found: int
    wrong: tuple[Pair, ...]

    @property
    def precision(self) -> float:
        taken = self.found + len(self.wrong)
        return self.found / taken if taken else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.same


def pairs(part: str = "") -> Iterator[Pair]:
    """All pairs, or those of one part."""
    for group in json.loads(FILE.read_text(encoding="utf-8")):
        if part in ("", group["part"]):
            yield from (Pair(group["part"], group["ask"], text, "") for text in group["same"])
            yield from (Pair(group["part"], group["ask"], text, kind) for kind, text in group["other"])


def taken_for_same(pair: Pair, vector: Callable[[str], Vector], threshold: float, *, meaning: bool) -> bool:
    """What `QuestionIndex` does with one question when it knows the other."""
    one, other = read(pair.ask), read(pair.other)
    if signature(one, meaning=meaning) != signature(other, meaning=meaning):
        return False
    if cosine(vector(pair.ask), vector(pair.other)) < threshold:
        return False
    return not conflict(one, other, meaning=meaning)


def scored(vector: Callable[[str], Vector], threshold: float, *, meaning: bool, part: str = "") -> Score:
    """Precision and recall of a way to make vectors."""
    found, same, wrong = 0, 0, list[Pair]()
    for pair in pairs(part):
        taken = taken_for_same(pair, vector, threshold, meaning=meaning)
        same += not pair.changed
        if taken and pair.changed:
            wrong.append(pair)
        found += taken and not pair.changed
    return Score(same, found, tuple(wrong))
