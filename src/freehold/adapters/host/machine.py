"""Looks at the machine itself: memory, cgroup, limits, clock, kernel. Linux first; elsewhere less is seen."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
import time
from pathlib import Path

import psutil

from freehold.adapters.host.facts import CgroupFacts, ClockFacts, KernelFacts, LimitFacts, MemoryFacts

UNLIMITED_V1 = 1 << 62
"""cgroup v1 writes "no limit" as the largest page-aligned number; no machine has half of it."""

_ADJTIMEX_BYTES = 1024
_TIME_ERROR = 5


def memory() -> MemoryFacts:
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    return MemoryFacts(total=ram.total, available=ram.available, swap_total=swap.total, swap_used=swap.used)


def cgroup(root: Path = Path("/")) -> CgroupFacts:
    """Which cgroup version accounts for memory, and the tightest memory limit from us up to the root."""
    lines = [line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines()]
    paths = {controllers: path for _, controllers, path in (line for line in lines if len(line) == 3)}
    mount = root / "sys/fs/cgroup"
    if (mount / "cgroup.controllers").exists():
        return CgroupFacts(version=2, memory_limit=_tightest(mount, paths.get("", "/"), "memory.max"))
    if "memory" in paths:
        limit = _tightest(mount / "memory", paths["memory"], "memory.limit_in_bytes")
        return CgroupFacts(version=1, memory_limit=limit)
    return CgroupFacts(version=0)


def _tightest(mount: Path, group: str, name: str) -> int | None:
    """In a container the group's path may lie outside of what is mounted: then only the top is read."""
    limits: list[int] = []
    folder = mount / group.strip("/")
    while folder == mount or mount in folder.parents:
        said = _text(folder / name).strip()
        if said.isdigit() and int(said) < UNLIMITED_V1:
            limits.append(int(said))
        folder = folder.parent
    return min(limits, default=None)


def limits() -> LimitFacts:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LimitFacts(
        open_files=_limit(soft),
        open_files_hard=_limit(hard),
        core_bytes=_limit(resource.getrlimit(resource.RLIMIT_CORE)[0]),
    )


def _limit(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def clock() -> ClockFacts:
    """Our clock beside the newest thing that must be older: this program's own files."""
    newest = max(int(path.stat().st_mtime * 1000) for path in Path(__file__).parent.glob("*.py"))
    return ClockFacts(
        now_ms=time.time_ns() // 1_000_000, newest_file_ms=newest, synchronized=_clock_is_synchronized()
    )


def _clock_is_synchronized() -> bool | None:
    """The kernel's word for it: adjtimex(2) with nothing to change returns TIME_ERROR when it is not."""
    if not sys.platform.startswith("linux"):
        return None
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


def kernel(root: Path = Path("/")) -> KernelFacts:
    overcommit = _text(root / "proc/sys/vm/overcommit_memory").strip()
    log = root / "dev/kmsg"
    return KernelFacts(
        system=platform.system(),
        release=platform.release(),
        overcommit=int(overcommit) if overcommit.isdigit() else None,
        can_read_log=os.access(log, os.R_OK) if log.exists() else None,
        pressure=(root / "proc/pressure/memory").exists(),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
