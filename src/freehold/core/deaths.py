"""How a model server died, as values: what was seen, and the certificate that is made of it.

`supervisor.postmortem` goes from the one to the other; `adapters.host` and the keeper of the process see.
Times are UTC milliseconds. A section that is None could not be looked at: `blind` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from freehold.core.memory import MemoryUse

Cause = Literal[
    "oom-cgroup",
    "oom-global",
    "userspace-oom",
    "killed-by",
    "hangup",
    "assert",
    "gpu-oom",
    "gpu-fault",
    "segfault",
    "port-taken",
    "missing-library",
    "bad-model",
    "bad-flag",
    "disk-full",
    "cpu-unsupported",
    "hung",
    "parent-died",
    "asked-by-us",
    "host-reboot",
    "unknown",
]
"""The closed list. `killed-by` also covers a kernel-enforced limit (RLIMIT_CPU), named in the sentence."""


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class ExitFacts(_Fact, frozen=True, kw_only=True):
    """How the process ended, from its parent's mouth (waitid, then the zombie, then wait4)."""

    code: int | None = None
    """Exit code; None when a signal ended it."""
    signal: int | None = None
    core_dumped: bool = False
    died_ms: int = 0
    max_rss_bytes: int | None = None
    cpu_s: float | None = None
    keeper_lost: bool = False
    """The keeper itself was gone, so neither code nor signal is known."""

    @property
    def status(self) -> int | None:
        """As Python's subprocess gives it: a negative number is a signal."""
        return -self.signal if self.signal is not None else self.code


class Order(_Fact, frozen=True, kw_only=True):
    """A signal of ours, written down before it was sent."""

    at_ms: int
    signal: int
    reason: str


class SignalSeen(_Fact, frozen=True, kw_only=True):
    """A signal as the kernel saw it being sent to the process."""

    at_ms: int
    signal: int
    sender_pid: int
    sender_comm: str
    from_kernel: bool = False


class CgroupDelta(_Fact, frozen=True, kw_only=True):
    """What changed in the server's own memory cgroup since its start."""

    path: str = ""
    oom: int = 0
    oom_kill: int = 0
    at_limit: int = 0
    """How often usage met the limit (v2 `max`, v1 `failcnt`)."""
    above_high: int = 0
    peak_bytes: int | None = None
    limit_bytes: int | None = None
    shared: bool = False
    """Not its own: others live in that cgroup as well, so what it counts may be theirs."""


class KernelLine(_Fact, frozen=True, kw_only=True):
    at_ms: int
    text: str


class PortOwner(_Fact, frozen=True, kw_only=True):
    """Who listens on the port that we gave to the server, when it is not the server."""

    port: int
    pid: int | None = None
    command: str | None = None


class ProbeSeen(_Fact, frozen=True, kw_only=True):
    at_ms: int
    result: str
    """`ready`, `loading`, `silent`, `refused`, `error`, `no tokens`."""
    took_ms: int = 0


class DiskSeen(_Fact, frozen=True, kw_only=True):
    path: str
    free_bytes: int
    total_bytes: int
    free_inodes: int | None = None


class ModelSeen(_Fact, frozen=True, kw_only=True):
    """The model's file at the time of death."""

    path: str
    exists: bool = True
    size_bytes: int | None = None
    expected_bytes: int | None = None
    """What its own header says that it must have; None when the header cannot be read."""
    problem: str = ""
    """What is wrong with it, where that is plain: no GGUF, cut, unreadable."""


class HostEvidence(_Fact, frozen=True, kw_only=True):
    """What the machine told, collected within a second of the death."""

    senders: tuple[SignalSeen, ...] | None = None
    cgroup: CgroupDelta | None = None
    kernel: tuple[KernelLine, ...] | None = None
    """Lines since the server's start that may concern it: OOM, Xid, segfault, GPU reset, MCE."""
    userspace_oom: tuple[str, ...] = ()
    """Lines of systemd-oomd, earlyoom and the like that name the process."""
    memory_pressure_avg10: float | None = None
    """PSI `some` of the host or cgroup at the death."""
    port_owner: PortOwner | None = None
    disks: tuple[DiskSeen, ...] = ()
    model: ModelSeen | None = None
    changes: tuple[str, ...] = ()
    """Of the host since the last good start: another boot, driver or library, a suspend."""
    rebooted: bool = False
    ram_free_bytes: int | None = None
    blind: Mapping[str, str] = {}
    """What could not be looked at, and what would make it visible."""


class DeathFacts(_Fact, frozen=True, kw_only=True):
    """Everything known about one end of one process. The input of `supervisor.postmortem.certify`."""

    server: str
    engine: str
    program: str = ""
    pid: int | None = None
    started_ms: int
    was_ready: bool = False
    ready_ms: int | None = None
    exit: ExitFacts
    orders: tuple[Order, ...] = ()
    hung: str = ""
    """Why we judged it hung, when that is why we ended it."""
    last_lines: tuple[str, ...] = ()
    """Of this process, oldest first, repeats folded."""
    memory: tuple[MemoryUse, ...] = ()
    """Samples, oldest first."""
    planned_vram_bytes: int | None = None
    planned_ram_bytes: int | None = None
    probes: tuple[ProbeSeen, ...] = ()
    in_flight: tuple[str, ...] = ()
    """Digests (SHA-256 hex) of the requests under way."""
    host: HostEvidence = HostEvidence()


class Clue(_Fact, frozen=True, kw_only=True):
    """One piece of evidence, as a person reads it, and where it was seen."""

    source: str
    text: str


class Certificate(_Fact, frozen=True, kw_only=True):
    """Why a model server died. Stands in the ledger before anything follows from the death."""

    server: str
    died_ms: int
    cause: Cause
    confidence: int
    """Percent. From 90 on it is proven by evidence."""
    sentence: str
    """What a tired person understands."""
    next: str
    """What to do now."""
    proof: str = ""
    """What would prove it next time, when it is not proven."""
    evidence: tuple[Clue, ...] = ()
    others: tuple[str, ...] = ()
    """Causes that were considered and not excluded, `cause (percent)`."""
    pid: int | None = None
    ready: bool = False
    started_ms: int = 0
    in_flight: tuple[str, ...] = ()
    ordered: bool = False
    """We asked it to end: nothing needs to be mended."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to watch."""

    server: str
    pid: int
    """The engine's own process."""
    port: int
    started_ms: int
    model_path: str | None = None
    log_folder: str = ""
    cage: str | None = None
    """Name of its cgroup, when it has one (`Cages`)."""


class Observation(Protocol):
    """One server under watch, from its start to its death."""

    def collect(self) -> HostEvidence:
        """All that the machine tells now. Blocking, at most a second: call in a worker thread, before the
        server is started again. Never raises; what fails goes into `blind`."""
        ...

    def close(self) -> None: ...


class Witness(Protocol):
    """Sees what the machine does to model servers. Implemented by `adapters.host`."""

    def watch(self, subject: Subject) -> Observation:
        """Begin: note positions and counters, so that later only what is new counts. Fast, never raises."""
        ...


class Cages(Protocol):
    """Memory cgroups for model servers, where we may have them. Implemented by `adapters.host`."""

    def make(self, server: str, ram_limit_bytes: int | None) -> tuple[str, ...]:
        """A cgroup for the server, emptied of limits but this one. Answers the `cgroup.procs` (or `tasks`)
        files that a process enters by writing its pid; empty where there can be no cgroup. Never raises."""
        ...

    def kill(self, server: str) -> bool:
        """Kill all that is left in it; whether there was one."""
        ...

    def remove(self, server: str) -> None: ...
