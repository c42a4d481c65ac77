"""One set as matrices: prompts x models, with the features of the prompts and the pair to measure on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.router.measures import Pair
from benchmarks.router.prices import size_billions, usd_per_million
from benchmarks.router.sets import Prompts
from freehold.routing.learn import shipped
from freehold.routing.learn.ability import expected_ability
from freehold.routing.learn.estimator import Estimator, Prior, Sample
from freehold.routing.learn.features import Features

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
CHEAP_SHARE = 0.25
"""A model is cheap beside another when an answer costs at most this share."""
WHOLE = 0.95
"""A model counts where it answered this share of the prompts."""


@dataclass
class Matrix:
    """Quality and cost are NaN where a model did not answer."""

    source: Prompts
    models: list[str]
    features: list[Features]
    quality: Array
    usd: Array

    def column(self, model: str) -> int:
        return self.models.index(model)

    def samples(self, rows: Rows | Sequence[int], models: Sequence[str]) -> list[Sample]:
        """Outcomes of these prompts and models, as the estimator learns them."""
        columns = [(model, self.column(model)) for model in models]
        return [
            Sample(
                self.features[row],
                {m: float(self.quality[row, c]) for m, c in columns if not np.isnan(self.quality[row, c])},
            )
            for row in rows
        ]

    def answered(self, rows: Rows, *models: str) -> Rows:
        """Those rows that all these models answered."""
        columns = [self.column(model) for model in models]
        return rows[~np.isnan(self.quality[np.ix_(rows, columns)]).any(axis=1)]

    def pair(self, rows: Rows, strong: str, cheap: str) -> Pair:
        a, b = self.column(strong), self.column(cheap)
        return Pair(self.quality[rows, a], self.quality[rows, b], self.usd[rows, a], self.usd[rows, b])

    def whole_models(self) -> list[str]:
        """Models that answered (nearly) everything, the best first. Where fewer than two did: those that
        answered nearly as much as the one that answered most."""
        share = 1.0 - np.isnan(self.quality).mean(axis=0)
        if (share >= WHOLE).sum() < 2 and share.size:
            share = share / max(float(np.sort(share)[-2:][0]), 1e-9)
        means = np.nanmean(self.quality, axis=0)
        kept = [i for i in range(len(self.models)) if share[i] >= WHOLE]
        return [self.models[i] for i in sorted(kept, key=lambda i: -means[i])]

    def choose_pair(self) -> tuple[str, str] | None:
        """(strong, cheap): the best model, and the best of those that cost a quarter of it at most; where
        costs tell nothing apart, the middling model. None: no two models with different quality."""
        whole = self.whole_models()
        if len(whole) < 2:
            return None
        strong = whole[0]
        usd = {m: float(np.nanmean(self.usd[:, self.column(m)])) for m in whole}
        cheap = [m for m in whole[1:] if usd[m] <= CHEAP_SHARE * usd[strong] and self._gap(strong, m) > 0.01]
        if cheap:
            return strong, cheap[0]
        other = whole[len(whole) // 2] if len(whole) > 2 else whole[1]
        return (strong, other) if self._gap(strong, other) > 0 else None

    def more_pairs(self, most: int = 6) -> list[tuple[str, str]]:
        """Several pairs, to see that the measured one is no exception: strong and cheaper by turns."""
        whole = self.whole_models()
        usd = {m: float(np.nanmean(self.usd[:, self.column(m)])) for m in whole}
        found = [(s, c) for s in whole[:4] for c in whole if usd[c] < 0.5 * usd[s] and self._gap(s, c) > 0.04]
        step = max(1, len(found) // most)
        return found[::step][:most]

    def _gap(self, strong: str, cheap: str) -> float:
        difference = self.quality[:, self.column(strong)] - self.quality[:, self.column(cheap)]
        return float(np.nanmean(difference))


def matrix(source: Prompts, *, declared: bool = False) -> Matrix:
    """`declared`: the set's task is told to the router, as by the header. Clusters are no tasks."""
    models = list(source.models)
    place = {one: row for row, one in enumerate(source.ids)}
    quality = np.full((len(source.ids), len(models)), np.nan)
    usd = np.full_like(quality, np.nan)
    for column, model in enumerate(models):
        for one, outcome in source.models[model].items():
            quality[place[one], column], usd[place[one], column] = outcome.quality, outcome.usd
    told = ["" if not declared or t.startswith("cluster") else t for t in source.tasks]
    features = [shipped.features_of(text, task) for text, task in zip(source.texts, told, strict=True)]
    return Matrix(source, models, features, quality, usd)


def untaught(prior: Prior, models: Sequence[str]) -> Estimator:
    """An estimator that knows of these models only what their names and prices say."""
    estimator = Estimator(prior)
    for model in models:
        estimator.introduce(model, expected_ability(size_billions(model), usd_per_million(model)[1]))
    return estimator


def chances(estimator: Estimator, features: Sequence[Features], models: Sequence[str]) -> Array:
    """Prompts x models."""
    return np.array([[estimator.predict(one, m).mean for m in models] for one in features])
