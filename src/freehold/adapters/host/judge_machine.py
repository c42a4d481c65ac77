"""Judges the machine: memory, cgroup, storage, limits, clock, kernel, permissions. Pure."""

from __future__ import annotations

from freehold.adapters.host.facts import AccessFact, DiskFact, HostFacts
from freehold.adapters.host.findings import Finding, Level

GIB = 1 << 30
MIB = 1 << 20

LOW_MEMORY = 2 * GIB
LARGE_JOURNAL = 4 * GIB
STATE_FREE = (GIB, 5 * GIB)
"""Below the first nothing may be written soon (fail), below the second it is time to act (warn)."""
MODELS_FREE = 20 * GIB
"""Room for one more middling model."""
FEW_FILES = 4096
"""A call holds two connections, a model server's log two pipes; 1024 is reached by a busy afternoon."""
DAY_MS = 86_400_000

_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "fuse.glusterfs")
_GONE_AT_RESTART = ("tmpfs", "ramfs")


def memory(facts: HostFacts) -> list[Finding]:
    seen = facts.memory
    if seen is None:
        return []
    low = seen.available < LOW_MEMORY
    found = [
        Finding(
            level="warn" if low else "ok",
            area="memory",
            title=f"{_size(seen.available)} of {_size(seen.total)} available",
            advice="Models larger than this will not load: close programs or use smaller models."
            if low
            else "",
        )
    ]
    if not seen.swap_total:
        found.append(
            Finding(
                level="info",
                area="memory",
                title="No swap",
                detail="A short peak ends with the kernel killing the largest process: the model server.",
                advice="A few GiB of swap (or zram) turn a kill into a slow minute.",
            )
        )
    elif seen.swap_used > seen.swap_total // 2:
        found.append(
            Finding(
                level="warn",
                area="memory",
                title=f"{_size(seen.swap_used)} of {_size(seen.swap_total)} swap in use",
                detail="Models that are swapped out answer at the speed of the disk.",
                advice="Find what grew (`ps aux --sort=-rss | head`), or load fewer models at once.",
            )
        )
    return found


def cgroup(facts: HostFacts) -> list[Finding]:
    seen = facts.cgroup
    if seen is None or facts.kernel is None or facts.kernel.system != "Linux":
        return []
    found: list[Finding] = []
    if seen.version == 2:
        found.append(Finding(level="ok", area="cgroup", title="cgroup v2"))
    else:
        found.append(
            Finding(
                level="info",
                area="cgroup",
                title=f"cgroup v{seen.version}" if seen.version else "No memory cgroup",
                detail="Freehold learns less about why a model server died.",
                advice="Boot with `systemd.unified_cgroup_hierarchy=1` (any distribution since 2021 can).",
            )
        )
    total = facts.memory.total if facts.memory else None
    if seen.memory_limit is not None and (total is None or seen.memory_limit < total):
        found.append(
            Finding(
                level="info",
                area="cgroup",
                title=f"Memory is limited to {_size(seen.memory_limit)} here",
                detail="Freehold and the model servers it starts share this; above it the kernel kills.",
                advice="Raise it where it was set (`docker run --memory`, `MemoryMax=` of the unit).",
            )
        )
    return found


def disks(facts: HostFacts) -> list[Finding]:
    return [finding for disk in facts.disks for finding in _disk(disk)]


def _disk(disk: DiskFact) -> list[Finding]:
    where = ", ".join(part for part in (disk.path, disk.kind, disk.device) if part)
    troubles = _state_troubles(disk) if disk.purpose == "state" else _models_troubles(disk)
    if troubles:
        return [
            Finding(level=level, area="disk", title=title, detail=where, advice=advice)
            for level, title, advice in troubles
        ]
    what = "Freehold's state" if disk.purpose == "state" else "models"
    kind = {True: ", spins", False: ", solid state", None: ""}[disk.rotational]
    title = f"{_size(disk.free)} of {_size(disk.total)} free for {what}{kind}"
    return [Finding(level="ok", area="disk", title=title, detail=where)]


def _state_troubles(disk: DiskFact) -> list[tuple[Level, str, str]]:
    """Level, title and advice of what is wrong with the disk that receipts are written to."""
    found: list[tuple[Level, str, str]] = []
    if disk.free < STATE_FREE[1]:
        level: Level = "fail" if disk.free < STATE_FREE[0] else "warn"
        title = f"Only {_size(disk.free)} free for Freehold's state"
        found.append((level, title, "Make room: every call's receipt must be written there."))
    if disk.kind in _REMOTE:
        advice = "Set FREEHOLD_HOME to a local disk: file locks and fsync do not hold on this one."
        found.append(("warn", "Freehold's state is on a network file system", advice))
    if disk.kind in _GONE_AT_RESTART:
        advice = "Set FREEHOLD_HOME to a disk."
        found.append(("warn", "Freehold's state is in memory and gone at a restart", advice))
    if disk.rotational:
        advice = "Set FREEHOLD_HOME to an SSD: receipts wait for the disk."
        found.append(("warn", "Freehold's state is on a disk that spins", advice))
    return found


def _models_troubles(disk: DiskFact) -> list[tuple[Level, str, str]]:
    found: list[tuple[Level, str, str]] = []
    if disk.free < MODELS_FREE:
        advice = "Delete models that you do not use, or move the folder."
        found.append(("warn", f"Only {_size(disk.free)} free for models", advice))
    if disk.rotational:
        advice = "Move them to an SSD: 20 GB load in minutes here, in seconds there."
        found.append(("warn", "Models are on a disk that spins", advice))
    return found


def journal(facts: HostFacts) -> list[Finding]:
    seen = facts.journal
    if seen is None:
        return []
    if not seen.persistent:
        return [
            Finding(
                level="info",
                area="journal",
                title="The system's journal is lost at a restart",
                detail="After a crash of the whole machine nothing says why.",
                advice="Run `sudo mkdir -p /var/log/journal && sudo systemctl restart systemd-journald`.",
            )
        ]
    if seen.size > LARGE_JOURNAL:
        return [
            Finding(
                level="warn",
                area="journal",
                title=f"The system's journal takes {_size(seen.size)}",
                advice="Run `sudo journalctl --vacuum-size=1G`; set `SystemMaxUse=1G` in journald.conf.",
            )
        ]
    return [Finding(level="ok", area="journal", title=f"{_size(seen.size)}, kept over restarts")]


def limits(facts: HostFacts) -> list[Finding]:
    seen = facts.limits
    if seen is None:
        return []
    found: list[Finding] = []
    if seen.open_files is not None and seen.open_files < FEW_FILES:
        hard = "unlimited" if seen.open_files_hard is None else str(seen.open_files_hard)
        found.append(
            Finding(
                level="warn",
                area="limits",
                title=f"At most {seen.open_files} open files",
                detail=f"Each call holds two connections. The hard limit is {hard}.",
                advice="Run `ulimit -n 65536` before `freehold up`, or set `LimitNOFILE=65536` in its unit.",
            )
        )
    else:
        files = "no limit" if seen.open_files is None else str(seen.open_files)
        found.append(Finding(level="ok", area="limits", title=f"Open files: {files}"))
    if seen.core_bytes == 0:
        found.append(
            Finding(
                level="info",
                area="limits",
                title="Crashes leave no core file",
                advice="If an engine crashes and you must know why, run `ulimit -c unlimited` first.",
            )
        )
    return found


def clock(facts: HostFacts) -> list[Finding]:
    seen = facts.clock
    if seen is None:
        return []
    if seen.now_ms < seen.newest_file_ms - DAY_MS:
        days = (seen.newest_file_ms - seen.now_ms) // DAY_MS
        return [
            Finding(
                level="fail",
                area="clock",
                title=f"The clock is at least {days} days behind",
                detail="It is earlier than Freehold's own files. Certificates fail, receipts lie.",
                advice="Run `sudo timedatectl set-ntp true`, and look at the battery of the mainboard.",
            )
        ]
    if seen.synchronized is False:
        return [
            Finding(
                level="warn",
                area="clock",
                title="The clock is not synchronized",
                detail="Receipts carry its time, and prices depend on it.",
                advice="Run `sudo timedatectl set-ntp true` (virtual machines: the host's setting).",
            )
        ]
    how = "synchronized" if seen.synchronized else "plausible; whether it is synchronized is not known"
    return [Finding(level="ok", area="clock", title=f"The clock is {how}")]


def kernel(facts: HostFacts) -> list[Finding]:
    seen = facts.kernel
    if seen is None:
        return []
    found: list[Finding] = []
    if seen.system != "Linux":
        found.append(
            Finding(
                level="info",
                area="kernel",
                title=f"{seen.system} {seen.release}",
                detail="Why a model server died is known better on Linux.",
            )
        )
        return found
    if seen.overcommit == 2:
        found.append(
            Finding(
                level="warn",
                area="kernel",
                title="vm.overcommit_memory is 2",
                detail="Engines reserve more than they use; large models fail to load beside free memory.",
                advice="Run `sudo sysctl vm.overcommit_memory=0`.",
            )
        )
    if seen.can_read_log is False:
        found.append(
            Finding(
                level="info",
                area="kernel",
                title="The kernel's log cannot be read by this user",
                detail="Freehold then guesses whether the kernel killed a model server.",
                advice="Run `sudo sysctl kernel.dmesg_restrict=0`, or join the group `adm`.",
            )
        )
    pressure = "with" if seen.pressure else "without"
    found.append(
        Finding(level="ok", area="kernel", title=f"Linux {seen.release}, {pressure} pressure figures")
    )
    return found


def access(facts: HostFacts) -> list[Finding]:
    found = [finding for each in facts.access if (finding := _access(each)) is not None]
    if facts.access and not found:
        state = facts.access[0]
        title = "will be made at the first start" if state.mode is None else "belongs to us alone"
        found.append(Finding(level="ok", area="access", title=f"The state folder {title}", detail=state.path))
    return found


def _access(each: AccessFact) -> Finding | None:
    if not each.writable and not each.secret:
        return Finding(
            level="fail",
            area="access",
            title="The state folder cannot be written",
            detail=each.path,
            advice="Give it to the user that runs Freehold (`sudo chown -R $USER`), or set FREEHOLD_HOME.",
        )
    if each.mode is None:
        return None
    if each.secret and each.mode & 0o077:
        return Finding(
            level="fail",
            area="access",
            title="Others can read a signing key",
            detail=f"{each.path}, mode {each.mode:o}",
            advice=f"Run `chmod go= {each.path}`, then make a new key: this one may be known.",
        )
    if not each.ours:
        return Finding(
            level="warn",
            area="access",
            title="Another user owns a part of the state",
            detail=each.path,
            advice=f"Run `sudo chown $USER {each.path}`.",
        )
    if each.mode & 0o027:
        return Finding(
            level="warn",
            area="access",
            title="Others can look into the state folder",
            detail=f"{each.path}, mode {each.mode:o}: receipts say who asked what, when.",
            advice=f"Run `chmod 700 {each.path}`.",
        )
    return None


def _size(amount: int) -> str:
    return f"{amount / GIB:.1f} GiB" if amount >= GIB else f"{amount // MIB} MiB"
