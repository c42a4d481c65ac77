"""The gateway benchmark: Freehold beside nginx, vllm-router, LiteLLM and nothing, interleaved in one run.

    python -m benchmarks.gateway                     about 3 minutes; prints, and writes RESULTS.md
    python -m benchmarks.gateway --full              longer slices, three rounds, memory after 1 M calls
    python -m benchmarks.gateway --only freehold --scenario chat64 --seconds 10      while optimising
    python -m benchmarks.gateway --target http://127.0.0.1:8400 --pid 4242 --upstream-port 8499 --model fast

One core for the gateway, the other for load and upstream. Everything ends by itself; loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks import report
from benchmarks.load import MAX_CALLS, SCENARIOS, Loader, LoadFailed, Scenario, Target
from benchmarks.machine import Pinned, Usage, free_port, two_cores
from benchmarks.native import Unusable, compiled
from benchmarks.report import DIRECT, OURS, SAME_NAME, Run
from benchmarks.targets import LAUNCHERS, MODEL, PEERS, Missing, Started, answers, start

QUICK_S = {"chat64": 2.0, "chat32": 2.0, "stream64": 1.5, "flood64": 1.5}
STARTS, SLOW_START_S = 3, 3.0
MILLION = 1_000_000
MILLION_S = {"litellm": 30.0}
"""Where a million calls would take hours."""
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
    upstream_port: int | None = None
    """None: any free one."""

    def slice_s(self, scenario: Scenario) -> float:
        if self.seconds:
            return self.seconds
        return QUICK_S.get(scenario.name, 1.0) * (2.5 if self.full else 1.0)


class Bench:
    """Owns the upstream, the started targets and the folder of one run."""

    def __init__(self, plan: Plan, folder: Path, exits: contextlib.ExitStack) -> None:
        self.plan, self.folder, self.exits = plan, folder, exits
        self.gateway_core, load_core = two_cores()
        tools = PEERS / "bin"
        self.loader = Loader(compiled("load", tools), load_core, self.gateway_core, folder, plan.realtime)
        self.upstream = plan.upstream_port or free_port()
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
        """Several starts, each from nothing, where that is quick; the last one stays."""
        repeats = 1 if self.plan.seconds else STARTS
        for again in range(repeats):
            folder = self.folder / f"{name}-{again}"
            started = start(
                name,
                upstream=self.upstream,
                folder=folder,
                core=self.gateway_core,
                realtime=self.plan.realtime,
            )
            self.run.starts_s.setdefault(name, []).append(started.start_s)
            if again == repeats - 1 or started.start_s > SLOW_START_S:
                self.exits.callback(started.process.stop)
                self._settle(started)
                return
            started.process.stop()

    def _settle(self, started: Started) -> None:
        target = started.target
        assert target.usage
        target.usage.await_quiet()
        idle_mb = self.run.idle_mb[target.name] = target.usage.rss_mb()
        self.targets.append(target)
        if target.name == OURS and not self.plan.seconds:
            self.targets.append(replace(target, name=SAME_NAME, model=MODEL))
        print(
            f"  {target.name}: first answer after {started.start_s:.2f} s, {idle_mb:.0f} MB idle", flush=True
        )

    def measure(self, target: Target, scenario: Scenario, seconds: float, max_calls: int = MAX_CALLS) -> None:
        """One slice into the run; a target that is gone is noted and left out from then on."""
        try:
            sample = self.loader.measure(target, scenario, seconds, max_calls)
        except (LoadFailed, psutil.NoSuchProcess) as why:
            self._lose(target, scenario, str(why))
            return
        self.run.samples.setdefault((target.name, scenario.name), []).append(sample)
        print(report.sample_line(target.name, scenario.name, sample), flush=True)

    def _lose(self, target: Target, scenario: Scenario, why: str) -> None:
        self.run.missing[target.name] = f"it stopped answering in {scenario.name}: {why}"
        self.targets.remove(target)
        print(f"  {target.name}: GONE: {why}", flush=True)

    def warm(self) -> None:
        for target in list(self.targets):
            for scenario in (SCENARIOS["chat64"], SCENARIOS["stream64"]):
                try:
                    self.loader.run(target, scenario, 0.3)
                except LoadFailed as why:
                    self._lose(target, scenario, str(why))
                    break

    def rounds(self) -> None:
        """Slices of one scenario stand next to each other in time, so that their ratios share the weather."""
        for n in range(self.plan.rounds):
            print(f"round {n + 1} of {self.plan.rounds}", flush=True)
            for scenario in self.plan.scenarios:
                for target in list(self.targets):
                    self.measure(target, scenario, self.plan.slice_s(scenario))

    def memory(self) -> None:
        """Resident memory after the rounds; with `full` after a million calls more, as far as time allows."""
        million = replace(SCENARIOS["chat64"], name="million")
        for target in list(self.targets):
            if target.usage is None or target.name == SAME_NAME:
                continue
            if self.plan.full:
                self.measure(target, million, MILLION_S.get(target.name, 240.0), MILLION)
            names = (OURS, SAME_NAME) if target.name == OURS else (target.name,)
            taken = [s for (name, _), found in self.run.samples.items() if name in names for s in found]
            self.run.worked_mb[target.name] = (target.usage.rss_mb(), sum(s.calls for s in taken))


def _await_upstream(port: int) -> None:
    until = time.monotonic() + 5
    while not answers(port, MODEL):
        if time.monotonic() > until:
            raise Unusable("The upstream program does not answer on loopback.")
        time.sleep(0.01)


@contextlib.contextmanager
def bench(plan: Plan) -> Generator[Bench, None, None]:
    with contextlib.ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="freehold-bench-")))
        yield Bench(plan, folder, exits)


# ---- command line ----


def _options(argv: list[str] | None) -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.gateway", description=(__doc__ or "").split("\n")[0]
    )
    p.add_argument(
        "--full", action="store_true", help="longer, three rounds, a million calls (about 15 minutes)"
    )
    p.add_argument("--only", help=f"targets, comma separated, of: {DIRECT}, {', '.join(LAUNCHERS)}")
    p.add_argument("--scenario", help=f"scenarios, comma separated, of: {', '.join(SCENARIOS)}")
    p.add_argument("--seconds", type=float, help="of each slice, instead of each scenario's own")
    p.add_argument("--rounds", type=int, help="default 2, with --full 3, with --seconds 1")
    p.add_argument("--target", help="URL of a gateway that runs already on this machine")
    p.add_argument("--pid", type=int, help="with --target: its process id, for the CPU figures")
    p.add_argument("--upstream-port", type=int, help="with --target: where that gateway expects its upstream")
    p.add_argument("--model", default=MODEL, help=f"with --target: the model to ask for (default {MODEL})")
    p.add_argument(
        "--realtime", action="store_true", help="real-time priority for all (root; holds both cores)"
    )
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
        names=[] if o.target and not o.only else _chosen(o.only, [DIRECT, *LAUNCHERS], "target"),
        scenarios=[SCENARIOS[name] for name in scenarios],
        rounds=o.rounds or (1 if o.seconds else 3 if o.full else 2),
        seconds=o.seconds,
        full=o.full,
        realtime=o.realtime,
        upstream_port=o.upstream_port,
    )


def _running(url: str, pid: int | None, model: str, upstream: int) -> Target:
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"} or not parts.port:
        raise Unusable("--target must be on loopback and name its port, for example http://127.0.0.1:8400.")
    if pid is not None and not psutil.pid_exists(pid):
        raise Unusable(f"--pid {pid}: no such process.")
    if not answers(parts.port, model):
        raise Unusable(
            f"{url} does not pass '{model}' on to the benchmark's upstream, http://127.0.0.1:{upstream}/v1. "
            "Point it there, give that port as --upstream-port, and the model's name as --model."
        )
    return Target(url, parts.port, model, Usage(pid) if pid else None)


def _measure(b: Bench, o: argparse.Namespace) -> None:
    if o.target:
        b.targets.append(_running(o.target, o.pid, o.model, b.upstream))
    b.start_all()
    b.warm()
    b.rounds()
    b.memory()


def _leave(_signum: int, _frame: object) -> None:
    sys.exit(143)  # through the exit stack, so that everything we started ends with us


def main(argv: list[str] | None = None) -> int:
    o = _options(argv)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    try:
        with bench(_plan(o)) as b:
            _measure(b, o)
    except Unusable as why:
        print(why, file=sys.stderr)
        return 2
    minutes = (time.monotonic() - began) / 60
    if not o.seconds or len(b.targets) > 1:
        print("\n" + report.text(b.run))
    print(f"\n{minutes:.1f} minutes.")
    if not (o.only or o.scenario or o.seconds or o.target or o.no_write):
        given = sys.argv[1:] if argv is None else argv
        report.write(b.run, command=" ".join(["python -m benchmarks.gateway", *given]), minutes=minutes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
