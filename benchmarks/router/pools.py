"""All models of a set: the cheapest that is good enough, per prompt, beside every single model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.router.matrix import Matrix, Rows, chances
from benchmarks.router.measures import against_singles, frontier
from benchmarks.router.pairs import Fitted

Array = NDArray[np.float64]
MOST_MODELS = 12
FEWEST_PROMPTS = 20
"""That all models of a pool answered; the pool is made smaller otherwise."""
POINTS = 8


def pool_models(data: Matrix) -> list[str]:
    """Up to a dozen models that answered the same prompts, spread over quality."""
    whole = data.whole_models()
    most = min(MOST_MODELS, len(whole))
    everything = np.arange(len(data.features))
    while most > 2:
        spread = [whole[round(i)] for i in np.linspace(0, len(whole) - 1, most)]
        if len(data.answered(everything, *spread)) >= FEWEST_PROMPTS:
            return spread
        most -= 1
    return list(data.choose_pair() or whole[:2])


def pooled(fits: list[Fitted], data: Matrix, learned_on: Matrix, models: list[str]) -> dict[str, object]:
    """The curve and its summary. What an answer will cost is guessed from the model's mean cost where the
    estimator learned, and the prompt's length."""
    rows = np.concatenate([data.answered(fit.rows, *models) for fit in fits])
    known = np.concatenate(
        [
            chances(fit.estimator, [data.features[r] for r in data.answered(fit.rows, *models)], models)
            for fit in fits
        ]
    )
    columns = [data.column(m) for m in models]
    quality, usd = data.quality[np.ix_(rows, columns)], data.usd[np.ix_(rows, columns)]
    guessed = _guessed(data, rows, learned_on, models)
    points = frontier(known, guessed, quality, usd)
    singles = {m: (float(usd[:, i].mean()), float(quality[:, i].mean())) for i, m in enumerate(models)}
    summary = against_singles(points, singles)
    best_usd = max(singles.values(), key=lambda one: one[1])[0]
    shown = [points[round(i)] for i in np.linspace(0, len(points) - 1, min(POINTS, len(points)))]
    curve = [[round(usd / best_usd, 4), round(q, 4)] for usd, q in shown]
    oracle = float(quality.max(axis=1).mean())
    return {**summary, "curve": curve, "oracle_quality": round(oracle, 4), "models": len(models)}


def _guessed(data: Matrix, rows: Rows, learned_on: Matrix, models: list[str]) -> Array:
    lengths = np.array([len(data.source.texts[row]) / 4 + 100.0 for row in rows])
    means = np.array([float(np.nanmean(learned_on.usd[:, learned_on.column(m)])) for m in models])
    return means[None, :] * (lengths / lengths.mean())[:, None] ** 0.5
