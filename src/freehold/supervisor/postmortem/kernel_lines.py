"""What the kernel's log says about deaths: out-of-memory kills, faults, GPU errors. Pure.

Formats as printed by mm/oom_kill.c, arch/x86 (`segfault at`, `traps:`), kernel/time/posix-cpu-timers.c,
mm/memory-failure.c, and the NVIDIA and AMD drivers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from freehold.core.deaths import KernelLine

_KILLED = re.compile(
    r"(?P<group>Memory cgroup out of memory|Out of memory)[^:]*: Kill(?:ed)? process (?P<pid>\d+) "
    r"\((?P<comm>[^)]*)\)(?:.*?anon-rss:(?P<anon>\d+)kB)?",
    re.IGNORECASE,
)
_OOM_KILL = re.compile(
    r"oom-kill:constraint=(?P<constraint>\w+).*?(?:task_memcg=(?P<memcg>[^,]*),)?"
    r"task=(?P<comm>[^,]*),pid=(?P<pid>\d+)"
)
_INVOKED = re.compile(r"^(?P<comm>.{1,16}) invoked oom-killer")
_SEGFAULT = re.compile(
    r"(?P<comm>\S.{0,15})\[(?P<pid>\d+)\]:? segfault at (?P<address>\w+) ip (?P<ip>\w+)"
    r"(?:.*? in (?P<library>[^\[\s]+)\[)?"
)
_TRAP = re.compile(
    r"traps: (?P<comm>.{1,16})\[(?P<pid>\d+)\] (?:trap )?(?P<trap>invalid opcode|divide error|"
    r"general protection(?: fault)?|int3|stack segment)(?:.*? in (?P<library>[^\[\s]+)\[)?"
)
_XID = re.compile(
    r"NVRM: Xid \((?P<device>[^)]*)\): (?P<number>\d+)(?:, pid='?(?P<pid>\d+|<unknown>)'?)?"
    r"(?:, name=(?P<comm>[^,]*))?(?:, (?P<text>.*))?"
)
_GPU_HANG = re.compile(
    r"(?P<device>amdgpu|radeon|i915|xe)\b.*?(?P<text>ring \S+ timeout.*|GPU reset begin.*|GPU HANG.*|"
    r"device lost.*|VM fault.*|page fault.*|Engine reset.*|wedged.*)",
    re.IGNORECASE,
)
_AMD_PROCESS = re.compile(r"amdgpu.*process (?P<comm>\S+) pid (?P<pid>\d+)", re.IGNORECASE)
_CPU_LIMIT = re.compile(r"CPU Watchdog Timeout \((?P<kind>hard|soft)\): (?P<comm>.*?)\[(?P<pid>\d+)\]")
_BAD_MEMORY = re.compile(r"Killing (?P<comm>.*?):(?P<pid>\d+) due to hardware memory corruption")

XID_WORDS = {
    8: "the GPU stopped working on its commands",
    13: "an exception inside a GPU program",
    31: "a GPU program touched memory that is not its own",
    32: "an invalid command stream",
    43: "the GPU stopped working on this program",
    45: "the driver ended this program's work",
    48: "a memory error that cannot be corrected",
    61: "the GPU's own firmware broke down",
    62: "the GPU's own firmware broke down",
    63: "a bad memory row was retired",
    64: "a bad memory row could not be retired",
    69: "an error in the graphics engine",
    74: "an error of the link between GPUs",
    79: "the GPU has fallen off the bus",
    92: "many memory errors that could be corrected",
    94: "a memory error, contained",
    95: "a memory error, not contained",
    109: "a context switch took too long",
    119: "the GPU's own processor does not answer",
    120: "the GPU's own processor broke down",
    140: "a memory error that cannot be corrected",
    154: "the GPU must be reset",
}
"""NVIDIA's list of Xid errors, as far as a person with a dead model server needs it."""
_PROGRAM_XIDS = frozenset({13, 31, 32, 43, 45, 69})
"""Mostly caused by the program, not by the hardware."""


class OomKill(msgspec.Struct, frozen=True, kw_only=True):
    """One process ended by the kernel's out-of-memory killer."""

    pid: int
    comm: str
    in_cgroup: bool
    """A memory cgroup was full; False: the machine was."""
    anon_bytes: int | None
    line: KernelLine


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A program's fault that the kernel noted. `pid` is the thread's."""

    pid: int
    comm: str
    what: str
    """`segfault`, `invalid opcode`, `divide error`, `general protection`, `cpu limit`, `bad memory`."""
    library: str
    line: KernelLine


class GpuError(msgspec.Struct, frozen=True, kw_only=True):
    """What a GPU driver complained of."""

    pid: int | None
    comm: str
    xid: int | None
    words: str
    by_program: bool
    """Most often a bug of the program rather than of driver or hardware."""
    line: KernelLine


def oom_kills(lines: Sequence[KernelLine]) -> tuple[OomKill, ...]:
    """All kills, one for each process. The two lines that the kernel prints for a kill are joined."""
    found: dict[int, OomKill] = {}
    for line in lines:
        if match := _OOM_KILL.search(line.text):
            in_cgroup = match["constraint"] == "CONSTRAINT_MEMCG"
            anon = None
        elif match := _KILLED.search(line.text):
            in_cgroup = match["group"].lower().startswith("memory cgroup")
            anon = int(match["anon"]) * 1024 if match["anon"] else None
        else:
            continue
        pid = _number(match["pid"])
        if pid is None:
            continue
        before = found.get(pid)
        found[pid] = OomKill(
            pid=pid,
            comm=match["comm"],
            in_cgroup=in_cgroup or (before is not None and before.in_cgroup),
            anon_bytes=anon if anon is not None else before.anon_bytes if before else None,
            line=line if anon is not None or before is None else before.line,
        )
    return tuple(found.values())


def oom_invoked(lines: Sequence[KernelLine]) -> bool:
    """Whether the out-of-memory killer ran at all."""
    return any(_INVOKED.search(line.text) or "invoked oom-killer" in line.text for line in lines)


def faults(lines: Sequence[KernelLine]) -> tuple[Fault, ...]:
    """Segmentation faults, traps, limits and bad memory, in the order of the log."""
    found: list[Fault] = []
    for line in lines:
        what, library = "", ""
        if match := _SEGFAULT.search(line.text):
            what, library = "segfault", match["library"] or ""
        elif match := _TRAP.search(line.text):
            what, library = match["trap"].removesuffix(" fault"), match["library"] or ""
        elif match := _CPU_LIMIT.search(line.text):
            what = "cpu limit"
        elif match := _BAD_MEMORY.search(line.text):
            what = "bad memory"
        if match and (pid := _number(match["pid"])) is not None:
            found.append(Fault(pid=pid, comm=match["comm"].strip(), what=what, library=library, line=line))
    return tuple(found)


def gpu_errors(lines: Sequence[KernelLine]) -> tuple[GpuError, ...]:
    """Xids of NVIDIA's driver, time-outs and resets of the others', in the order of the log."""
    found: list[GpuError] = []
    for line in lines:
        if match := _XID.search(line.text):
            number = _number(match["number"])
            words = XID_WORDS.get(number or -1, (match["text"] or "").strip()[:120])
            found.append(
                GpuError(
                    pid=_number(match["pid"]),
                    comm=(match["comm"] or "").strip(),
                    xid=number,
                    words=words or "an error of the driver",
                    by_program=number in _PROGRAM_XIDS,
                    line=line,
                )
            )
        elif match := _AMD_PROCESS.search(line.text):
            comm, pid = match["comm"], _number(match["pid"])
            found.append(_gpu_hang(line, "its work hung the GPU", pid, comm))
        elif match := _GPU_HANG.search(line.text):
            found.append(_gpu_hang(line, match["text"][:120]))
    return tuple(found)


def _gpu_hang(line: KernelLine, words: str, pid: int | None = None, comm: str = "") -> GpuError:
    return GpuError(pid=pid, comm=comm, xid=None, words=words, by_program=False, line=line)


def _number(digits: str | None) -> int | None:
    """A decimal number of a size that can be a pid or code; None for anything else."""
    return int(digits) if digits and digits.isascii() and digits.isdigit() and len(digits) < 16 else None
