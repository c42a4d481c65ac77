"""From a prompt to the numbers that everything learned works on; and the guess of the kind of task."""

from __future__ import annotations

from math import exp
from zlib import crc32

import msgspec

from freehold.routing.learn import signs, words
from freehold.routing.learn.words import Lexicon, Table

KINDS: tuple[str, ...] = (
    "heartbeat", "summarise", "extract", "classify", "translate", "rewrite", "code", "review", "maths",
    "reason", "question", "chat", "strategy", "write", "tool", "data",
)  # fmt: skip
"""heartbeat: a ping that needs no thought; question: a fact or an explanation is asked; reason: puzzles and
logic; review: judging code or text; write: free text; tool: calls of functions; data: tables, SQL, JSON."""

TASK_PLACES = 8


class Reading(msgspec.Struct, frozen=True):
    """What is shipped to read prompts: the word table and the weights that turn lanes into kinds.

    A lane is a direction first (as many as `directions`), then one leaning per kind.
    """

    table: Table
    directions: int
    sign_weights: list[list[float]]
    """Per kind: one weight per sign, then the constant."""
    sign_means: list[float]
    sign_scales: list[float]


class TaskGuess(msgspec.Struct, frozen=True):
    """`confidence` 0..1: the share of the probability that `kind` has."""

    kind: str
    confidence: float


class Features(msgspec.Struct, frozen=True):
    """One prompt as numbers. `vector`: signs, directions, probabilities of kinds, places of the task."""

    vector: tuple[float, ...]
    task: str
    """As declared by the caller, empty when nothing was declared."""
    guess: TaskGuess


class Reader:
    """Reads prompts. Holds the shipped tables; the same prompt always gives the same features."""

    def __init__(self, reading: Reading) -> None:
        self._lexicon = Lexicon(reading.table)
        self._directions = reading.directions
        self._weights = reading.sign_weights
        self._means, self._scales = reading.sign_means, reading.sign_scales

    def features_of(self, prompt: str, task: str = "") -> Features:
        """Features of a prompt with the task that the caller declared, if any."""
        text = signs.sample(prompt)
        found = words.split(text)
        counted = signs.signs_of(prompt, text, found)
        lanes = self._lexicon.read(found)
        framed = words.frame(found)
        leanings = lanes if framed is found else self._lexicon.read(framed)
        kinds = self._kinds(counted, leanings[self._directions :])
        best = max(range(len(kinds)), key=kinds.__getitem__)
        vector = (*counted, *lanes[: self._directions], *kinds, *task_places(task))
        return Features(vector, task, TaskGuess(KINDS[best], kinds[best]))

    def classify(self, prompt: str) -> TaskGuess:
        """The kind of task that a prompt looks like."""
        return self.features_of(prompt).guess

    def _kinds(self, counted: list[float], leanings: list[float]) -> list[float]:
        even = [
            (value - mean) * scale
            for value, mean, scale in zip(counted, self._means, self._scales, strict=True)
        ]
        scores = [
            leaning + weights[-1] + sum([w * v for w, v in zip(weights, even, strict=False)])
            for leaning, weights in zip(leanings, self._weights, strict=True)
        ]
        top = max(scores)
        shares = [exp(score - top) for score in scores]
        total = sum(shares)
        return [share / total for share in shares]


def task_places(task: str) -> list[float]:
    """A declared task as a few plus and minus ones, so that trees can tell tasks apart; zeros for none."""
    if not task:
        return [0.0] * TASK_PLACES
    bits = crc32(task.encode("utf-8", "surrogatepass"))
    return [1.0 if bits >> place & 1 else -1.0 for place in range(TASK_PLACES)]
