"""Where a gateway's microseconds go: py-spy samples Freehold while the benchmark's load runs.

    python -m benchmarks.profile_gateway --scenario chat64 --seconds 10 [--lines] [--native]

Prints the functions by own time and by time with callees, and leaves the folded stacks in .bench/ for a flame
graph. py-spy lives in an environment of its own and needs the right to trace (root, or ptrace_scope 0). The
sampled process runs slower than an unwatched one: take shares from here, figures from the benchmark.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from benchmarks.gateway import Plan, bench
from benchmarks.load import SCENARIOS
from benchmarks.machine import Pinned
from benchmarks.native import Unusable
from benchmarks.report import OURS
from benchmarks.targets import PEERS, Missing, peer_program

PY_SPY = "py-spy==0.4.3"
_WAITS = ("_worker (concurrent/", "Condition.wait (", "Event.wait (")
"""Python functions that only wait at the end of a stack: py-spy takes some of them for work."""
_PLACE = re.compile(r"\(.*/(site-packages|src|python3\.\d+)/")


def profile(scenario: str, seconds: float, extra: list[str]) -> Path:
    """Runs one scenario against Freehold and samples it; returns the file of folded stacks."""
    folded = PEERS / f"profile-{scenario}.folded"
    program = peer_program("py-spy", PY_SPY)
    plan = Plan([OURS], [SCENARIOS[scenario]], rounds=1, seconds=seconds, full=False, realtime=False)
    with bench(plan) as b:
        b.start_all()
        if not b.targets:
            raise Unusable(b.run.missing[OURS])
        b.warm()
        target = b.targets[0]
        assert target.usage
        argv = [str(program), "record", "--pid", str(target.usage.root.pid), "--format", "raw", *extra]
        argv += ["--duration", str(max(1, int(seconds))), "--output", str(folded)]
        log = b.folder / "py-spy.log"
        spy = Pinned(argv, b.loader.core, log=log)
        b.rounds()
        if spy.popen.wait(60):
            raise Unusable(f"py-spy could not sample Freehold:\n{spy.last_lines(8)}")
    return folded


def shares(folded: str) -> tuple[int, Counter[str], Counter[str]]:
    """(samples, by own time, by time with callees) of folded stacks `a;b;c COUNT`."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_PLACE.sub("(", frame) for frame in stack.split(";")]
        last_python = next((f for f in reversed(frames) if ".py" in f), "")
        if last_python.startswith(_WAITS):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    return own.total(), own, whole


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m benchmarks.profile_gateway")
    p.add_argument("--scenario", choices=list(SCENARIOS), default="chat64")
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--rate", type=int, default=250, help="samples per second")
    p.add_argument("--native", action="store_true", help="frames of C extensions too (slower)")
    p.add_argument("--lines", action="store_true", help="by line, not by function")
    p.add_argument("--top", type=int, default=30)
    o = p.parse_args(argv)
    try:
        extra = ["--rate", str(o.rate), *["--native"] * o.native, *["--function"] * (not o.lines)]
        folded = profile(o.scenario, o.seconds, extra)
    except (Unusable, Missing) as why:
        print(why, file=sys.stderr)
        return 2
    total, own, whole = shares(folded.read_text())
    for title, counts in (("own time", own), ("with callees", whole)):
        print(f"\n{title} ({total} samples)")
        for frame, count in counts.most_common(o.top):
            print(f"  {count / total:6.1%}  {frame}")
    print(f"\nFolded stacks: {folded}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
