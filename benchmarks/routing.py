"""`make bench-routing DATA=FOLDER [TRAIN=FOLDER]`: how good the choices are, one JSON object per set.

DATA, TRAIN: folders of the form of the outcome data's README, or folders of such folders. What is measured:

- cold: what ships, and what models' names and prices say
- warm: the outcomes of the same set in TRAIN learned
- 5-fold: learned within DATA, every prompt judged by an estimator that has not seen it
- online: outcomes one by one; cascades: local answers first; pool: all models, quality against cost
- decision: reading a prompt and judging the models, on one core

Prompts of TRAIN that are also in DATA are left out of learning. Where what ships was trained on the prompts
of DATA, expectations are made anew without that set first.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.results import put_section
from benchmarks.router import pairs
from benchmarks.router.cascades import cascade, pools_of, taught, validated
from benchmarks.router.matrix import Matrix, matrix, untaught
from benchmarks.router.pairs import Fitted
from benchmarks.router.pools import pool_models, pooled
from benchmarks.router.report import section
from benchmarks.router.seen import fair_prior
from benchmarks.router.sets import Prompts, read_sets
from freehold.routing.learn import shipped
from freehold.routing.learn.estimator import Prior

_TIMED = 600
_FEWEST = 20
"""Prompts below which figures say nothing."""
_ORDERS = 5
"""In which outcomes come one by one."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("train", type=Path, nargs="?")
    parser.add_argument("--only", action="append", default=[], help="just these sets")
    parser.add_argument("--strong", help="of the pair, instead of the best model")
    parser.add_argument("--keep", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--cheap", help="of the pair, instead of the best of the cheap ones")
    options = parser.parse_args()
    begun = perf_counter()
    data = read_sets(options.data)
    train = read_sets(options.train) if options.train else {}
    if not data:
        sys.exit(f"{options.data}: no set here (a folder with prompts.jsonl.gz, or folders of that form)")
    others = [*train.values(), *data.values()]
    wanted = [n for n, one in data.items() if not options.only or n in options.only]
    with ProcessPoolExecutor(min(cpu_count() or 1, 4), mp_context=get_context("fork")) as workers:
        jobs = [
            (name, workers.submit(evaluate, data[name], train.get(name), others, options)) for name in wanted
        ]
        results: list[dict[str, object]] = []
        for name, job in jobs:
            results.append(job.result())
            print(json.dumps(results[-1]), flush=True)
            print(f"{name}: done, {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    if options.keep:
        put_section("routing", "Routing", "make bench-routing DATA=FOLDER", section(results))


def evaluate(one: Prompts, train: Prompts | None, others: list[Prompts], options: Any) -> dict[str, object]:
    """All figures of one set."""
    if not one.models:
        return {"set": one.name, "prompts": len(one.ids), "models": 0, "kinds": _kinds(one)}
    prior, made = fair_prior(one, others)
    data = matrix(one)
    pair = (options.strong, options.cheap) if options.strong and options.cheap else data.choose_pair()
    found: dict[str, object] = {
        "set": one.name,
        "prompts": len(one.ids),
        "models": len(one.models),
        "expectations": made,
    }
    if pair is None or len(data.answered(np.arange(len(data.features)), *pair)) < _FEWEST:
        return {**found, "why": "no two models of different quality on at least 20 prompts"}
    learn = matrix(without(train, one)) if train else None
    models = sorted({*pair, *(m for p in data.more_pairs() for m in p), *pool_models(data)})
    fits = [
        Fitted(pairs.teach(prior, data, rows, models), kept)
        for rows, kept in pairs.parted(len(data.features))
    ]
    found["pair"] = _pair(prior, data, learn, fits, pair)
    found["more_pairs"] = _more_pairs(prior, data, fits)
    whole = np.arange(len(data.features))
    usable = learn if learn and set(pair) <= set(learn.models) else None
    warm = [Fitted(_warm(prior, usable, models), whole)] if usable else fits
    by = "warm" if usable else "5-fold"
    found["pool"] = {"by": by, **pooled(warm, data, usable or data, pool_models(data))}
    found["cascade_validator"] = {"by": by, "figures": validated(warm, data, pair)}
    found["cascades"] = list(_cascades(prior, one, train))
    found["decision_ms"] = timed(prior, data, pair, pool_models(data))
    return found


def _warm(prior: Prior, learn: Matrix, models: list[str]) -> Any:
    known = [m for m in models if m in learn.models]
    estimator = untaught(prior, models)
    estimator.learn(learn.samples(np.arange(len(learn.features)), known))
    estimator.regrow()
    return estimator


def _pair(
    prior: Prior, data: Matrix, learn: Matrix | None, fits: list[Fitted], pair: tuple[str, str]
) -> dict[str, object]:
    strong, cheap = pair
    rows = data.answered(np.arange(len(data.features)), *pair)
    made = data.pair(rows, *pair)
    found: dict[str, object] = {
        "strong": strong,
        "cheap": cheap,
        "strong_quality": round(float(made.strong.mean()), 4),
        "cheap_quality": round(float(made.cheap.mean()), 4),
        "cheap_cost": round(float(made.cheap_usd.mean() / made.strong_usd.mean()), 4),
        **pairs.simple(data, *pair),
        "cold": pairs.taught(untaught(prior, list(pair)), data, *pair),
        "5-fold": pairs.folded(fits, data, *pair),
    }
    folds = pairs.parted(len(data.features))
    if learn and set(pair) <= set(learn.models):
        found["warm"] = pairs.taught(_warm(prior, learn, list(learn.models)), data, *pair)
        both = (np.arange(len(learn.features)), np.arange(len(data.features)))
        found["online"] = pairs.online(prior, learn, data, [both] * _ORDERS, pair)
    else:
        found["online"] = pairs.online(prior, data, data, folds[:_ORDERS], pair)
    return found


def _more_pairs(prior: Prior, data: Matrix, fits: list[Fitted]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for strong, cheap in data.more_pairs():
        cold = pairs.taught(untaught(prior, [strong, cheap]), data, strong, cheap)
        folded = pairs.folded(fits, data, strong, cheap)
        found.append(
            {
                "strong": strong,
                "cheap": cheap,
                "cold_apgr": cold["apgr"],
                "5-fold_apgr": folded["apgr"],
                "5-fold_cpt80": folded["cpt80"],
            }
        )
    return found


def _cascades(prior: Prior, one: Prompts, train: Prompts | None) -> Iterator[dict[str, object]]:
    """With the task declared, as the README's table has it."""
    judge = matrix(one, declared=True)
    pools = pools_of(judge)
    if not pools:
        return
    learn = matrix(without(train, one), declared=True) if train else None
    if learn and {m for p in pools for m in (*p.local, p.strong)} <= set(learn.models):
        known = taught(prior, learn, np.arange(len(learn.features)), pools)
        whole = [(known, np.arange(len(judge.features)))]
        yield from ({"by": "warm", **cascade(whole, judge, pool)} for pool in pools)
    folds = [(taught(prior, judge, rows, pools), kept) for rows, kept in pairs.parted(len(judge.features))]
    yield from ({"by": "5-fold", **cascade(folds, judge, pool)} for pool in pools)


def without(train: Prompts, data: Prompts) -> Prompts:
    """What may be learned from: prompts that are not judged on, by id and by text."""
    ids, texts = set(data.ids), set(data.texts)
    kept = [
        row
        for row, (one, text) in enumerate(zip(train.ids, train.texts, strict=True))
        if one not in ids and text not in texts
    ]
    names = {train.ids[row] for row in kept}
    return Prompts(
        train.name,
        [train.ids[row] for row in kept],
        [train.texts[row] for row in kept],
        [train.tasks[row] for row in kept],
        [train.extra[row] for row in kept],
        {m: {i: o for i, o in outcomes.items() if i in names} for m, outcomes in train.models.items()},
    )


def timed(prior: Prior, data: Matrix, pair: tuple[str, str], models: list[str]) -> Mapping[str, float]:
    """Milliseconds from the prompt's text to the beliefs about the pair, and about all of the pool."""
    found: dict[str, float] = {"pool_models": float(len(models))}
    texts = data.source.texts[:_TIMED]
    for name, judged in (("pair", list(pair)), ("pool", models)):
        estimator = untaught(prior, models)
        estimator.learn(data.samples(np.arange(min(len(data.features), 400)), models))
        estimator.regrow()
        took: list[float] = []
        gc.collect()
        gc.disable()
        for text in [*texts[:50], *texts]:
            start = perf_counter()
            features = shipped.features_of(text)
            for model in judged:
                estimator.predict(features, model)
            took.append((perf_counter() - start) * 1e3)
        gc.enable()
        found[f"{name}_p50"] = round(median(took[50:]), 3)
        found[f"{name}_p99"] = round(quantiles(took[50:], n=100)[98], 3)
    return found


def _kinds(one: Prompts) -> dict[str, int]:
    """Where there are no outcomes: what kinds of tasks the prompts are taken for."""
    found: dict[str, int] = {}
    for text in one.texts:
        kind = shipped.classify(text).kind
        found[kind] = found.get(kind, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    main()
