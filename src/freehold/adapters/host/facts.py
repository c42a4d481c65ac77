"""What was seen on a machine, as plain values. Collected by `collect`, judged by `checks`.

None means "could not be seen" and is never judged as zero. Sizes are bytes, times milliseconds UTC.
"""

from __future__ import annotations

import msgspec


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class PythonFacts(_Fact, frozen=True):
    version: tuple[int, int, int]
    executable: str = ""
    packages: dict[str, str] = {}
    """Installed version by package name; one that is missing is absent."""


class EngineFact(_Fact, frozen=True):
    """A program or package that can serve models. `version` "" when it did not say."""

    name: str
    path: str
    version: str = ""


class PortFact(_Fact, frozen=True):
    """A TCP port that somebody listens on. `pid` and `command` are None for another user's process."""

    port: int
    address: str
    pid: int | None = None
    command: str | None = None


class GpuFact(_Fact, frozen=True):
    vendor: str
    name: str
    driver: str = ""
    memory_total: int | None = None
    memory_used: int | None = None
    node: str = ""
    """Device file that a program must be able to open, and whether we can (`node_open`)."""
    node_open: bool = True


class GpuTrouble(_Fact, frozen=True):
    """A driver or tool that is there and does not work; `said` is its own last line."""

    tool: str
    said: str


class MemoryFacts(_Fact, frozen=True):
    total: int
    available: int
    swap_total: int
    swap_used: int


class DiskFact(_Fact, frozen=True):
    """The file system below a folder. `purpose` is "state" or "models"; `rotational` None: not known."""

    purpose: str
    path: str
    free: int
    total: int
    kind: str = ""
    device: str = ""
    rotational: bool | None = None


class JournalFacts(_Fact, frozen=True):
    """systemd's journal: its size, and whether it outlives a restart."""

    size: int
    persistent: bool


class CgroupFacts(_Fact, frozen=True):
    """`version` 0: none. `memory_limit` is the tightest one above us, None when there is none."""

    version: int
    memory_limit: int | None = None


class LimitFacts(_Fact, frozen=True):
    """Soft limits of our process; None is unlimited."""

    open_files: int | None
    open_files_hard: int | None
    core_bytes: int | None


class ClockFacts(_Fact, frozen=True):
    """`newest_file_ms` is the time stamp of a file that was certainly made in the past."""

    now_ms: int
    newest_file_ms: int
    synchronized: bool | None = None


class KernelFacts(_Fact, frozen=True):
    system: str
    release: str
    overcommit: int | None = None
    can_read_log: bool | None = None
    pressure: bool = False
    """Pressure stall information (PSI) is there."""


class AccessFact(_Fact, frozen=True):
    """A file or folder of ours. `mode` are the permission bits, None when it does not exist."""

    path: str
    mode: int | None
    secret: bool = False
    """Holds a key: nobody else may read it."""
    ours: bool = True
    writable: bool = True


class KeyFact(_Fact, frozen=True):
    """A variable of the environment that holds an API key. The value is never kept."""

    name: str
    malformed: bool = False
    """Quotes or white space around or inside the value."""


class HostFacts(_Fact, frozen=True):
    """Everything. `blind` maps an area that could not be looked at to the reason."""

    listen_host: str
    listen_port: int
    python: PythonFacts | None = None
    engines: tuple[EngineFact, ...] = ()
    ports: tuple[PortFact, ...] = ()
    gpus: tuple[GpuFact, ...] = ()
    gpu_troubles: tuple[GpuTrouble, ...] = ()
    memory: MemoryFacts | None = None
    disks: tuple[DiskFact, ...] = ()
    journal: JournalFacts | None = None
    cgroup: CgroupFacts | None = None
    limits: LimitFacts | None = None
    clock: ClockFacts | None = None
    kernel: KernelFacts | None = None
    access: tuple[AccessFact, ...] = ()
    keys: tuple[KeyFact, ...] = ()
    blind: dict[str, str] = {}
