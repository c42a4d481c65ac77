"""A process and its descendants: who they are, and the processor time that they have used."""

from __future__ import annotations

from pathlib import Path

import psutil

_PROC = Path("/proc")


def family(pid: int) -> frozenset[int]:
    """The process and all that descend from it. On Linux a few small files are read; elsewhere the whole
    table of processes."""
    if not _PROC.joinpath("self", "task").is_dir():
        return _family_by_table(pid)
    found, more = {pid}, [pid]
    while more:
        children = _children(more.pop()) - found
        found |= children
        more.extend(children)
    return frozenset(found)


def cpu_s(pids: frozenset[int]) -> float | None:
    """Processor seconds that they have used together; None when none of them can be seen."""
    total, seen = 0.0, False
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        seen = True
        total += times.user + times.system
    return total if seen else None


def _children(pid: int) -> set[int]:
    """As each thread of the process has made them (proc(5), `children`)."""
    found: set[int] = set()
    try:
        for thread in _PROC.joinpath(str(pid), "task").iterdir():
            found.update(map(int, (thread / "children").read_text().split()))
    except OSError:
        pass  # it has ended, or is not ours to see
    return found


def _family_by_table(pid: int) -> frozenset[int]:
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        children = []
    return frozenset({pid, *(child.pid for child in children)})
