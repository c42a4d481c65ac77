"""The machine under measurement: its description, pinned processes, and what they use of it.

Knows nothing of gateways or calls. Linux only (CPU affinity, /proc).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.native import Unusable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def two_cores() -> tuple[int, int]:
    """(core of the gateway, core of load and upstream). Raises `Unusable` when there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        raise Unusable("The gateway benchmark pins processes to cores and reads /proc: it needs Linux.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Unusable(
            "The gateway benchmark needs two cores: one for the gateway, one for load and upstream."
        )
    return cores[0], cores[1]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def busy_s(core: int) -> float:
    """Seconds that a core has worked since the machine started, for whomever; steps of 10 ms."""
    t = psutil.cpu_times(percpu=True)[core]
    return float(t.user + t.nice + t.system + t.irq + t.softirq)


def describe() -> str:
    """CPU, cores, memory, kernel, Python: enough to read the figures, nothing that names the machine."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(
        (line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown CPU"
    )
    memory_gb = psutil.virtual_memory().total / 2**30
    kernel = ".".join(platform.release().split("-")[0].split(".")[:3])
    return (
        f"{cpu} ({platform.machine()}), {os.cpu_count()} cores, {memory_gb:.0f} GB, "
        f"Linux {kernel}, Python {platform.python_version()}"
    )


def _settle(core: int, realtime: bool) -> Callable[[], None]:
    def in_child() -> None:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # lets nginx end its workers
        os.sched_setaffinity(0, {core})
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    return in_child


class Pinned:
    """A program on one core, with everything it starts; ends with its parent at the latest."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        core: int,
        *,
        realtime: bool = False,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.log = log
        out = log.open("wb") if log else subprocess.DEVNULL
        self.popen = subprocess.Popen(
            [str(a) for a in argv],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=_settle(core, realtime),  # noqa: PLW1509  (this process has one thread)
        )
        if not isinstance(out, int):
            out.close()

    def last_lines(self, count: int = 5) -> str:
        text = self.log.read_text(errors="replace") if self.log and self.log.exists() else ""
        return "\n".join(text.splitlines()[-count:])

    def stop(self, patience_s: float = 10.0) -> None:
        """SIGTERM to the group, then SIGKILL to what is left of it."""
        for sig, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
            if self.popen.poll() is None:
                os.killpg(self.popen.pid, sig)
                try:
                    self.popen.wait(wait_s)
                except subprocess.TimeoutExpired:
                    continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)


class Usage:
    """What a process tree has used."""

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)

    def _tree(self) -> list[psutil.Process]:
        return [self.root, *self.root.children(recursive=True)]

    def cpu_s(self) -> float:
        """User and system seconds of the tree so far, ended and reaped children included; steps of 10 ms."""
        total = 0.0
        for process in self._tree():
            try:
                t = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += t.user + t.system + t.children_user + t.children_system
        return total

    def await_quiet(self, patience_s: float = 5.0) -> None:
        """Returns once the tree works less than 4 % of a core: what a start leaves to do is done."""
        until, before = time.monotonic() + patience_s, self.cpu_s()
        while time.monotonic() < until:
            time.sleep(0.5)
            now = self.cpu_s()
            if now - before <= 0.02:
                return
            before = now

    def rss_mb(self) -> float:
        """Resident memory of the tree in MB (10**6); pages shared in it count once per process."""
        total = 0
        for process in self._tree():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 1e6
