"""Memory cgroups as files: which one a process lives in, and what its counters say, v1 and v2.

Making cgroups is in `cages`. Formats: cgroups(7), the kernel's cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from freehold.adapters.host.blind import Blind
from freehold.core.deaths import CgroupDelta

UNLIMITED_V1 = 1 << 62
"""v1 writes "no limit" as the largest page-aligned number; no machine has half of it."""

V2_FILES = ("memory.events", "memory.peak", "memory.max")
V1_FILES = ("memory.oom_control", "memory.failcnt", "memory.max_usage_in_bytes", "memory.limit_in_bytes")


class Mount(msgspec.Struct, frozen=True):
    """Where the memory controller is mounted."""

    point: Path
    version: int
    """1 or 2."""
    top: str = "/"
    """The cgroup that `point` shows; another than "/" in some containers."""


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Of one cgroup at one moment. Counts go up only."""

    oom: int = 0
    oom_kill: int = 0
    at_limit: int = 0
    above_high: int = 0
    peak_bytes: int | None = None
    limit_bytes: int | None = None


def memory_mount(mountinfo: str) -> Mount | None:
    """From the text of /proc/self/mountinfo. v1 wins where both are mounted: then v2 has no memory control.

    Fields: number, parent, device, root, mount point, options..., "-", type, source, super options. A later
    mount over the same point hides the earlier one.
    """
    unified: Mount | None = None
    legacy: Mount | None = None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not dash or len(fields) < 5 or len(rest) < 3:
            continue
        if rest[0] == "cgroup2":
            unified = Mount(Path(fields[4]), 2, fields[3])
        elif rest[0] == "cgroup" and "memory" in rest[2].split(","):
            legacy = Mount(Path(fields[4]), 1, fields[3])
    return legacy or unified


def group_of(cgroup: str, version: int) -> str | None:
    """The memory cgroup of a process, from the text of /proc/PID/cgroup (`number:controllers:path`)."""
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (version == 2 and number == "0" and not controllers) or (
            version == 1 and "memory" in controllers.split(",")
        ):
            return path.removesuffix(" (deleted)")
    return None


def folder_of(mount: Mount, group: str) -> Path:
    """Where the files of a group lie. Of a group outside of what is mounted: the top of the mount."""
    if mount.top != "/":
        if group != mount.top and not group.startswith(mount.top + "/"):
            return mount.point
        group = group.removeprefix(mount.top)
    folder = mount.point / group.strip("/")
    return mount.point if ".." in folder.parts else folder


def find_mount() -> Mount:
    """Raises Blind where no memory controller is mounted."""
    try:
        found = memory_mount(Path("/proc/self/mountinfo").read_text(errors="replace"))
    except OSError as error:
        raise Blind("this system has no cgroups") from error
    if found is None:
        raise Blind("no memory cgroups are mounted; mount cgroup2 at /sys/fs/cgroup")
    return found


def folder_of_process(pid: int | str, mount: Mount) -> Path:
    """Raises Blind when the process is gone or in no memory cgroup."""
    try:
        group = group_of(Path(f"/proc/{pid}/cgroup").read_text(errors="replace"), mount.version)
    except OSError as error:
        raise Blind("the process left before its cgroup was read") from error
    if group is None:
        raise Blind("the process is in no memory cgroup")
    folder = folder_of(mount, group)
    return folder if folder.is_dir() else mount.point


def read_counters(folder: Path, version: int) -> Counters:
    """Raises Blind when the group is gone or counts nothing (the root group)."""
    texts: dict[str, str] = {}
    for name in V2_FILES if version == 2 else V1_FILES:
        try:
            texts[name] = (folder / name).read_text(errors="replace")
        except OSError:
            continue
    if not texts:
        raise Blind("its memory cgroup is gone or counts nothing; give it one of its own (Delegate=yes)")
    return parse_v2(texts) if version == 2 else parse_v1(texts)


def parse_v2(texts: Mapping[str, str]) -> Counters:
    """`oom_kill` counts processes of the group that any out-of-memory killer ended; `oom` counts how often
    the group's own limit could not be kept. A kill without an `oom` came from above: another limit, or the
    whole machine.
    """
    events = keyed(texts.get("memory.events", ""))
    return Counters(
        oom=events.get("oom", 0),
        oom_kill=events.get("oom_kill", 0),
        at_limit=events.get("max", 0),
        above_high=events.get("high", 0),
        peak_bytes=_number(texts.get("memory.peak", "")),
        limit_bytes=_number(texts.get("memory.max", "")),
    )


def parse_v1(texts: Mapping[str, str]) -> Counters:
    """v1 does not count `oom`: a kill after usage met the limit is the group's own."""
    limit = _number(texts.get("memory.limit_in_bytes", ""))
    return Counters(
        oom_kill=keyed(texts.get("memory.oom_control", "")).get("oom_kill", 0),
        at_limit=_number(texts.get("memory.failcnt", "")) or 0,
        peak_bytes=_number(texts.get("memory.max_usage_in_bytes", "")),
        limit_bytes=None if limit is None or limit >= UNLIMITED_V1 else limit,
    )


def keyed(text: str) -> dict[str, int]:
    """Lines of `name number`, as memory.events and memory.oom_control have them."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def difference(before: Counters, now: Counters, *, path: str, shared: bool) -> CgroupDelta:
    """What happened between two readings. A group that was made anew in between counts from zero."""
    anew = now.at_limit < before.at_limit or now.oom_kill < before.oom_kill
    start = Counters() if anew else before
    return CgroupDelta(
        path=path,
        oom=max(0, now.oom - start.oom),
        oom_kill=now.oom_kill - start.oom_kill,
        at_limit=now.at_limit - start.at_limit,
        above_high=max(0, now.above_high - start.above_high),
        peak_bytes=now.peak_bytes,
        limit_bytes=now.limit_bytes,
        shared=shared,
    )


def _number(text: str) -> int | None:
    """None for "max" and for nothing."""
    word = text.strip()
    return int(word) if word.isdecimal() else None
