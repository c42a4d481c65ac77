"""Cheap first: local answers are judged, the strong model is asked where they are probably wrong; all paid.

With answers in the data, judged by what they say (agreement and the other signs of `learn.answers`). Without,
by a validator (tests, a schema, a person) that finds a wrong answer with some reliability.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.router.matrix import Matrix, Rows, chances
from benchmarks.router.measures import Pair, measured
from benchmarks.router.pairs import Fitted, teach
from benchmarks.router.prices import size_billions
from freehold.routing.learn.answers import GivenAnswer, final_answer
from freehold.routing.learn.cascade import Judge
from freehold.routing.learn.estimator import Estimator, Prior
from freehold.routing.learn.forest import Forest, Growth

Array = NDArray[np.float64]
NAMED: tuple[tuple[str, ...], ...] = (
    ("Meta-Llama-3.1-8B-Instruct",),
    ("Meta-Llama-3.1-8B-Instruct", "gemma-2-9b-it"),
    ("Meta-Llama-3.1-8B-Instruct", "gemma-2-9b-it", "Qwen2-7B-Instruct"),
    ("Meta-Llama-3.1-70B-Instruct", "Qwen2-72B-Instruct"),
)
"""The local pools of the README's table."""
NAMED_STRONG = "claude-3-5-sonnet-20241022"
"""The strong model by which that table's figures come out (its oracle and random columns fit no other)."""
GROWTH = Growth(tried=40, smallest=16, most_rows=3000)
_EMPTY = Prior(Forest(), [], [])
_LARGEST_LOCAL_B = 80.0
VALIDATORS = (1.0, 0.9)


@dataclass(frozen=True)
class Pool:
    """Local models that answer first, and who is asked when they are not believed."""

    local: tuple[str, ...]
    strong: str


def pools_of(data: Matrix) -> list[Pool]:
    """The named pools where the set has their models; else the best small models, one to three."""
    whole = data.whole_models()
    if not data.source.has_answers or len(whole) < 3:
        return []
    strong = NAMED_STRONG if NAMED_STRONG in whole else whole[0]
    named = [Pool(local, strong) for local in NAMED if set(local) <= set(whole)]
    if named:
        return named
    small = [m for m in whole if (size_billions(m) or 1e9) <= 10.0 and m != strong]
    return [Pool(tuple(small[:count]), strong) for count in (1, 2, 3) if len(small) >= count]


@dataclass(frozen=True)
class Taught:
    """What one fold learned: an estimator for prompts that are judged, and two that know half of the learned
    prompts each. Beliefs that the judge learns from come from the half that has not seen the prompt, as in
    life. `models`: all of them."""

    learn: Matrix
    rows: Rows
    whole: Estimator
    halves: tuple[tuple[Rows, Estimator], tuple[Rows, Estimator]]


def taught(prior: Prior, learn: Matrix, rows: Rows, pools: list[Pool]) -> Taught:
    """Learn from these rows for all pools at once. The halves: (rows to judge, who has not seen them)."""
    names = sorted({m for pool in pools for m in (*pool.local, pool.strong, *_others(learn, pool))})
    first, second = rows[::2], rows[1::2]
    halves = (
        (first, teach(prior, learn, second, names)),
        (second, teach(prior, learn, first, names)),
    )
    return Taught(learn, rows, teach(prior, learn, rows, names), halves)


def cascade(folds: list[tuple[Taught, Rows]], judge: Matrix, pool: Pool) -> dict[str, object]:
    """Judged by signs. `folds`: what was learned, and the rows of `judge` that were not."""
    names = [*pool.local, pool.strong]
    rows: list[Rows] = []
    found: list[tuple[Array, Array]] = []
    plain: list[Array] = []
    for known, kept in folds:
        rows.append(judge.answered(kept, *names))
        judged = _taught_judge(known, pool)
        found.append(_judged(judged, known.whole, judge, rows[-1], pool))
        plain.append(_plain_scores(known, judge, rows[-1], pool))
    kept = np.concatenate(rows)
    local_usd = np.sum([judge.usd[kept, judge.column(m)] for m in pool.local], axis=0)
    strong = judge.column(pool.strong)
    made = Pair(
        judge.quality[kept, strong],
        np.concatenate([quality for _, quality in found]),
        judge.usd[kept, strong],
        local_usd,
        both_paid=True,
    )
    voted = Pair(made.strong, _voted_quality(judge, kept, pool), made.strong_usd, local_usd, both_paid=True)
    return {
        "local": list(pool.local),
        "strong": pool.strong,
        "strong_quality": round(float(made.strong.mean()), 4),
        "local_quality": round(float(made.cheap.mean()), 4),
        **_only(measured(np.concatenate([score for score, _ in found]), made)),
        "random": _only(measured(np.zeros(len(kept)), voted)),
        "agreement": _only(measured(_signs(judge, kept, pool)[:, 0], voted)),
        "agreement_length_task": _only(measured(np.concatenate(plain), voted)),
        "oracle": _only(measured(made.strong - made.cheap, made)),
    }


def validated(fits: list[Fitted], data: Matrix, pair: tuple[str, str]) -> list[dict[str, float]]:
    """Escalation after a validator that is right with the given chance, the most promising prompts first."""
    strong, cheap = pair
    rows = np.concatenate([data.answered(fit.rows, *pair) for fit in fits])
    both = np.concatenate(
        [
            chances(
                fit.estimator, [data.features[r] for r in data.answered(fit.rows, *pair)], [strong, cheap]
            )
            for fit in fits
        ]
    )
    made = data.pair(rows, strong, cheap)
    paid = Pair(made.strong, made.cheap, made.strong_usd, made.cheap_usd, both_paid=True)
    found: list[dict[str, float]] = []
    for reliable in VALIDATORS:
        chance = np.random.default_rng(3).random(len(rows))
        passed = np.where(chance < reliable, made.cheap >= 0.5, made.cheap < 0.5)
        right, wrong = both[:, 1] * reliable, (1 - both[:, 1]) * (1 - reliable)
        failed_right = both[:, 1] * (1 - reliable)
        failed = failed_right / (failed_right + (1 - both[:, 1]) * reliable)
        after = np.where(passed, right / (right + wrong), failed)
        score = both[:, 0] - after
        found.append({"reliability": reliable, **_only(measured(score, paid))})
    return found


def _only(found: dict[str, float]) -> dict[str, float]:
    return {name: found[name] for name in ("c95", "cost95")}


def _others(data: Matrix, pool: Pool) -> list[str]:
    """Other open models of like size: the judge also learns from pools of these."""
    largest = max(size_billions(m) or 0.0 for m in pool.local)
    limit = 10.0 if largest <= 10.0 else _LARGEST_LOCAL_B
    return [
        m
        for m in data.whole_models()
        if (size_billions(m) or 1e9) <= limit and m not in (*pool.local, pool.strong)
    ]


def _taught_judge(known: Taught, pool: Pool) -> Judge:
    """Learned from this pool (each prompt twice) and from chance pools of like models."""
    chance, data = Random(0), known.learn
    judged = Judge(Estimator(_EMPTY))
    others = [*pool.local, *_others(data, pool)]
    for rows, estimator in known.halves:
        for row in rows:
            for local in (pool.local, pool.local, tuple(chance.sample(others, len(pool.local)))):
                if np.isnan(data.quality[row, [data.column(m) for m in (*local, pool.strong)]]).any():
                    continue
                judged.learn(
                    data.features[row],
                    _given(estimator, data, row, local),
                    [float(data.quality[row, data.column(m)]) for m in local],
                    {pool.strong: float(data.quality[row, data.column(pool.strong)])},
                )
    judged.estimator.regrow(GROWTH)
    return judged


def _judged(judged: Judge, estimator: Estimator, data: Matrix, rows: Rows, pool: Pool) -> tuple[Array, Array]:
    """(expected gain of the strong model, quality of the local answer that is taken)."""
    gain, quality = np.zeros(len(rows)), np.zeros(len(rows))
    for place, row in enumerate(rows):
        given = _given(estimator, data, row, pool.local)
        found = judged.judge(data.features[row], given, {pool.strong: 1.0})
        gain[place] = found.stronger[pool.strong] - found.chance
        quality[place] = data.quality[row, data.column(pool.local[found.best])]
    return gain, quality


def _given(estimator: Estimator, data: Matrix, row: int, local: tuple[str, ...]) -> list[GivenAnswer]:
    prompt = data.source.ids[row]
    outcomes = [data.source.models[m][prompt] for m in local]
    return [
        GivenAnswer(
            deployment=m,
            text=o.answer or "",
            out_tokens=o.out_tokens or 0.0,
            belief=estimator.predict(data.features[row], m).mean,
        )
        for m, o in zip(local, outcomes, strict=True)
    ]


def _signs(data: Matrix, rows: Rows, pool: Pool) -> Array:
    """Disagreement, lengths and task: what the README's simple cascade reads. One row per prompt."""
    tasks = sorted(set(data.source.tasks))[:12]
    found: list[list[float]] = []
    for row in rows:
        prompt = data.source.ids[row]
        outcomes = [data.source.models[m][prompt] for m in pool.local]
        said = [final_answer(one.answer or "") for one in outcomes]
        apart = 1.0 - max(said.count(one) for one in said) / len(said)
        lengths = [float(np.log1p(one.out_tokens or 0.0)) for one in outcomes]
        found.append([apart, *lengths, *(float(data.source.tasks[row] == task) for task in tasks)])
    return np.array(found)


def _voted_quality(data: Matrix, rows: Rows, pool: Pool) -> Array:
    """Quality of the answer that most give; among equals, of the first model of the pool."""
    quality = np.zeros(len(rows))
    for place, row in enumerate(rows):
        prompt = data.source.ids[row]
        said = [final_answer(data.source.models[m][prompt].answer or "") for m in pool.local]
        best = max(range(len(said)), key=lambda i: (said.count(said[i]), -i))
        quality[place] = data.quality[row, data.column(pool.local[best])]
    return quality


def _plain_scores(known: Taught, judge: Matrix, rows: Rows, pool: Pool) -> Array:
    """Logistic regression (Newton's method) on `_signs`, learned on the same prompts: the chance of error."""
    learned = known.learn.answered(known.rows, *pool.local)
    signs = _signs(known.learn, learned, pool)
    means, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-9
    ones = np.ones((len(signs), 1))
    inputs = np.hstack([(signs - means) / spread, ones])
    right = _voted_quality(known.learn, learned, pool)
    weights = np.zeros(inputs.shape[1])
    for _ in range(12):
        shown = 1 / (1 + np.exp(-inputs @ weights))
        curve = inputs.T @ (inputs * (shown * (1 - shown))[:, None]) + np.eye(len(weights))
        weights += np.linalg.solve(curve, inputs.T @ (right - shown) - weights)
    kept = _signs(judge, rows, pool)
    return -np.hstack([(kept - means) / spread, np.ones((len(kept), 1))]) @ weights
