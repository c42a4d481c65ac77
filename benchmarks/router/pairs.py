"""A strong and a cheap model: which prompts deserve the strong one? Cold, warm, by folds, online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.router.matrix import Matrix, Rows, chances, untaught
from benchmarks.router.measures import measured
from freehold.routing.learn.estimator import Estimator, Prior

Array = NDArray[np.float64]
FOLDS = 5
ONLINE_SIZES = (0, 100, 1000)


@dataclass(frozen=True)
class Fitted:
    """Estimators of one fold, with the rows that they have not seen."""

    estimator: Estimator
    rows: Rows


def teach(prior: Prior, data: Matrix, rows: Rows, models: list[str]) -> Estimator:
    """An estimator that has learned these outcomes, groups grown."""
    estimator = untaught(prior, models)
    estimator.learn(data.samples(rows, models))
    estimator.regrow()
    return estimator


def parted(count: int, seed: int = 0) -> list[tuple[Rows, Rows]]:
    """(learn, kept back) per fold, by chance."""
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]


def gains(estimator: Estimator, data: Matrix, rows: Rows, strong: str, cheap: str) -> Array:
    """By how much the strong model is expected to do better."""
    found = chances(estimator, [data.features[row] for row in rows], [strong, cheap])
    return found[:, 0] - found[:, 1]


def scored(score: Array, data: Matrix, rows: Rows, strong: str, cheap: str) -> dict[str, float]:
    return measured(score, data.pair(rows, strong, cheap))


def simple(data: Matrix, strong: str, cheap: str) -> dict[str, dict[str, float]]:
    """What needs no model: chance, the prompt's length, and knowing the outcome."""
    rows = data.answered(np.arange(len(data.features)), strong, cheap)
    pair = data.pair(rows, strong, cheap)
    lengths = np.array([float(len(data.source.texts[row])) for row in rows])
    return {
        "random": measured(np.zeros(len(rows)), pair),
        "length": measured(lengths, pair),
        "oracle": measured(pair.strong - pair.cheap, pair),
    }


def taught(estimator: Estimator, data: Matrix, strong: str, cheap: str) -> dict[str, float]:
    """One estimator on the whole set."""
    rows = data.answered(np.arange(len(data.features)), strong, cheap)
    return scored(gains(estimator, data, rows, strong, cheap), data, rows, strong, cheap)


def folded(fits: list[Fitted], data: Matrix, strong: str, cheap: str) -> dict[str, float]:
    """Every prompt judged by the estimator that has not seen it."""
    rows = [data.answered(fit.rows, strong, cheap) for fit in fits]
    score = [gains(fit.estimator, data, r, strong, cheap) for fit, r in zip(fits, rows, strict=True)]
    return scored(np.concatenate(score), data, np.concatenate(rows), strong, cheap)


def online(
    prior: Prior, learn: Matrix, judge: Matrix, parts: Sequence[tuple[Rows, Rows]], pair: tuple[str, str]
) -> dict[str, dict[str, float]]:
    """Outcomes one by one, of both models by turns; measured on the kept-back rows at some sizes. Means over
    the parts, each in an order of its own: one order on one part says more of chance than of learning."""
    runs = [_online(prior, learn, judge, rows, pair, seed) for seed, rows in enumerate(parts, 1)]
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: _mean([run[name] for run in runs]) for name in names}


def _mean(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of every figure; `apgr_error`: the standard error of the mean of APGR."""
    shared = [key for key in runs[0] if all(key in run for run in runs)]  # APGR needs a gap in each part
    found = {key: round(float(np.mean([run[key] for run in runs])), 4) for key in shared}
    if len(runs) > 1 and "apgr" in found:
        spread = float(np.std([run["apgr"] for run in runs], ddof=1))
        found["apgr_error"] = round(spread / len(runs) ** 0.5, 4)
    return found


def _online(
    prior: Prior, learn: Matrix, judge: Matrix, rows: tuple[Rows, Rows], pair: tuple[str, str], seed: int
) -> dict[str, dict[str, float]]:
    """Groups are grown again whenever that is due."""
    strong, cheap = pair
    order = np.random.default_rng(seed).permutation(learn.answered(rows[0], strong, cheap))
    kept = judge.answered(rows[1], strong, cheap)
    estimator = untaught(prior, list(pair))
    found: dict[str, dict[str, float]] = {}
    total = 2 * len(order)
    for size in (*(s for s in ONLINE_SIZES if s < total), total):
        for number in range(_done(found), size):
            row, model = order[number // 2], pair[number % 2]
            estimator.update(learn.features[row], model, float(learn.quality[row, learn.column(model)]))
            if estimator.due:
                estimator.regrow()
        name = "all" if size == total else str(size)
        score = gains(estimator, judge, kept, strong, cheap)
        found[name] = {**scored(score, judge, kept, strong, cheap), "outcomes": float(size)}
    return found


def _done(found: dict[str, dict[str, float]]) -> int:
    return int(max((one["outcomes"] for one in found.values()), default=0.0))
