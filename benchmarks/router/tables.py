"""Training of what reads prompts: the directions of the word table, and the leanings to kinds of tasks.

Directions: latent semantic analysis (truncated SVD of weighted token counts, found by subspace iteration).
Leanings: a softmax regression on the same tokens and the signs. Both are put on four bits per number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freehold.routing.learn import signs, words
from freehold.routing.learn.features import KINDS, Reading
from freehold.routing.learn.words import SLOTS, ZERO, Table

Floats = NDArray[np.float32]
DIRECTIONS = 23


@dataclass
class Documents:
    """Token rows of every prompt, one after the other, and the signs."""

    slots: NDArray[np.int32]
    starts: NDArray[np.int64]
    signs: Floats

    def __len__(self) -> int:
        return len(self.starts) - 1

    def some(self, which: Sequence[int] | NDArray[np.int64]) -> Documents:
        parts = [self.slots[self.starts[i] : self.starts[i + 1]] for i in which]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        return Documents(np.concatenate(parts), starts, self.signs[np.asarray(which)])


def documents(prompts: Sequence[str], *, framed: bool = False) -> Documents:
    """Read the prompts as the product does; `framed`: only the words that kinds are told by."""
    rows: list[list[int]] = []
    counted: list[list[float]] = []
    for prompt in prompts:
        text = signs.sample(prompt)
        found = words.split(text)
        rows.append(words.slots_of(words.frame(found) if framed else found) or [0])
        counted.append(signs.signs_of(prompt, text, found))
    starts = np.cumsum([0, *(len(row) for row in rows)])
    return Documents(
        np.concatenate([np.array(r, np.int32) for r in rows]), starts, np.array(counted, np.float32)
    )


def rarity(docs: Documents) -> Floats:
    """Per row: log of how rare it is; nothing for rows seen less than three times."""
    seen = np.bincount(docs.slots, minlength=SLOTS).astype(np.float32)
    weight = np.log((len(docs) + 1) / (seen + 1))
    weight[seen < 3] = 0.0
    return np.maximum(weight, 0.0).astype(np.float32)


def lengths(docs: Documents, weight: Floats) -> Floats:
    squares = np.add.reduceat(weight[docs.slots] ** 2, docs.starts[:-1])
    return np.sqrt(np.maximum(squares, 1.0)).astype(np.float32)


def forward(docs: Documents, rows: Floats, scale: Floats) -> Floats:
    """Documents x lanes: the rows of each document added up, times the document's scale."""
    out = np.empty((len(docs), rows.shape[1]), np.float32)
    for first in range(0, len(docs), 2000):
        last = min(first + 2000, len(docs))
        start = docs.starts[first]
        gathered = rows[docs.slots[start : docs.starts[last]]]
        out[first:last] = np.add.reduceat(gathered, docs.starts[first:last] - start, axis=0)
    return out * scale[:, None]


def backward(docs: Documents, values: Floats, scale: Floats) -> Floats:
    """Rows x lanes: every document's values added to the rows of its tokens."""
    owner = np.repeat(np.arange(len(docs)), np.diff(docs.starts))
    order = np.argsort(docs.slots, kind="stable")
    slots, owner = docs.slots[order], owner[order]
    present, starts = np.unique(slots, return_index=True)
    scaled = values * scale[:, None]
    out = np.zeros((SLOTS, values.shape[1]), np.float32)
    for first in range(0, len(present), 4000):
        last = min(first + 4000, len(present))
        begin, end = starts[first], starts[last] if last < len(present) else len(slots)
        out[present[first:last]] = np.add.reduceat(
            scaled[owner[begin:end]], starts[first:last] - begin, axis=0
        )
    return out


def directions(docs: Documents, weight: Floats, lanes: int, rounds: int = 5) -> Floats:
    """Rows x lanes: the right singular vectors of the weighted counts, strongest first."""
    scale = 1.0 / lengths(docs, weight)
    basis = np.random.default_rng(0).standard_normal((SLOTS, lanes + 8)).astype(np.float32)
    for _ in range(rounds):
        seen = forward(docs, basis * weight[:, None], scale)
        basis = backward(docs, seen, scale) * weight[:, None]
        basis = np.linalg.qr(basis)[0].astype(np.float32)
    seen = forward(docs, basis * weight[:, None], scale)
    _, turned = np.linalg.eigh(seen.T @ seen)
    return basis @ turned[:, ::-1][:, :lanes]


@dataclass
class Leanings:
    """The softmax regression: rows x kinds, signs x kinds (with the constant last)."""

    rows: Floats
    signs: Floats
    means: Floats
    scales: Floats


def learn_kinds(
    docs: Documents, labels: NDArray[np.int64], weight: Floats, rounds: int = 50, pull: float = 4e-5
) -> Leanings:
    """Softmax regression by Adam on all documents, kinds weighted evenly, drawn towards zero."""
    kinds = len(KINDS)
    scale = 1.0 / lengths(docs, weight)
    means, spread = docs.signs.mean(0), docs.signs.std(0)
    scales = np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0).astype(np.float32)
    even = np.hstack([(docs.signs - means) * scales, np.ones((len(docs), 1), np.float32)])
    share = (1.0 / np.maximum(np.bincount(labels, minlength=kinds), 1))[labels]
    share = (share / share.mean() / len(docs)).astype(np.float32)
    params = [np.zeros((SLOTS, kinds), np.float32), np.zeros((even.shape[1], kinds), np.float32)]
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in params]
    wanted = np.eye(kinds, dtype=np.float32)[labels]
    for step in range(1, rounds + 1):
        scores = forward(docs, params[0] * weight[:, None], scale) + even @ params[1]
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        error = (shares - wanted) * share[:, None]
        slopes = [
            backward(docs, error, scale) * weight[:, None] + pull * params[0],
            even.T @ error + 1e-4 * params[1],
        ]
        for p, slope, (first, second) in zip(params, slopes, moments, strict=True):
            first += 0.1 * (slope - first)  # noqa: PLW2901 - in place
            second += 0.01 * (slope**2 - second)  # noqa: PLW2901
            rate = 0.15 * (1 - step / (rounds + 1))
            p -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)  # noqa: PLW2901
    return Leanings(params[0], params[1], means, scales)


def reading(weight: Floats, axes: Floats, leanings: Leanings) -> Reading:
    """Everything on four bits, as the product reads it."""
    lanes = np.hstack([axes * weight[:, None], leanings.rows * weight[:, None]])
    steps = np.array([_step(lane) for lane in lanes.T], np.float32)
    numbers = np.clip(np.rint(lanes / steps), -ZERO, ZERO - 1) + ZERO
    heaviest = float((weight**2).max())
    own_step = heaviest / 15
    numbers = np.hstack([numbers, np.clip(np.rint(weight**2 / own_step), 0, 15)[:, None]]).astype(np.uint8)
    if numbers.shape[1] % 2:
        raise ValueError("an even number of lanes is needed: two share a byte")
    packed = (numbers[:, 0::2] | numbers[:, 1::2] << 4).astype(np.uint8)
    table = Table(numbers.shape[1], [*map(float, steps), own_step], packed.tobytes())
    return Reading(
        table, axes.shape[1], leanings.signs.T.tolist(), leanings.means.tolist(), leanings.scales.tolist()
    )


def _step(lane: Floats) -> float:
    """The step with the smallest squared error over the rows that are not empty."""
    filled = lane[lane != 0]
    if not len(filled):
        return 1.0
    spread = float(np.abs(filled).std() + np.abs(filled).mean())
    steps = [spread * factor for factor in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)]
    errors = [float(((np.clip(np.rint(filled / s), -ZERO, ZERO - 1) * s - filled) ** 2).sum()) for s in steps]
    return steps[int(np.argmin(errors))]
