"""The figures of `benchmarks.routing` as a section of RESULTS.md: ours beside those of the data's README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

README_CASCADES = {1: (0.64, 0.74), 2: (0.42, 0.50), 3: (0.39, 0.49), "large": (0.22, 0.38)}
"""Of zeroeval, by number of local models: c95 and cost95 of agreement with length and task."""
BEST_APGR, BEST_CPT80 = 0.80, 0.42
"""Of local9: the blend of TF-IDF with kNN on MiniLM."""
LEARNED = ("warm", "5-fold")


def section(results: Sequence[Result]) -> str:
    """The whole text."""
    paired = [one for one in results if "pair" in one and all("apgr" in each for each in _told(one["pair"]))]
    lines = [
        "Strong model against cheap model. APGR: share of the quality gap that is recovered, over all shares "
        "of strong calls (0.5 is chance). CPT80: share of strong calls for 80 % of the gap. cost95: cost of "
        "95 % of the strong model's quality, of strong alone. Learned: from outcomes of other prompts of the "
        "set (5-fold, or TRAIN). Online: APGR after so many outcomes, one by one, mean of five orders with "
        "its standard error. The strong model is the best one that answered all prompts.",
        "",
        *_pairs(paired),
        "",
        "Cascades: local models answer first, both calls are paid; in brackets agreement, length and task "
        "alone, on the same prompts. Strong model of zeroeval: that of its README's table, "
        "claude-3-5-sonnet-20241022. Another split into fifths moves these figures by 0.01.",
        "",
        *_cascades(paired),
        "",
        "Choice among all models of a set by learned outcomes alone, no answer looked at: cost relative to "
        "the best single model.",
        "",
        *_pools(paired),
        "",
        "A simulated validator tells good answers of the pair's cheap model from bad (right always, or nine "
        "times of ten), and the rest goes up. Without one, the pair's cost95 is that of the first table.",
        "",
        *_validated(paired),
        "",
        "Bars.",
        "",
        *_head("bar", "found", "wanted", ""),
        *_bars(paired),
    ]
    return "\n".join(lines)


def _told(pair: Result) -> Iterator[Result]:
    yield from (pair["cold"], pair["length"], _learned(pair), *pair["online"].values())


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _pairs(results: Sequence[Result]) -> Iterator[str]:
    measures = ("length", "cold", "learned", "online 0, 100, 1,000, all", "CPT80", "cost95")
    yield from _head("set", "cheap / strong", *measures)
    for one in results:
        pair, learned = one["pair"], _learned(one["pair"])
        online = ", ".join(_with_error(each) for each in pair["online"].values())
        known = [f"{each['apgr']:.2f}" for each in (pair["length"], pair["cold"], learned)]
        costs = [f"{learned[name]:.2f}" for name in ("cpt80", "cost95")]
        qualities = f"{pair['cheap_quality']:.2f} / {pair['strong_quality']:.2f}"
        yield _row(one["set"], qualities, *known, online, *costs)


def _with_error(each: Result) -> str:
    error = each.get("apgr_error")
    return f"{each['apgr']:.2f}" + (f" ± {error:.2f}" if error is not None else "")


def _pools(results: Sequence[Result]) -> Iterator[str]:
    yield from _head(
        "set", "models", "quality for its cost (alone)", "cost of its quality", "cost of 95 % of it"
    )
    for one in results:
        pool = one["pool"]
        quality = f"{pool['quality_at_its_cost']:.3f} ({pool['best_single_quality']:.3f})"
        costs = [f"{pool[name]:.2f}" for name in ("cost_of_its_quality", "cost95")]
        yield _row(one["set"], str(pool["models"]), quality, *costs)


def _cascades(results: Sequence[Result]) -> Iterator[str]:
    yield from _head("set", "local", "calls to the strong one for 95 %", "cost95", "oracle")
    for one in results:
        for cascade in one["cascades"]:
            plain, oracle = cascade["agreement_length_task"], cascade["oracle"]
            found = [f"{cascade[name]:.2f} ({plain[name]:.2f})" for name in ("c95", "cost95")]
            most = f"{oracle['c95']:.2f} / {oracle['cost95']:.2f}"
            yield _row(one["set"], " + ".join(cascade["local"]), *found, most)


def _validated(results: Sequence[Result]) -> Iterator[str]:
    yield from _head("set", "cost95, right always", "cost95, right nine times of ten")
    for one in results:
        yield _row(one["set"], *(f"{each['cost95']:.2f}" for each in one["cascade_validator"]["figures"]))


def _bars(results: Sequence[Result]) -> Iterator[str]:
    for one in results:
        name, pair = one["set"], one["pair"]
        yield _bar(f"{name}: cold APGR no worse than chance", pair["cold"]["apgr"], 0.5, more=True)
        yield _bar(
            f"{name}: worst step back online, APGR less two standard errors", _back(pair["online"]), 0.0
        )
        if name == "llmrouter-local9":
            learned = _learned(pair)
            yield _bar("local9: APGR, learned", learned["apgr"], BEST_APGR, more=True)
            yield _bar("local9: CPT80, learned", learned["cpt80"], BEST_CPT80)
            mostly = one["cascade_validator"]["figures"][-1]["cost95"]
            yield _bar(
                "local9: cost of 95 % of the quality, all nine by outcomes", one["pool"]["cost95"], 0.35
            )
            yield _bar("local9: the same of the pair, with a validator right 9 of 10", mostly, 0.35)
            yield _bar("local9: the same of the pair, no validator", learned["cost95"], 0.35)
        if name == "zeroeval":
            yield from _zeroeval(one["cascades"])
        pool = one["decision_ms"]
        yield _bar(f"{name}: decision p50, {pool['pool_models']:.0f} models, ms", pool["pool_p50"], 1.0)


def _back(online: Mapping[str, Result]) -> float:
    """By how much more than noise it was worse after more outcomes than at any time before; 0: never."""
    steps, worst = list(online.values()), 0.0
    for number, after in enumerate(steps):
        for before in steps[:number]:
            noise = 2 * (before.get("apgr_error", 0.0) ** 2 + after.get("apgr_error", 0.0) ** 2) ** 0.5
            worst = max(worst, before["apgr"] - after["apgr"] - noise)
    return worst


def _zeroeval(cascades: Sequence[Result]) -> Iterator[str]:
    for cascade in cascades:
        large = "70B" in cascade["local"][0]
        c95, cost95 = README_CASCADES["large" if large else len(cascade["local"])]
        local = f"zeroeval, {len(cascade['local'])} {'large' if large else 'small'}"
        yield _bar(f"{local}: calls to the strong one", cascade["c95"], c95)
        yield _bar(f"{local}: cost95", cascade["cost95"], cost95)


def _learned(pair: Result) -> Result:
    return next(pair[name] for name in LEARNED if name in pair)


def _bar(words: str, found: float, wanted: float, *, more: bool = False) -> str:
    held = found >= wanted if more else found <= wanted
    return _row(words, f"{found:.3f}", f"{'>=' if more else '<='} {wanted}", "pass" if held else "FAIL")
