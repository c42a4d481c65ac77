"""Training of what is known before any outcome: how hard sorts of prompts are for models of some ability.

1. one ability per model on the logistic scale, one difficulty per set: logit(mean) = ability - difficulty,
   tied together by the models that several sets share
2. a forest over all prompts, grown on what the abilities leave unexplained
3. per leaf: logit(success) = base + slope x ability, by Newton's method, drawn towards the whole's values
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.router.sets import Prompts
from freehold.routing.learn.estimator import Prior
from freehold.routing.learn.features import Features
from freehold.routing.learn.forest import Forest, Growth, Residual, grow

Array = NDArray[np.float64]
GROWTH = Growth(trees=32, tried=24, smallest=20, most_rows=5000, deepest=12)
BASE_TRUST, SLOPE_TRUST = 3.0, 12.0


@dataclass
class Outcomes:
    """All outcomes in one row: which prompt, which ability, what came out, how much it weighs."""

    vectors: list[tuple[float, ...]]
    prompt: NDArray[np.int64]
    ability: Array
    quality: Array
    weight: Array


def same_model(name: str) -> str:
    """One name for a model that sets spell differently."""
    plain = name.lower().rsplit("/", 1)[-1].replace("_", ".")
    return re.sub(r"^meta-|-(turbo|instruct|inst|it|chat|fp8)\b|@.*$|-v\d.*$", "", plain)


def abilities(sets: Sequence[Prompts]) -> dict[str, float]:
    """Ability per model name; zero is the mean difficulty of the sets. Least squares with a weak pull."""
    cells = [
        (same_model(model), place, float(np.mean([o.quality for o in outcomes.values()])))
        for place, one in enumerate(sets)
        for model, outcomes in one.models.items()
    ]
    names = sorted({name for name, _, _ in cells})
    column = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(cells) + len(names) + len(sets), len(names) + len(sets)))
    wanted = np.zeros(len(matrix))
    for row, (name, place, mean) in enumerate(cells):
        matrix[row, column[name]], matrix[row, len(names) + place] = 1.0, -1.0
        likely = min(max(mean, 0.03), 0.97)
        wanted[row] = np.log(likely / (1 - likely))
    pull = np.arange(len(names) + len(sets))
    matrix[len(cells) + pull, pull] = np.where(pull < len(names), 0.15, 0.3)
    wanted[len(cells) : len(cells) + len(names)] = 0.15 * 0.4
    solved = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    return {name: float(solved[i]) for name, i in column.items()}


def gather(
    sets: Sequence[Prompts], features: Mapping[str, Sequence[Features]], ability: Mapping[str, float]
) -> Outcomes:
    """Every outcome of every set; prompts that many models answered do not outweigh the others."""
    vectors: list[tuple[float, ...]] = []
    rows: list[tuple[int, float, float, float]] = []
    for one in sets:
        first = len(vectors)
        vectors += [f.vector for f in features[one.name]]
        place = {prompt: first + i for i, prompt in enumerate(one.ids)}
        weight = 4.0 / (len(one.models) + 2.0)
        for model, outcomes in one.models.items():
            own = ability[same_model(model)]
            rows += [(place[prompt], own, o.quality, weight) for prompt, o in outcomes.items()]
    prompt, own, quality, weights = (np.array(column) for column in zip(*rows, strict=True))
    return Outcomes(vectors, prompt.astype(np.int64), own, quality, weights)


def train(outcomes: Outcomes, seed: int = 7) -> Prior:
    """The shipped forest with what each leaf expects."""
    residual = outcomes.quality - 1 / (1 + np.exp(-outcomes.ability))
    thirds = np.searchsorted(np.quantile(outcomes.ability, (1 / 3, 2 / 3)), outcomes.ability)
    count = len(outcomes.vectors)
    sums, counts = np.zeros((count, 3)), np.zeros((count, 3), np.int64)
    np.add.at(sums, (outcomes.prompt, thirds), residual)
    np.add.at(counts, (outcomes.prompt, thirds), 1)
    means = sums / np.maximum(counts, 1)
    rows = [
        Residual((float(m[0]), float(m[1]), float(m[2])), (int(c[0] > 0), int(c[1] > 0), int(c[2] > 0)))
        for m, c in zip(means, counts, strict=True)
    ]
    forest = grow(outcomes.vectors, rows, GROWTH, seed)
    groups = np.array([forest.groups(vector) for vector in outcomes.vectors])
    bases, slopes = leaf_curves(forest, groups, outcomes)
    return Prior(forest, bases.tolist(), slopes.tolist())


def leaf_curves(forest: Forest, groups: NDArray[np.int64], outcomes: Outcomes) -> tuple[Array, Array]:
    """(bases, slopes) per leaf."""
    whole = _fit(np.zeros(len(outcomes.prompt), np.int64), 1, outcomes, (0.0, 1.0), (1e-3, 1.0))
    start = float(whole[0][0]), float(whole[1][0])
    bases, slopes = np.zeros(forest.leaves), np.zeros(forest.leaves)
    for tree in range(groups.shape[1]):
        leaves, local = np.unique(groups[:, tree], return_inverse=True)
        trust = (BASE_TRUST, SLOPE_TRUST)
        fitted = _fit(local[outcomes.prompt], len(leaves), outcomes, start, trust)
        bases[leaves], slopes[leaves] = fitted
    return bases, slopes


def _fit(
    leaf: NDArray[np.int64],
    leaves: int,
    data: Outcomes,
    start: tuple[float, float],
    trust: tuple[float, float],
) -> tuple[Array, Array]:
    """Newton's method for all leaves at once."""
    base, slope = np.full(leaves, start[0]), np.full(leaves, start[1])
    for _ in range(6):
        shown = 1 / (1 + np.exp(-(base[leaf] + slope[leaf] * data.ability)))
        error, curve = data.weight * (data.quality - shown), data.weight * shown * (1 - shown)

        def total(values: Array) -> Array:
            return np.bincount(leaf, values, leaves)

        g0 = total(error) - trust[0] * (base - start[0])
        g1 = total(error * data.ability) - trust[1] * (slope - start[1])
        h00, h11 = total(curve) + trust[0], total(curve * data.ability**2) + trust[1]
        h01 = total(curve * data.ability)
        determinant = h00 * h11 - h01**2
        base = base + np.clip((h11 * g0 - h01 * g1) / determinant, -1, 1)
        slope = slope + np.clip((h00 * g1 - h01 * g0) / determinant, -0.5, 0.5)
    return base, np.clip(slope, 0.1, 2.5)
