"""How much RAM may still be used: by the kernel's count, and by the memory cgroups that we run in.

Linux says both in files below `root`; elsewhere psutil is asked, and there are no cgroups.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from freehold.adapters.host.machine import UNLIMITED_V1

KIB = 1024


class Ram(msgspec.Struct, frozen=True):
    """Bytes. `free` counts what the kernel can take back at once (clean file pages)."""

    total: int
    free: int


class _Files(msgspec.Struct, frozen=True):
    """What a version of cgroups calls its files."""

    limits: tuple[str, ...]
    usage: str
    file_pages: tuple[str, ...]
    """Lines of memory.stat: pages of files, on the kernel's lists of what it may drop."""


_V2 = _Files(("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file"))
_V1 = _Files(
    ("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
)


def ram(root: Path = Path("/")) -> Ram:
    """Total and free now; inside a cgroup with a limit, no more than the tightest one leaves."""
    whole = _machine(root)
    total, free = whole.total, whole.free
    for group in cgroup_rooms(root):
        total, free = min(total, group.total), min(free, group.free)
    return Ram(total, max(0, free))


def cgroup_rooms(root: Path) -> Iterator[Ram]:
    """For each limit above us, what it is and what it leaves.

    In a container the group's path may lie outside of what is mounted: then only the top is read.
    """
    lines = [line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines()]
    paths = {controllers: path for _, controllers, path in (line for line in lines if len(line) == 3)}
    mount = root / "sys/fs/cgroup"
    if (mount / "cgroup.controllers").exists():
        yield from _rooms(mount, paths.get("", "/"), _V2)
    elif "memory" in paths:
        yield from _rooms(mount / "memory", paths["memory"], _V1)


def _rooms(mount: Path, group: str, files: _Files) -> Iterator[Ram]:
    folder = mount / group.strip("/")
    while folder == mount or mount in folder.parents:
        said = [_number(folder / name) for name in files.limits]
        limits = [limit for limit in said if limit is not None and limit < UNLIMITED_V1]
        usage = _number(folder / files.usage)
        if limits and usage is not None:
            counts = _table(folder / "memory.stat", " ")
            held = max(0, usage - sum(counts.get(name, 0) for name in files.file_pages))
            yield Ram(min(limits), max(0, min(limits) - held))
        folder = folder.parent


def _machine(root: Path) -> Ram:
    lines = _table(root / "proc/meminfo", ":")
    if "MemTotal" in lines and "MemAvailable" in lines:
        return Ram(lines["MemTotal"] * KIB, lines["MemAvailable"] * KIB)
    said = psutil.virtual_memory()
    return Ram(said.total, said.available)


def _table(path: Path, mark: str) -> dict[str, int]:
    """Lines `NAME mark NUMBER ...` of a file; lines of another shape are left out."""
    found: dict[str, int] = {}
    for line in _text(path).splitlines():
        name, _, rest = line.partition(mark)
        number = rest.split()
        if number and number[0].isdigit():
            found[name] = int(number[0])
    return found


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
