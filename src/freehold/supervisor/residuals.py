"""What engines reported beside what was estimated for them, and what later estimates learn from it. Pure.

Two lessons are kept. The same model in the same setting under the same engine build needs what it reported
the last time: that replaces the estimate. For everything else an estimate is only ever raised: by the largest
recent residual of its architecture, or, where an architecture was never seen, by the 99th percentile of all
others. One that is too large costs a little room, one that is too small costs a server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from freehold.core.memory import MemoryNeed, MemoryPart

_T = TypeVar("_T")

KEPT_RATIOS = 16
"""Residuals of one part, the newest last."""
KEPT_KEYS = 512
KEPT_RUNS = 256
DAMPING_BYTES = 16 * 1024**2
"""Added to both sides of a ratio, so that a small part which is off by little does not look off by much."""
LARGEST_RATIO = 3.0
"""More is not a residual but a report that was misread."""
LEAST_WEIGHTS, MOST_WEIGHTS = 0.75, 2.5
"""Reported / estimated, of one model. They are summed exactly, but a host may map what it also holds."""
ENOUGH = 4
"""Fewer residuals than these, of other architectures, say nothing of one that was never seen."""


class Residuals(msgspec.Struct, frozen=True, kw_only=True):
    """All that was learned. Keys are texts, so that it can be written down as it is."""

    ratios: Mapping[str, tuple[float, ...]] = {}
    """`BUILD|ARCHITECTURE|PART@PLACE` -> reported / estimated."""
    runs: Mapping[str, tuple[MemoryPart, ...]] = {}
    """Key of a run (`run_key`) -> the parts that the engine reported."""
    dry_runs: Mapping[str, tuple[MemoryPart, ...]] = {}
    """Key of a run -> what the engine's own dry run said of it; empty when it said nothing."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a lesson is about."""

    build: str
    """The engine's program and version."""
    architecture: str
    setting: str
    """Everything else that changes the memory: the model's digest, context, slots, flags."""


def run_key(subject: Subject, way: MemoryNeed) -> str:
    """Names one way of running one model in one setting."""
    shares = ",".join(f"{share:.4f}" for share in way.split)
    placed = f"ngl={way.gpu_layers} gpus={way.devices} split={shares} moe={way.cpu_moe}"
    return f"{subject.build}|{subject.setting}|{placed}"


def learned(
    known: Residuals, subject: Subject, way: MemoryNeed, estimated: MemoryNeed | None, report: MemoryNeed
) -> Residuals:
    """`known` and one more report, of an engine that runs in this `way`. `estimated` is the formula's own
    account of it, without anything learned; None when it is not at hand. A report whose weights are not
    nearly those of the way is none of it (an engine that loads two models told of the second): ignored."""
    if not _is_of(report, way):
        return known
    ratios = dict(known.ratios)
    for place, ratio in _ratios(estimated, report).items() if estimated is not None else ():
        key = f"{subject.build}|{subject.architecture}|{place}"
        history = (*ratios.pop(key, ()), ratio)
        ratios[key] = history[-KEPT_RATIOS:]
    runs = dict(known.runs)
    key = run_key(subject, way)
    runs.pop(key, None)
    runs[key] = report.parts
    return msgspec.structs.replace(known, ratios=_newest(ratios, KEPT_KEYS), runs=_newest(runs, KEPT_RUNS))


def rehearsed(known: Residuals, subject: Subject, way: MemoryNeed, said: MemoryNeed | None) -> Residuals:
    """`known` and what a dry run of this way said; None: that it says nothing, so that nobody asks again."""
    dry_runs = dict(known.dry_runs)
    dry_runs[run_key(subject, way)] = said.parts if said is not None else ()
    return msgspec.structs.replace(known, dry_runs=_newest(dry_runs, KEPT_RUNS))


def corrected(known: Residuals, subject: Subject, way: MemoryNeed) -> MemoryNeed:
    """The way as it is to be expected after all that was learned."""
    reported = known.runs.get(run_key(subject, way))
    if reported is not None:
        return _replaced(way, reported)
    rehearsal = known.dry_runs.get(run_key(subject, way))
    if rehearsal:
        return _at_least(way, rehearsal)
    factors: dict[str, float] = {}
    for part in way.parts:
        place = _place(part)
        if place not in factors:
            factors[place] = factor(known, subject, place)
    if all(value == 1.0 for value in factors.values()):
        return way
    parts = tuple(_raised(part, factors[_place(part)]) for part in way.parts)
    return msgspec.structs.replace(way, parts=parts)


def factor(known: Residuals, subject: Subject, place: str) -> float:
    """By how much a part (`PART@PLACE`) is raised: never below 1."""
    own = known.ratios.get(f"{subject.build}|{subject.architecture}|{place}")
    if own:
        return max(1.0, *own)
    others = [
        ratio
        for key, history in known.ratios.items()
        if key.startswith(f"{subject.build}|") and key.endswith(f"|{place}")
        for ratio in history
    ]
    return max(1.0, percentile(others, 0.99)) if len(others) >= ENOUGH else 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _is_of(report: MemoryNeed, way: MemoryNeed) -> bool:
    said, thought = (sum(part.bytes for part in one.parts if part.what == "weights") for one in (report, way))
    return LEAST_WEIGHTS * thought <= said <= MOST_WEIGHTS * thought


def _place(part: MemoryPart) -> str:
    where = "host" if part.device is None else "gpu"
    return f"{part.what}@{'mapped' if part.mapped else where}"


def _ratios(estimated: MemoryNeed, report: MemoryNeed) -> dict[str, float]:
    """Of each kind of part that was reported and estimated: reported / estimated."""
    said, thought = _sums(report), _sums(estimated)
    found: dict[str, float] = {}
    for place, size in said.items():
        if place in thought and not place.endswith("@mapped"):
            ratio = (size + DAMPING_BYTES) / (thought[place] + DAMPING_BYTES)
            if 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
                found[place] = round(ratio, 5)
    return found


def _sums(need: MemoryNeed) -> dict[str, int]:
    sums: dict[str, int] = {}
    for part in need.parts:
        sums[_place(part)] = sums.get(_place(part), 0) + part.bytes
    return sums


def _raised(part: MemoryPart, by: float) -> MemoryPart:
    """The inverse of how the ratio was made, so that the same estimate becomes what was reported."""
    if by == 1.0 or part.bytes == 0:
        return part
    size = math.ceil((part.bytes + DAMPING_BYTES) * by) - DAMPING_BYTES
    return msgspec.structs.replace(part, bytes=max(part.bytes, size))


def _replaced(way: MemoryNeed, reported: tuple[MemoryPart, ...]) -> MemoryNeed:
    """Reported kinds of parts as they were reported; the others, which engines do not tell, as estimated. So
    are mapped weights: engines tell how much of the file they map, not how much of it they read."""
    told = {part.what for part in reported}
    kept = tuple(part for part in way.parts if part.mapped or part.what not in told)
    return msgspec.structs.replace(
        way, parts=(*(part for part in reported if not part.mapped), *kept), source="measured"
    )


def _at_least(way: MemoryNeed, said: tuple[MemoryPart, ...]) -> MemoryNeed:
    """Each part of a device no smaller than the dry run says. Of the host it tells too little: it leaves out
    what the server adds, and weights that the CPU backend holds a second time."""
    parts: list[MemoryPart] = []
    for part in way.parts:
        told = sum(one.bytes for one in said if (one.what, one.device) == (part.what, part.device))
        told -= _beside(way, part) if part.what == "kv" else 0
        raised = part.device is not None and told > part.bytes
        parts.append(msgspec.structs.replace(part, bytes=told) if raised else part)
    return msgspec.structs.replace(way, parts=tuple(parts), source="dry run")


def _beside(way: MemoryNeed, part: MemoryPart) -> int:
    """Recurrent state on the same device, which a dry run counts together with keys and values."""
    return sum(one.bytes for one in way.parts if one.what == "state" and one.device == part.device)


def _newest(entries: dict[str, _T], most: int) -> dict[str, _T]:
    return dict(list(entries.items())[-most:])
