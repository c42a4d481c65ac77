"""Who sent a signal: the kernel's own trace of `signal_generate`, for the processes that we watch.

Only root is told. The instance exists only while something is watched; see `tracefs`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.tracefs import TraceInstance
from freehold.core.deaths import SignalSeen

EVENT = "signal/signal_generate"
SIGNALS = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 15, 24, 25, 31)
"""Those that end an engine. Numbers of Linux on x86 and ARM: signal(7)."""
MOST_SIGNALS = 20

_LINE = re.compile(
    r"^\s*(?P<comm>.{1,16})-(?P<thread>\d+)\s+(?:\(\s*(?P<process>[\d-]+)\)\s+)?\[\d+\]\s+\S+\s+"
    r"(?P<s>\d{1,11})\.(?P<us>\d{6}): signal_generate: sig=(?P<signal>\d{1,3}) errno=-?\d+ "
    r"code=(?P<code>-?\d{1,9}) comm=.* pid=(?P<target>\d{1,10}) grp=\d+ res=(?P<result>\d+)"
)
_ABORT, _TKILL = 6, -6
"""`abort` sends the one signal to its own thread with the other code: tgkill(2), sigaction(2)."""
_NAMELESS = "<...>"


class SignalTrace:
    """Owner of the trace. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[int] = set()
        self._instance: TraceInstance | None = None

    def watch(self, pid: int) -> None:
        """Raises Blind when we are not told."""
        with self._lock:
            instance = self._instance or TraceInstance(EVENT)
            try:
                instance.only(condition(self._watched | {pid}))
            except Blind:
                if not self._watched:
                    instance.close()
                    self._instance = None
                raise
            self._instance = instance
            self._watched.add(pid)

    def seen(self, pid: int, since_ms: int) -> tuple[SignalSeen, ...]:
        """Signals sent to it since then (UTC), oldest first, at most the last 20. Raises Blind."""
        with self._lock:
            if self._instance is None or pid not in self._watched:
                raise Blind("signals to this process were not traced")
            text = self._instance.text()
        offset_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
        found = parse_trace(text, pid, offset_ms)
        return tuple(_named(one) for one in found if one.at_ms >= since_ms)[-MOST_SIGNALS:]

    def forget(self, pid: int) -> None:
        """After the last one nothing is traced, and nothing of ours is left in the kernel."""
        with self._lock:
            self._watched.discard(pid)
            if self._instance is None:
                return
            if self._watched:
                self._instance.only(condition(self._watched))
            else:
                self._instance.close()
                self._instance = None

    def close(self) -> None:
        with self._lock:
            self._watched.clear()
            if self._instance is not None:
                self._instance.close()
                self._instance = None


def condition(watched: Iterable[int]) -> str:
    """For the kernel's event filter; "" for nobody.

    A fault, and `abort`, go to the thread that made them, whose number we cannot know before, nor its name:
    threads take names of their own. So those of all processes are traced, and told apart when they are read;
    they are rare.
    """
    processes = "||".join(f"pid=={pid}" for pid in sorted(watched))
    if not processes:
        return ""
    signals = "||".join(f"sig=={number}" for number in SIGNALS)
    return f"({signals})&&({processes}||code>0||(sig=={_ABORT}&&code=={_TKILL}))"


def parse_trace(text: str, pid: int, offset_ms: int) -> list[SignalSeen]:
    """Signals to `pid`, and of its threads to themselves, from the text of a trace.

    Its clock is CLOCK_MONOTONIC; `offset_ms` leads from that to UTC. A positive `code` means that the kernel
    itself sent it (128: SI_KERNEL, as for out of memory; small numbers: a fault of the program's own); see
    sigaction(2).
    """
    found: list[SignalSeen] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        process = match["process"] or ""
        to_itself = match["target"] == match["thread"] and process == str(pid)
        if int(match["target"]) != pid and not to_itself:
            continue
        found.append(
            SignalSeen(
                at_ms=int(match["s"]) * 1000 + int(match["us"]) // 1000 + offset_ms,
                signal=int(match["signal"]),
                sender_pid=int(process if process.isdecimal() else match["thread"]),
                sender_comm="" if match["comm"] == _NAMELESS else match["comm"].strip(),
                from_kernel=int(match["code"]) > 0,
            )
        )
    return found


def _named(seen: SignalSeen) -> SignalSeen:
    """The trace forgets names under load; a sender that still lives can be asked."""
    if seen.sender_comm:
        return seen
    try:
        comm = Path(f"/proc/{seen.sender_pid}/comm").read_text(errors="replace").strip()
    except OSError:
        comm = "unknown"
    return SignalSeen(
        at_ms=seen.at_ms,
        signal=seen.signal,
        sender_pid=seen.sender_pid,
        sender_comm=comm,
        from_kernel=seen.from_kernel,
    )
