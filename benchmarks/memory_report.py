"""What `benchmarks.memory` found, as Markdown: bars, tables by model, and the section of RESULTS.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import describe
from benchmarks.memory_peers import PEERS
from benchmarks.report import RESULTS

if TYPE_CHECKING:
    from benchmarks.memory import Case, Findings

_BEGIN, _END = "<!-- memory: begin -->", "<!-- memory: end -->"
_MIB = 1024**2


def write(found: Findings, *, minutes: float, keep: bool) -> str:
    """The text; put in the place of the memory section of RESULTS.md when it is to be kept."""
    text = (
        f"## Memory estimates\n\n{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks memory`, "
        f"{minutes:.0f} minutes. {describe()}.\n\n" + "\n\n".join(_parts(found))
    )
    if keep:
        section = f"{_BEGIN}\n{text}\n{_END}"
        before = RESULTS.read_text()
        pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.S)
        inside = pattern.sub(lambda _: section, before)
        RESULTS.write_text(inside if _BEGIN in before else f"{before.rstrip()}\n\n{section}\n")
    return text


def _parts(found: Findings) -> Iterable[str]:
    models = len({case.model for case in found.totals})
    dry, ours = median(found.dry_s or [0]), median(found.estimate_s or [0])
    yield (
        f"{models} models as hollow files (true sizes, no weights); {len(found.totals)} dry runs of the "
        f"embedded engine (contexts x slots x types of cache x micro-batches, {dry:.2f} s each; an estimate "
        f"takes {ours * 1e3:.1f} ms), {len(found.splits) // 6} splits over two devices that the CPU stood in "
        f"for, {len(found.held)} models really loaded. Errors: estimate over what llama.cpp says, less one."
    )
    yield _table(["bar", "cases", "found", "wanted", ""], list(_bars(found)))
    yield "By model, all dry runs. Total: weights, caches, graph and output. Peers: all layers on one GPU."
    yield _by_model(found)
    yield (
        "The embedded dry run tells no weights: in its totals they are the estimate's own (Debian's dry run "
        "and real loads check them). Peers' formulas are rewritten from their sources, not their programs. "
        "Not measured: graphs and driver memory of a real GPU (there is none here); graphs are bounds from "
        "the same shapes, +330 MiB for each NVIDIA GPU and process."
    )
    for words in found.missing:
        yield f"Missing: {words}."


def _bars(found: Findings) -> Iterable[list[str]]:
    yield _within("weights, Debian's dry run", found.weights, 0.01, rounding=_MIB)
    yield _within("KV and recurrent state, embedded dry run", found.caches, 0.01)
    yield _within("weights and caches of each device, two devices", found.splits, 0.01, rounding=_MIB)
    loads = [case for case in found.loads if case.what != "total"]
    yield _within("weights and caches, real loads", loads, 0.01)
    yield _within("total, embedded dry run", found.totals, 0.05)
    yield _within("total, real loads", [case for case in found.loads if case.what == "total"], 0.05)
    yield _within("total of each device, two devices", found.split_totals, 0.05, rounding=_MIB)
    every = [*found.totals, *found.loads, *found.split_totals]
    least = min((_error(case, _MIB) for case in every), default=0.0)
    yield [
        "largest underestimate of a total",
        str(len(every)),
        f"{least:+.2%}",
        ">= -2%",
        _verdict(least >= -0.02),
    ]
    held = [case.error for case in found.held]
    lowest = min(held, default=0.0)
    yield [
        "memory that a loaded process holds, without its graph",
        str(len(held)),
        f"{lowest:+.1%} to {max(held, default=0):+.1%}",
        ">= -2%",
        _verdict(lowest >= -0.02),
    ]


def _within(words: str, cases: Sequence[Case], limit: float, *, rounding: int = 0) -> list[str]:
    if not cases:
        return [words, "0", "-", f"within {limit:.0%}", "not judged"]
    errors = [_error(case, rounding) for case in cases]
    low, high = min(errors), max(errors)
    good = sum(abs(error) <= limit for error in errors)
    verdict = "pass" if good == len(errors) else f"{len(errors) - good} beyond"
    return [words, str(len(cases)), f"{low:+.2%} to {high:+.2%}", f"within {limit:.0%}", verdict]


def _error(case: Case, rounding: int) -> float:
    """What rounding to whole MiB explains is no error."""
    off = case.ours - case.said
    if abs(off) <= rounding:
        return 0.0
    return off / case.said if case.said else float(off > 0)


def _verdict(good: bool) -> str:
    return "pass" if good else "FAIL"


def _by_model(found: Findings) -> str:
    head = ["model", "caches", "graph", "total", *PEERS]
    rows: list[list[str]] = []
    for name in dict.fromkeys(case.model for case in found.totals):
        row = [name]
        for cases in (found.caches, found.graphs, found.totals):
            row.append(_span([case.error for case in cases if case.model == name]))
        totals = [case for case in found.totals if case.model == name]
        for peer in PEERS:
            row.append(_span([case.peers[peer] / case.said - 1 for case in totals]))
        rows.append(row)
    return _table(head, rows)


def _span(errors: Sequence[float]) -> str:
    low, high = min(errors), max(errors)
    if max(abs(low), abs(high)) < 0.0005:
        return "0"
    if high - low < 0.005:
        return f"{high:+.1%}"
    return f"{low:+.0%} to {high:+.0%}" if high - low > 0.1 else f"{low:+.1%} to {high:+.1%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in (head, *rows)]
    rule = " | ".join("-" * w for w in widths)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))
