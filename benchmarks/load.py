"""What is asked of a gateway: scenarios, the requests they send, and one measured slice of load.

Who is measured is in `targets`, what the figures mean is in `report`.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from benchmarks.machine import Pinned, Usage, busy_s

MAX_CALLS = 10**9
_PATIENCE_S = 60.0
"""Longest wait for a gateway's receipts."""
_SLACK_S = 40.0
"""The load ends by itself earlier (see native/load.c); this only guards against a bug in it."""


@dataclass(frozen=True)
class Scenario:
    """One kind of load. The upstream waits `delay_ms` before it answers, `pace_ms` between events."""

    name: str
    connections: int
    what: str
    events: int = 0
    """Content events of a streamed answer; 0: not streamed."""
    delay_ms: int = 0
    pace_ms: int = 0
    prompt_bytes: int = 700
    ask_usage: bool = True
    """Streams: whether the client itself asks for the usage event (most agents do not)."""

    @property
    def sse_events(self) -> int:
        """Events that the client must see at least: content, finish, [DONE]; usage when it asked."""
        return self.events + 2 + self.ask_usage if self.events else 0


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("chat64", 64, "answers at once, 64 connections: the ceiling"),
        Scenario("chat1", 1, "answers at once, 1 connection: added latency"),
        Scenario("chat32", 32, "answers after 100 ms, 32 connections, about 300 calls/s", delay_ms=100),
        Scenario("big1", 1, "115 KB prompt, 1 connection", prompt_bytes=114_000),
        Scenario("first1", 1, "stream, 1 connection: time to the first event", events=4, pace_ms=1),
        Scenario("stream64", 64, "50 tokens 5 ms apart, 64 streams", events=50, pace_ms=5),
        Scenario("flood64", 64, "50 tokens without pause, 64 streams: the ceiling", events=50),
        Scenario(
            "unasked64", 64, "as flood64, the client does not ask for usage", events=50, ask_usage=False
        ),
    )
}

_SENTENCE = (
    'The tool returned "ok";\nread the file at line 42, then explain \u2014 briefly \u2014 what changed. '
)


def request_bytes(scenario: Scenario, model: str, port: int) -> bytes:
    """A whole HTTP request, laid out as the openai package does it (messages before model).

    `##########` is where the load writes the number of the call; `bench(...)` is read by the upstream.
    """
    filler = _SENTENCE * (scenario.prompt_bytes // len(_SENTENCE) + 1)
    turns = [filler[i : i + 2000] for i in range(0, scenario.prompt_bytes, 2000)]
    wish = f"bench(delay={scenario.delay_ms},pace={scenario.pace_ms},events={scenario.events})"
    messages = [{"role": "system", "content": f"You are call ########## of a benchmark. {wish}"}]
    messages += [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
    body: dict[str, Any] = {"messages": messages, "model": model, "temperature": 0.2}
    if scenario.events:
        body["stream"] = True
        if scenario.ask_usage:
            body["stream_options"] = {"include_usage": True}
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\n"
        f"Authorization: Bearer sk-bench\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Ledger(Protocol):
    """Where a gateway stores a record of each call."""

    def stored(self) -> int:
        """Receipts stored so far: in the log and in the table that queries read."""
        ...


@dataclass(frozen=True)
class Target:
    """Whom to ask: something that answers `/v1/chat/completions` on a loopback port."""

    name: str
    port: int
    model: str
    usage: Usage | None = None
    """What its processes use; None: not looked at."""
    ledger: Ledger | None = None


@dataclass(frozen=True)
class Sample:
    """One slice of load. Latencies are the client's, in microseconds, the upstream's delay taken off."""

    calls: int
    events: int
    seconds: float
    errors: int
    first_error: str
    p50_us: float
    p99_us: float
    first_p50_us: float
    first_p99_us: float
    cpu_s: float = 0.0
    """CPU of the gateway's process tree, until its last receipt was stored."""
    unstored_1s: int | None = None
    """Receipts not yet stored one second after the load's end; None: keeps none."""
    stored_after_s: float | None = None
    others: float = 0.0
    """Share of the gateway's core that other work took during the slice: the noise in this sample."""

    @property
    def calls_s(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0

    @property
    def events_s(self) -> float:
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def cpu_us_call(self) -> float:
        return self.cpu_s * 1e6 / self.calls if self.calls else 0.0

    @property
    def cpu_us_event(self) -> float:
        return self.cpu_s * 1e6 / self.events if self.events else 0.0


class LoadFailed(Exception):
    """No sample came back; the text says what the load said, mostly that nobody listens any more."""


@dataclass(frozen=True)
class Loader:
    """Drives slices of load from one core."""

    program: Path
    core: int
    gateway_core: int
    folder: Path
    realtime: bool = False

    def run(self, target: Target, scenario: Scenario, seconds: float, max_calls: int = MAX_CALLS) -> Sample:
        """One slice, without a look at the gateway's CPU and receipts. Raises `LoadFailed`."""
        request, log = self.folder / "request", self.folder / "load.out"
        request.write_bytes(request_bytes(scenario, target.model, target.port))
        expect = f"word{scenario.events - 1:03d}" if scenario.events else "every microsecond"
        kind = "sse" if scenario.events else "json"
        argv = [
            self.program,
            target.port,
            request,
            scenario.connections,
            seconds,
            max_calls,
            scenario.delay_ms,
        ]
        argv += [kind, expect, scenario.sse_events]
        load = Pinned([str(a) for a in argv], self.core, realtime=self.realtime, log=log)
        try:
            load.popen.wait(seconds + _SLACK_S)
        except subprocess.TimeoutExpired:
            load.stop()
        if load.popen.returncode:
            raise LoadFailed(f"the load ended with {load.popen.returncode}: {load.last_lines()}")
        return _sample(json.loads(log.read_text()))

    def measure(
        self, target: Target, scenario: Scenario, seconds: float, max_calls: int = MAX_CALLS
    ) -> Sample:
        """One slice with the gateway's CPU, which includes storing every receipt of the slice."""
        stored_before = target.ledger.stored() if target.ledger else 0
        cpu_before = target.usage.cpu_s() if target.usage else 0.0
        began, busy_before = time.monotonic(), busy_s(self.gateway_core)
        sample = self.run(target, scenario, seconds, max_calls)
        if target.ledger:
            due = stored_before + sample.calls + sample.errors
            unstored_1s, stored_after_s = _await_receipts(target.ledger, due)
            sample = replace(sample, unstored_1s=unstored_1s, stored_after_s=stored_after_s)
        cpu_s = target.usage.cpu_s() - cpu_before if target.usage else 0.0
        foreign_s = busy_s(self.gateway_core) - busy_before - cpu_s
        return replace(sample, cpu_s=cpu_s, others=max(0.0, foreign_s / (time.monotonic() - began)))


def _sample(told: dict[str, Any]) -> Sample:
    return Sample(
        calls=told["calls"],
        events=told["events"],
        seconds=told["elapsed_s"],
        errors=told["errors"] + told["unfinished"],
        first_error=told["first_error"],
        p50_us=told["latency_us"]["p50"],
        p99_us=told["latency_us"]["p99"],
        first_p50_us=told["first_us"]["p50"],
        first_p99_us=told["first_us"]["p99"],
    )


def _await_receipts(ledger: Ledger, due: int) -> tuple[int | None, float | None]:
    """(unstored after 1 s, seconds until all were stored or None when that took more than a minute)."""
    began = time.monotonic()
    unstored_1s: int | None = None
    while True:
        missing, after_s = max(0, due - ledger.stored()), time.monotonic() - began
        if unstored_1s is None and (not missing or after_s >= 1):
            unstored_1s = missing
        if not missing:
            return unstored_1s, after_s
        if after_s > _PATIENCE_S:
            return unstored_1s, None
        time.sleep(0.02)
