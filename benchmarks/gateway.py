"""The gateway benchmark: Freehold beside nginx, vllm-router, LiteLLM and nothing, interleaved in one run.

    python -m benchmarks.gateway                     about 3 minutes; prints, and writes RESULTS.md
    python -m benchmarks.gateway --full              longer slices, three rounds, a million calls for the memory
    python -m benchmarks.gateway --only freehold --scenario chat64 --seconds 10      while optimising
    python -m benchmarks.gateway --target http://127.0.0.1:8400 --pid 4242 --model fast

One core for the gateway, the other for load and upstream. Everything ends by itself; traffic is loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import report
from benchmarks.load import SCENARIOS, Loader, Sample, Scenario
from benchmarks.machine import Pinned, Usage, free_port, two_cores
from benchmarks.native import Unusable, compiled
from benchmarks.targets import LAUNCHERS, MODEL, PEERS, Missing, Target, answers, start

DIRECT = "direct"
SAME_NAME = "freehold, same name"
QUICK_S = {"chat64": 2.0, "chat32": 2.0, "stream64": 1.5, "flood64": 1.5}
MILLION = 1_000_000
LIMIT_S = 3600
"""The upstream leaves after this time whatever happens."""


@dataclass(frozen=True)
class Plan:
    names: list[str]
    scenarios: list[Scenario]
    rounds: int
    seconds: float | None
    """Of one slice; None: each scenario's own."""
    full: bool
    realtime: bool

    def slice_s(self, scenario: Scenario) -> float:
        if self.seconds:
            return self.seconds
        return QUICK_S.get(scenario.name, 1.0) * (2.5 if self.full else 1.0)


@dataclass
class Run:
    """Everything one run found out. Samples by (target, scenario), one per round."""

    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    starts_s: dict[str, list[float]] = field(default_factory=dict)
    idle_mb: dict[str, float] = field(default_factory=dict)
    worked_mb: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Memory after so many calls."""
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)


class Bench:
    """Owns the upstream, the started targets and the folder of one run."""

    def __init__(self, plan: Plan, folder: Path, exits: contextlib.ExitStack) -> None:
        self.plan, self.folder, self.exits = plan, folder, exits
        self.gateway_core, load_core = two_cores()
        tools = PEERS / "bin"
        self.loader = Loader(compiled("load", tools), load_core, folder, plan.realtime)
        self.upstream = free_port()
        os.sched_setaffinity(0, {load_core})
        upstream = Pinned(
            [compiled("upstream", tools), str(self.upstream), str(LIMIT_S)], load_core, realtime=plan.realtime
        )
        exits.callback(upstream.stop)
        _await_upstream(self.upstream)
        self.targets: list[Target] = []
        self.run = Run()

    def start_all(self) -> None:
        """Starts what the plan names; what cannot run here is noted, not skipped in silence."""
        for name in self.plan.names:
            if name == DIRECT:
                self.targets.append(Target(DIRECT, self.upstream, MODEL))
                continue
            try:
                self._start(name)
            except (Missing, Unusable) as why:
                self.run.missing[name] = str(why)
                print(f"  {name}: MISSING: {why}", flush=True)

    def _start(self, name: str) -> None:
        repeats = 1 if self.plan.seconds else 3
        for again in range(repeats):
            target = start(
                name,
                upstream=self.upstream,
                folder=self.folder / f"{name}{again}",
                core=self.gateway_core,
                realtime=self.plan.realtime,
            )
            assert target.process and target.usage and target.start_s
            self.run.starts_s.setdefault(name, []).append(target.start_s)
            if again == repeats - 1 or target.start_s > 3:
                break
            target.process.stop()
        self.exits.callback(target.process.stop)
        time.sleep(0.5)
        self.run.idle_mb[name] = target.usage.rss_mb()
        self.targets.append(target)
        if name == "freehold" and not self.plan.seconds:
            same = Target(SAME_NAME, target.port, MODEL, target.usage, target.ledger)
            self.targets.append(same)
        print(f"  {name}: first answer after {target.start_s:.2f} s, {self.run.idle_mb[name]:.0f} MB idle", flush=True)

    def measure(self, target: Target, scenario: Scenario, *, seconds: float) -> Sample:
        sample = self.loader.measure(
            scenario,
            target.port,
            target.model,
            seconds=seconds,
            usage=target.usage,
            ledger=target.ledger,
        )
        self.run.samples.setdefault((target.name, scenario.name), []).append(sample)
        print(report.sample_line(target.name, scenario.name, sample), flush=True)
        return sample

    def warm(self) -> None:
        for target in self.targets:
            for name in ("chat64", "stream64"):
                self.loader.run(SCENARIOS[name], target.port, target.model, seconds=0.3)

    def rounds(self) -> None:
        """Slices of one scenario stand next to each other in time, so that their ratios share the weather."""
        for n in range(self.plan.rounds):
            print(f"round {n + 1} of {self.plan.rounds}", flush=True)
            for scenario in self.plan.scenarios:
                for target in self.targets:
                    self.measure(target, scenario, seconds=self.plan.slice_s(scenario))

    def memory(self) -> None:
        """Resident memory after the rounds, or with `full` after a million calls more (at most 3 minutes)."""
        for target in self.targets:
            if target.usage is None or target.name == SAME_NAME:
                continue
            calls = sum(
                s.calls for (name, _), all_of in self.run.samples.items() for s in all_of if name == target.name
            )
            if self.plan.full:
                limit_s = 180.0 if target.name != "litellm" else 30.0
                sample = self.loader.measure(
                    SCENARIOS["chat64"],
                    target.port,
                    target.model,
                    seconds=limit_s,
                    max_calls=MILLION,
                    usage=target.usage,
                    ledger=target.ledger,
                )
                self.run.samples.setdefault((target.name, "million"), []).append(sample)
                print(report.sample_line(target.name, "million", sample), flush=True)
                calls += sample.calls
            self.run.worked_mb[target.name] = (target.usage.rss_mb(), calls)


def _await_upstream(port: int) -> None:
    until = time.monotonic() + 5
    while not answers(port, MODEL):
        if time.monotonic() > until:
            raise Unusable("The upstream program does not answer on loopback.")
        time.sleep(0.01)


@contextlib.contextmanager
def bench(plan: Plan) -> Iterator[Bench]:
    with contextlib.ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="freehold-bench-")))
        yield Bench(plan, folder, exits)


# ---- command line ----


def _options(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=(__doc__ or "").split("\n")[0])
    p.add_argument("--full", action="store_true", help="longer, three rounds, a million calls (about 15 minutes)")
    p.add_argument("--only", help=f"targets, comma separated, of: {DIRECT}, {', '.join(LAUNCHERS)}")
    p.add_argument("--scenario", help=f"scenarios, comma separated, of: {', '.join(SCENARIOS)}")
    p.add_argument("--seconds", type=float, help="of each slice, instead of each scenario's own")
    p.add_argument("--rounds", type=int, help="default 2, with --full 3, with --seconds 1")
    p.add_argument("--target", help="URL of a gateway that runs already on this machine")
    p.add_argument("--pid", type=int, help="with --target: its process id, for the CPU figures")
    p.add_argument("--model", default=MODEL, help=f"with --target: the model to ask for (default {MODEL})")
    p.add_argument("--upstream-port", type=int, help=argparse.SUPPRESS)
    p.add_argument("--realtime", action="store_true", help="real-time priority for all (root; holds both cores)")
    p.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    return p.parse_args(argv)


def _chosen(text: str | None, known: list[str], what: str) -> list[str]:
    chosen = [part.strip() for part in text.split(",")] if text else known
    for name in chosen:
        if name not in known:
            raise Unusable(f"Unknown {what} '{name}'. Known: {', '.join(known)}.")
    return chosen


def _plan(o: argparse.Namespace) -> Plan:
    scenarios = _chosen(o.scenario, list(SCENARIOS), "scenario")
    return Plan(
        names=[] if o.target else _chosen(o.only, [DIRECT, *LAUNCHERS], "target"),
        scenarios=[SCENARIOS[name] for name in scenarios],
        rounds=o.rounds or (1 if o.seconds else 3 if o.full else 2),
        seconds=o.seconds,
        full=o.full,
        realtime=o.realtime,
    )


def _running(url: str, pid: int | None, model: str) -> Target:
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"} or not parts.port:
        raise Unusable("--target must be on loopback and name its port, for example http://127.0.0.1:8400.")
    return Target(url, parts.port, model, Usage(pid) if pid else None)


def main(argv: list[str] | None = None) -> int:
    o = _options(argv)
    began = time.monotonic()
    try:
        plan = _plan(o)
        with bench(plan) as b:
            if o.target:
                b.targets.append(_running(o.target, o.pid, o.model))
            b.start_all()
            b.warm()
            b.rounds()
            b.memory()
            print(report.text(b.run, minutes=(time.monotonic() - began) / 60))
            whole = not (o.only or o.scenario or o.seconds or o.target or o.no_write)
            if whole:
                report.write(b.run, command=" ".join(["python -m benchmarks.gateway", *(argv or sys.argv[1:])]))
    except Unusable as why:
        print(why, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
