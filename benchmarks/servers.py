"""Model servers under Freehold: what supervision costs beside the bare engine and the unleased hot path.

    python -m benchmarks servers            about a minute; prints, and writes RESULTS.md

The engine is the built-in test model in the embedded llama.cpp: it loads in a fifth of a second, so what
Freehold adds shows. Everything is on loopback and ends by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway import _await_upstream
from benchmarks.load import SCENARIOS, Loader, Target
from benchmarks.machine import Pinned, free_port, two_cores
from benchmarks.native import compiled
from benchmarks.results import put_section
from benchmarks.targets import MODEL, PEERS
from freehold.testing.standin import Behaviour, Standin
from freehold.testing.tiny_model import model_path

ROUNDS = 5
PATIENCE_S = 30.0
CLIENTS, CALLS_EACH, SLOTS, SERVERS = 200, 10, 4, 4


@dataclass(frozen=True)
class Bar:
    """One figure beside what is wanted of it."""

    name: str
    found: str
    wanted: str
    holds: bool


class House:
    """A running Freehold with a configuration of ours."""

    def __init__(self, config: dict[str, Any], folder: Path, core: int | None = None) -> None:
        self.port = free_port()
        folder.mkdir(parents=True)
        file = folder / "freehold.yaml"
        file.write_text(json.dumps({"listen": f"127.0.0.1:{self.port}", "discover": False} | config))
        program = Path(sys.executable).parent / "freehold"
        argv = [program, "up", "--config", file, "--home", folder / "home", "--no-discover"]
        self.process = Pinned(argv, core if core is not None else min(os.sched_getaffinity(0)))
        _until(lambda: self.ask("/health") is not None, "Freehold does not answer")

    def ask(self, path: str, *, post: bool = False) -> Any:
        """The JSON there; None while nobody answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method="POST" if post else "GET"
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())
        return None

    def server(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/api/v1/servers/{name}")
        return found


def _until(true: Callable[[], bool], why: str) -> float:
    """Seconds until it was so."""
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > PATIENCE_S:
            raise TimeoutError(why)
        time.sleep(0.002)
    return time.perf_counter() - began


@contextlib.contextmanager
def house(config: dict[str, Any], folder: Path, core: int | None = None) -> Generator[House]:
    running = House(config, folder, core)
    try:
        yield running
    finally:
        running.process.stop()


# -- starting, and starting again


def bare_start_s() -> float:
    """The engine alone: from its start to its first healthy answer."""
    port = free_port()
    argv = [sys.executable, "-P", "-m", "freehold.adapters.engines.llamacpp_child"]
    argv += ["--model", str(model_path()), "--alias", "tiny", "--port", str(port)]
    argv += ["--ctx-size", "8192", "--parallel", "2"]
    began = time.perf_counter()
    env = {**os.environ, "LLAMA_ARG_THREADS": "1"}
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _healthy(port), "the bare engine is not ready")
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start_bars(folder: Path) -> list[Bar]:
    """Start to ready, and crash to ready again, beside the bare engine, in turns."""
    bare: list[float] = []
    ours: list[float] = []
    again: list[float] = []
    config = {"servers": {"tiny": {"model": str(model_path()), "context": 4096, "slots": 2}}}
    with house(config, folder / "start") as running:
        ready = lambda: running.server("tiny")["state"] == "ready"  # noqa: E731
        for _ in range(ROUNDS):
            bare.append(bare_start_s())
            running.ask("/api/v1/servers/tiny/stop", post=True)
            began = time.perf_counter()
            running.ask("/api/v1/servers/tiny/start", post=True)
            _until(ready, "the server is not ready")
            ours.append(time.perf_counter() - began)
            loads = running.server("tiny")["loads"]
            began = time.perf_counter()
            os.kill(running.server("tiny")["pid"], signal.SIGKILL)
            _until(lambda n=loads: running.server("tiny")["loads"] > n, "it did not come back")
            again.append(time.perf_counter() - began)
    load_s, start_s, back_s = (statistics.median(times) for times in (bare, ours, again))
    return [
        Bar(
            "start to ready over the bare engine",
            f"{start_s - load_s:+.2f} s",
            "<= 0.3 s",
            start_s - load_s <= 0.3,
        ),
        Bar(
            "crash to ready again, less the load",
            f"{back_s - load_s:.2f} s",
            "<= 1 s",
            back_s - load_s <= 1.0,
        ),
        Bar("the bare engine's load", f"{load_s:.2f} s", "-", True),
    ]


# -- what a lease costs


def lease_bars(folder: Path, seconds: float) -> list[Bar]:
    """One upstream, asked as a provider's model and as an adopted server, in turns within one Freehold."""
    gateway_core, load_core = two_cores()
    tools = PEERS / "bin"
    upstream = free_port()
    served = Pinned([compiled("upstream", tools), str(upstream), "600"], load_core)
    try:
        _await_upstream(upstream)
        base = f"http://127.0.0.1:{upstream}"
        config = {
            "providers": {"bench": {"dialect": "openai", "base_url": base + "/v1", "models": [MODEL]}},
            "servers": {"leased": {"adopt": base, "slots": 64, "model": MODEL, "health": "/v1/models"}},
        }
        with house(config, folder / "lease", gateway_core) as running:
            loader = Loader(compiled("load", tools), load_core, gateway_core, folder)
            free = Target("free", running.port, f"bench/{MODEL}")
            leased = Target("leased", running.port, "leased")
            rows = {"chat64": lambda s: s.calls_s, "chat1": lambda s: 1 / s.p50_us}
            return [_ratio(loader, free, leased, name, figure, seconds) for name, figure in rows.items()]
    finally:
        served.stop()


def _ratio(
    loader: Loader, free: Target, leased: Target, name: str, figure: Callable[[Any], float], seconds: float
) -> Bar:
    ratios: list[float] = []
    loader.run(leased, SCENARIOS[name], 0.3)
    for _ in range(ROUNDS):
        with_lease = loader.run(leased, SCENARIOS[name], seconds)
        without = loader.run(free, SCENARIOS[name], seconds)
        if with_lease.errors:
            raise RuntimeError(f"leased calls failed: {with_lease.first_error}")
        ratios.append(figure(without) / figure(with_lease))
    found = statistics.median(ratios)
    what = {"chat64": "time per call at the ceiling", "chat1": "p50 at 1 connection"}[name]
    return Bar(f"leased call, {what}, of the unleased one's", f"{found:.2f} x", "<= 1.1 x", found <= 1.1)


# -- many clients, few slots


def crowd_bars(folder: Path) -> list[Bar]:
    """4 servers of 4 slots with 200 clients: none lost, none over-used."""
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(Standin(("m",))) for _ in range(SERVERS)]
        for upstream in upstreams:
            upstream.default = Behaviour(delay_head_s=0.01)
        servers = {
            f"s{n}": {"adopt": upstream.url, "slots": SLOTS, "model": "m", "health": "/v1/models"}
            for n, upstream in enumerate(upstreams)
        }
        running = stack.enter_context(house({"servers": servers}, folder / "crowd"))
        ends: Counter[str] = Counter()
        began = time.perf_counter()
        threads = [threading.Thread(target=_client, args=(running, n, ends)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - began
        over = sum(upstream.most_at_once > SLOTS for upstream in upstreams)
    calls = CLIENTS * CALLS_EACH
    lost = calls - ends["200"]
    return [
        Bar(f"{calls} calls of {CLIENTS} clients: not answered", f"{lost} {dict(ends)}", "0", lost == 0),
        Bar(f"servers with more than {SLOTS} calls at once", str(over), "0", over == 0),
        Bar("calls/s through 16 slots of 10 ms", f"{calls / took_s:,.0f} of 1,600 possible", "-", True),
    ]


def _client(running: House, number: int, ends: Counter[str]) -> None:
    for n in range(CALLS_EACH):
        body = {"model": f"s{(number + n) % SERVERS}", "messages": [{"role": "user", "content": "x"}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{running.port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json", "x-freehold-session": f"c{number}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
                ends[str(answer.status)] += 1
        except OSError as error:
            ends[str(error)[:60]] += 1


# -- words


def text(bars: list[Bar]) -> str:
    """The table."""
    rows = [["figure", "found", "wanted", ""], ["---"] * 4]
    rows += [[bar.name, bar.found, bar.wanted, "pass" if bar.holds else "FAIL"] for bar in bars]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks servers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each slice of load")
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-bench-") as name:
        folder = Path(name)
        bars = [*start_bars(folder), *lease_bars(folder, options.seconds), *crowd_bars(folder)]
    print(text(bars))
    if not options.no_write:
        put_section("servers", "Model servers", "python -m benchmarks servers", text(bars))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
