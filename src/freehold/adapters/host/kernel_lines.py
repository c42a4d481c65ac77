"""Lines of the kernel's log as values, and which of them may concern a model server. Pure.

What a line means for a death is decided in `supervisor.postmortem`; reading the log is `kernel_log`'s.
Formats: Documentation/ABI/testing/dev-kmsg, syslog(2), and the messages of mm/oom_kill.c, the fault handlers,
the NVIDIA, amdgpu, i915 and xe drivers, mce, EDAC, thermal, suspend.
"""

from __future__ import annotations

import re

import msgspec

from freehold.core.deaths import KernelLine


class Stamped(msgspec.Struct, frozen=True):
    """A line with the kernel's own time: microseconds since boot, as CLOCK_MONOTONIC counts."""

    at_us: int
    text: str


_RECORD = re.compile(r"\d{1,9},\d{1,20},(?P<us>\d{1,17}),[^;]*;(?P<text>.*)")
_SYSLOG = re.compile(r"(?:<\d+>)?\[\s*(?P<s>\d{1,11})\.(?P<us>\d{6})\](?:\[\s*[TC]\d+\])? ?(?P<text>.*)")

CONCERNS = re.compile(
    "|".join(
        (
            # Out of memory: who asked, the verdict, the kill, the reaper. Not the table of all tasks.
            r"invoked oom-killer",
            r"oom-kill:constraint=",
            r"Out of memory",
            r"Memory cgroup out of memory",
            r"oom_reaper: reaped process",
            # A program's own fault, or the kernel's limits.
            r"segfault at",
            r"^traps: ",
            r"unhandled (?:page |signal |exception|level)",
            r"Watchdog Timeout \(",
            r"fork rejected by pids controller",
            r"blocked for more than \d+ seconds",
            # GPUs.
            r"NVRM: (?:Xid|GPU |A GPU|RmInitAdapter failed|API mismatch)",
            r"fallen off the bus",
            r"(?:amdgpu|radeon|i915|xe)\b.*(?:timeout|timedout|reset|hang|wedged|page fault|"
            r"VM fault|VRAM is lost|device lost|out of memory|process .* pid \d+)",
            r"uvm encountered (?:a global fatal error|an error)",
            # Hardware and what keeps the model's file.
            r"mce: .*(?:Hardware Error|Uncorrected|memory error)",
            r"Machine [Cc]heck",
            r"hardware memory corruption",
            r"EDAC .*\b(?:UE|CE)\b",
            r"(?:I/O|i/o) error",
            r"Remounting filesystem read-only",
            r"EXT4-fs error|XFS .*(?:corruption|Corruption|shutdown)|BTRFS (?:error|critical)",
            # Heat and sleep.
            r"temperature above threshold",
            r"critical temperature reached",
            r"PM: (?:suspend|hibernation) (?:entry|exit)",
        )
    ),
    re.IGNORECASE,
)


def parse_record(record: str) -> Stamped | None:
    """One record of /dev/kmsg: `priority,sequence,microseconds,flags;text`, then lines ` KEY=value`, which
    are left out. None for what has not that shape."""
    found = _RECORD.match(record.split("\n", 1)[0])
    return Stamped(int(found["us"]), found["text"]) if found else None


def parse_syslog(text: str) -> tuple[Stamped, ...]:
    """What klogctl(2) gives: lines `<priority>[seconds.microseconds] text`; others are left out."""
    found = (_SYSLOG.match(line) for line in text.splitlines())
    return tuple(Stamped(int(one["s"]) * 1_000_000 + int(one["us"]), one["text"]) for one in found if one)


def concerns(text: str) -> bool:
    """Whether such a line may have to do with the death of a model server."""
    return CONCERNS.search(text) is not None


def kills(text: str, pid: int) -> bool:
    """Whether it tells that the kernel's out-of-memory killer ended this process."""
    return re.search(rf"(?:Kill(?:ed)? process |task=.*,pid=){pid}\b", text) is not None


def as_utc(line: Stamped, *, utc_ms: int, monotonic_us: int) -> KernelLine:
    """With the time of day, given both clocks at one moment."""
    return KernelLine(at_ms=utc_ms - (monotonic_us - line.at_us) // 1000, text=line.text[:500])
