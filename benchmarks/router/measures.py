"""Measures of a router, as the README beside the outcome data defines them.

A score per prompt says how much it deserves the strong model; calls go there in order of the score. Equal
scores share their gain evenly, so a router that knows nothing measures as random, not as file order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Quality and cost of the strong and the cheap model on the same prompts."""

    strong: Array
    cheap: Array
    strong_usd: Array
    cheap_usd: Array
    both_paid: bool = False
    """The cheap model has answered before the strong one is asked (cascades)."""


def measured(score: Array, pair: Pair) -> dict[str, float]:
    """APGR, CPT50, CPT80, the share of strong calls for 95 % of the strong quality (c95), and the cost of
    that relative to strong alone (cost95)."""
    shares, gained, usd = _curve(score, pair)
    gap = float((pair.strong - pair.cheap).mean())
    found: dict[str, float] = {}
    if abs(gap) > 1e-9:
        recovered = gained / gap
        found["apgr"] = float(np.trapezoid(recovered, shares))
        found["cpt50"] = _first(shares, recovered, 0.5)
        found["cpt80"] = _first(shares, recovered, 0.8)
    wanted = 0.95 * float(pair.strong.mean()) - float(pair.cheap.mean())
    found["c95"] = _first(shares, gained, wanted)
    found["cost95"] = _first(usd / float(pair.strong_usd.mean()), gained, wanted)
    return {name: round(value, 4) for name, value in found.items()}


def _curve(score: Array, pair: Pair) -> tuple[Array, Array, Array]:
    """(share of strong calls, quality gained, mean cost) for every number of strong calls."""
    order = np.argsort(-score, kind="stable")
    count = len(score)
    tied = np.cumsum(np.concatenate([[0], (np.diff(score[order]) != 0).astype(np.int64)]))
    gain = _even((pair.strong - pair.cheap)[order], tied)
    more = _even((pair.strong_usd if pair.both_paid else pair.strong_usd - pair.cheap_usd)[order], tied)
    gained = np.concatenate([[0.0], np.cumsum(gain)]) / count
    usd = float(pair.cheap_usd.mean()) + np.concatenate([[0.0], np.cumsum(more)]) / count
    return np.arange(count + 1) / count, gained, usd


def _even(values: Array, tied: NDArray[np.int64]) -> Array:
    return (np.bincount(tied, values) / np.bincount(tied))[tied]


def _first(axis: Array, values: Array, wanted: float) -> float:
    """Where the values first reach what is wanted; 1 when they never do but at the end, by rounding."""
    reached = np.flatnonzero(values >= wanted - 1e-12)
    return float(axis[reached[0]]) if len(reached) else float(axis[-1])


def frontier(
    chances: Array, guessed_usd: Array, quality: Array, usd: Array, steps: int = 160
) -> list[tuple[float, float]]:
    """(mean cost, mean quality) of choosing, per prompt, the model with the best chance less price x cost,
    for many prices; all arrays prompts x models. Cheapest first."""
    points: dict[float, float] = {}
    rows = np.arange(len(chances))
    scale = float(guessed_usd.mean())
    for price in [0.0, *np.geomspace(1e-4, 30.0, steps)]:
        chosen = np.argmax(chances - price * guessed_usd / scale, axis=1)
        points[float(usd[rows, chosen].mean())] = float(quality[rows, chosen].mean())
    return sorted(points.items())


def against_singles(
    points: list[tuple[float, float]], singles: Mapping[str, tuple[float, float]]
) -> dict[str, float | str]:
    """The curve beside single models: quality for at most the best one's money, the least cost of its
    quality and of 95 % of it, and how often a single model lies above the curve."""
    best = max(singles, key=lambda name: singles[name][1])
    best_usd, best_quality = singles[best]
    affordable = [quality for usd, quality in points if usd <= best_usd * 1.0001]
    above = [
        name
        for name, (usd, quality) in singles.items()
        if quality > max([q for cost, q in points if cost <= usd * 1.0001], default=0.0) + 0.005
    ]
    return {
        "best_single": best,
        "best_single_quality": round(best_quality, 4),
        "quality_at_its_cost": round(max(affordable, default=0.0), 4),
        "cost_of_its_quality": round(_cost_of(points, best_quality) / best_usd, 4),
        "cost95": round(_cost_of(points, 0.95 * best_quality) / best_usd, 4),
        "singles_above_curve": len(above),
        "singles": len(singles),
    }


def _cost_of(points: list[tuple[float, float]], quality: float) -> float:
    return min([usd for usd, found in points if found >= quality], default=float("nan"))
