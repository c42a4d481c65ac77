"""Figures into words: a line per slice, the tables, the bars with pass or fail, and RESULTS.md.

Ratios are taken within one round, between slices that stood next to each other in time; the median over the
rounds is what counts. Only functions of a `Run`'s values; the one effect is writing RESULTS.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.load import SCENARIOS, Sample
from benchmarks.machine import describe

DIRECT, OURS, SAME_NAME = "direct", "freehold", "freehold, same name"
RESULTS = Path(__file__).parent / "RESULTS.md"
_BEGIN, _END = "<!-- gateway: begin -->", "<!-- gateway: end -->"

Figure = Callable[[Sample], float]


@dataclass
class Run:
    """Everything one run found out."""

    missing: dict[str, str] = field(default_factory=dict[str, str])
    """Targets that could not run, with the reason."""
    starts_s: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """From the start of the process to its first answered call."""
    idle_mb: dict[str, float] = field(default_factory=dict[str, float])
    worked_mb: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])
    """Memory after so many calls."""
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict[tuple[str, str], list[Sample]])
    """By (target, scenario), one per round."""

    def targets(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.samples))

    def of(self, target: str, scenario: str) -> list[Sample]:
        return self.samples.get((target, scenario), [])

    def typical(self, target: str, scenario: str, figure: Figure) -> float | None:
        found = [figure(s) for s in self.of(target, scenario) if s.calls]
        return median(found) if found else None

    def added(self, target: str, scenario: str, figure: Figure) -> float | None:
        """Over what the upstream takes without a gateway, in the same round."""
        pairs = zip(self.of(target, scenario), self.of(DIRECT, scenario), strict=False)
        found = [figure(s) - figure(bare) for s, bare in pairs if s.calls and bare.calls]
        return median(found) if found else None

    def others(self) -> float:
        """Share of the gateway's core that other work took, over all slices with a gateway."""
        shares = [s.others for (name, _), found in self.samples.items() if name != DIRECT for s in found]
        return sum(shares) / len(shares) if shares else 0.0

    def ratio(self, scenario: str, figure: Figure, other: str, *, added: bool = False) -> float | None:
        """Ours over the other's, each round for itself, then the median."""
        ours, theirs, bare = self.of(OURS, scenario), self.of(other, scenario), self.of(DIRECT, scenario)
        if added and not bare:
            return None
        found: list[float] = []
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            base = figure(bare[i]) if added else 0.0
            if a.calls and b.calls and figure(b) > base:
                found.append((figure(a) - base) / (figure(b) - base))
        return median(found) if found else None


def calls_s(s: Sample) -> float:
    return s.calls_s


def cpu_call(s: Sample) -> float:
    return s.cpu_us_call


def cpu_event(s: Sample) -> float:
    return s.cpu_us_event


def events_s(s: Sample) -> float:
    return s.events_s


def p50(s: Sample) -> float:
    return s.p50_us


def p99(s: Sample) -> float:
    return s.p99_us


def first_p50(s: Sample) -> float:
    return s.first_p50_us


def first_p99(s: Sample) -> float:
    return s.first_p99_us


def sample_line(target: str, scenario: str, s: Sample) -> str:
    """One slice, as it is printed while the benchmark runs."""
    if s.events:
        body = (
            f"{s.events_s:9,.0f} events/s {s.cpu_us_event:8.2f} us CPU/event "
            f"first p50 {s.first_p50_us:9,.0f} us p99 {s.first_p99_us:9,.0f} us"
        )
    else:
        body = (
            f"{s.calls_s:9,.0f} calls/s  {s.cpu_us_call:8.1f} us CPU/call  "
            f"      p50 {s.p50_us:9,.0f} us p99 {s.p99_us:9,.0f} us"
        )
    if s.unstored_1s is not None:
        when = f"after {s.stored_after_s * 1e3:.0f} ms" if s.stored_after_s is not None else "NOT within 60 s"
        body += f"  receipts stored {when}"
    if s.others > 0.05 and target != DIRECT:
        body += f"  (other work took {s.others:.0%} of the core)"
    if s.errors:
        body += f"  ERRORS {s.errors}: {s.first_error}"
    return f"  {target:19} {scenario:9} {body}"


# ---- the bars ----


@dataclass(frozen=True)
class Bar:
    """One promise. `found` is None when the run could not judge it."""

    words: str
    found: float | None
    limit: float
    unit: str = "x"
    at_least: bool = False

    def verdict(self) -> str:
        if self.found is None:
            return "not judged"
        return "pass" if (self.found >= self.limit if self.at_least else self.found <= self.limit) else "FAIL"


def bars(run: Run) -> list[Bar]:
    starts, memory = run.starts_s.get(OURS), run.worked_mb.get(OURS)
    ours = [s for (name, _), found in run.samples.items() if name in (OURS, SAME_NAME) for s in found]
    late = [s.unstored_1s for s in ours if s.unstored_1s is not None]
    calls = f"{memory[1]:,}" if memory else "many"
    return [
        Bar("CPU per call, of nginx's", run.ratio("chat64", cpu_call, "nginx"), 4),
        Bar("CPU per call, of vllm-router's", run.ratio("chat64", cpu_call, "vllm-router"), 1),
        Bar("calls/s, of vllm-router's", run.ratio("chat64", calls_s, "vllm-router"), 1.5, at_least=True),
        Bar("calls/s, of LiteLLM's", run.ratio("chat64", calls_s, "litellm"), 100, at_least=True),
        Bar("added p50 at 1 connection, of nginx's", run.ratio("chat1", p50, "nginx", added=True), 2),
        Bar(
            "added p50 at 1 connection, of vllm-router's",
            run.ratio("chat1", p50, "vllm-router", added=True),
            1,
        ),
        Bar("first event added at 1 connection", run.added(OURS, "first1", first_p50), 500, "us"),
        Bar("CPU per streamed event, of nginx's", run.ratio("stream64", cpu_event, "nginx"), 2),
        Bar("115 KB prompt added p50", run.added(OURS, "big1", p50), 600, "us"),
        Bar("start to first answered call", median(starts) if starts else None, 0.5, "s"),
        Bar("memory idle", run.idle_mb.get(OURS), 60, "MB"),
        Bar(f"memory after {calls} calls", memory[0] if memory else None, 100, "MB"),
        Bar("receipts unstored 1 s after a load's end", max(late) if late else None, 0, ""),
        Bar("failed calls", float(sum(s.errors for s in ours)) if ours else None, 0, ""),
    ]


# ---- tables ----


def _text(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = [" | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in (head, *rows)]
    rule = " | ".join("-" * w for w in widths)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def _latency(run: Run, name: str, scenario: str, middle: Figure, tail: Figure) -> str:
    """p50 / p99: added ones, and the upstream's own for no gateway at all."""
    look = run.typical if name == DIRECT or not run.of(DIRECT, scenario) else run.added
    return f"{_text(look(name, scenario, middle))} / {_text(look(name, scenario, tail))}"


def _cpu(run: Run, name: str, scenario: str, figure: Figure) -> str:
    return "-" if name == DIRECT else _text(run.typical(name, scenario, figure), 1)


def calls_table(run: Run) -> str:
    head = ["target", "calls/s", "CPU us/call", "1 conn us", "32 conn us", "115 KB us"]
    rows = [
        [
            name,
            _text(run.typical(name, "chat64", calls_s)),
            _cpu(run, name, "chat64", cpu_call),
            *(_latency(run, name, scenario, p50, p99) for scenario in ("chat1", "chat32", "big1")),
        ]
        for name in run.targets()
    ]
    return _table(head, rows)


def streams_table(run: Run) -> str:
    head = ["target", "first event us", "first of 64 us", "CPU us/event", "events/s", "flood CPU us/event"]
    rows = [
        [
            name,
            _latency(run, name, "first1", first_p50, first_p99),
            _latency(run, name, "stream64", first_p50, first_p99),
            _cpu(run, name, "stream64", cpu_event),
            " / ".join(_text(run.typical(name, s, events_s)) for s in ("flood64", "unasked64")),
            " / ".join(_cpu(run, name, s, cpu_event) for s in ("flood64", "unasked64")),
        ]
        for name in run.targets()
    ]
    return _table(head, rows)


def process_table(run: Run) -> str:
    rows: list[list[str]] = []
    for name, starts in run.starts_s.items():
        mb, calls = run.worked_mb.get(name, (None, 0))
        failed = sum(s.errors for (target, _), found in run.samples.items() if target == name for s in found)
        start_s = f"{median(starts):.2f} ({', '.join(f'{s:.2f}' for s in starts)})"
        rows.append([name, start_s, _text(run.idle_mb.get(name)), _text(mb), f"{calls:,}", f"{failed:,}"])
    return _table(["target", "start s", "idle MB", "then MB", "after calls", "failed"], rows)


def bars_table(run: Run) -> str:
    rows = [
        [
            b.words,
            "-" if b.found is None else f"{b.found:,.2f} {b.unit}".strip(),
            f"{'>=' if b.at_least else '<='} {b.limit:g} {b.unit}".strip(),
            b.verdict(),
        ]
        for b in bars(run)
    ]
    return _table(["bar", "found", "wanted", ""], rows)


def text(run: Run) -> str:
    """Everything a run found out, as Markdown that reads well in a terminal too."""
    parts: list[str] = []
    streamed = {bool(s.events) for found in run.samples.values() for s in found}
    if False in streamed:
        parts += ["Calls. Latency p50 / p99, added to direct's (direct: its own).", calls_table(run)]
    if True in streamed:
        parts += [
            "Streams. Events 5 ms apart; events/s and flood: no pause, client asks for usage / does not.",
            streams_table(run),
        ]
    if run.starts_s:
        parts += ["Processes. Memory is the whole tree's.", process_table(run)]
    if run.of(OURS, "chat64") and run.of("nginx", "chat64"):
        parts += ["Bars. Ratios within one round, median over the rounds.", bars_table(run)]
    parts.append(f"Other work on the machine took {run.others():.0%} of the gateway's core meanwhile.")
    parts += [f"Missing: {name}: {why}" for name, why in run.missing.items()]
    return "\n\n".join(parts)


def write(run: Run, *, command: str, minutes: float) -> None:
    """Replaces the gateway's section of RESULTS.md, and leaves the other sections as they are."""
    what = "\n".join(f"- `{s.name}`: {s.what}" for s in SCENARIOS.values())
    section = (
        f"{_BEGIN}\n## Gateway\n\n{datetime.now(UTC):%Y-%m-%d}, `{command}`, {minutes:.0f} minutes. "
        f"{describe()}. Gateway on one core, load and upstream on the other, loopback, one process each.\n\n"
        f"{text(run)}\n\nScenarios:\n\n{what}\n{_END}"
    )
    before = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.S)
    after = (
        pattern.sub(lambda _: section, before) if _BEGIN in before else f"{before.rstrip()}\n\n{section}\n"
    )
    RESULTS.write_text(after)
