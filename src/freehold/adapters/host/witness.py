"""`core.deaths.Witness` on a real machine: watches model servers, and tells what was done to them.

Each source of evidence has a file of its own; here they are asked side by side, and what they could not see
is put into words. What it all means is `supervisor.postmortem`'s to say.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from freehold.adapters.host import cgroup_files, host_state, oom_killers, port_owner, surroundings
from freehold.adapters.host.blind import Blind
from freehold.adapters.host.cages import HostCages
from freehold.adapters.host.collect import look
from freehold.adapters.host.gpu_events import GpuEvents
from freehold.adapters.host.kernel_lines import kills
from freehold.adapters.host.kernel_log import KernelLog
from freehold.adapters.host.senders import SignalTrace
from freehold.core.deaths import CgroupDelta, HostEvidence, KernelLine, Subject

PATIENCE_S = 1.0
SETTLE_S = 0.2
"""For the kernel to write down a kill that has just happened."""
INIT_PID_NAMESPACE = "pid:[4026531836]"
"""Of the machine itself (PROC_PID_INIT_INO): only there are our process numbers those of the kernel's log."""

_CONTAINER = "Freehold runs in a container; start that with --pid=host"

T = TypeVar("T")


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A memory cgroup that may count for a server."""

    folder: Path
    name: str
    """As the system calls it: the path below the mount."""
    version: int
    shared: bool
    before: cgroup_files.Counters


class HostWitness:
    """Sees through /proc, cgroups, the kernel's log and trace. Safe to call from several threads.

    `state_folder`: where the state of the machine at the last good starts is kept. `cages`: those that the
    servers are put into. `model_check`: reads a model's header. Call `close` at the end.
    """

    def __init__(
        self,
        *,
        state_folder: Path | None = None,
        cages: HostCages | None = None,
        model_check: surroundings.ReadModel | None = None,
    ) -> None:
        self.cages = cages
        self.read_model = model_check
        self.diary = host_state.Diary(state_folder)
        self.signals = SignalTrace()
        self.gpu_events = GpuEvents()
        # Nothing of ours may stay in the kernel, also when nobody says goodbye.
        self._end = weakref.finalize(self, _close, self.signals, self.gpu_events)

    def watch(self, subject: Subject) -> HostObservation:
        return HostObservation(self, subject)

    def close(self) -> None:
        self._end()


def _close(signals: SignalTrace, gpu_events: GpuEvents) -> None:
    signals.close()
    gpu_events.close()


class HostObservation:
    """One server under watch."""

    def __init__(self, witness: HostWitness, subject: Subject) -> None:
        self._witness = witness
        self._subject = subject
        self._blind: dict[str, str] = {}
        self._log = KernelLog(subject.started_ms)
        self._comm = _text(f"/proc/{subject.pid}/comm")
        self._cage = self._try("cgroup", self._find_cage)
        self._home = self._try("cgroup", self._find_home)
        if self._cage is not None:
            self._blind.pop("cgroup", None)
        elif self._home is not None:
            why = f": {witness.cages.blind}" if witness.cages and witness.cages.blind else ""
            self._blind["cgroup"] = f"it has no memory cgroup of its own{why}"
        self._try("signals", self._watch_signals)
        witness.gpu_events.start()
        self._model = surroundings.file_state(subject.model_path)
        self._clocks = host_state.read_clocks()
        self._before_boot = host_state.started_before_boot(subject.started_ms, self._clocks)
        self._changes = witness.diary.started(subject.server, host_state.read_state())
        if not _numbers_are_the_kernels():
            self._blind["process numbers"] = f"the kernel's log names processes otherwise: {_CONTAINER}"

    def collect(self) -> HostEvidence:
        """See `core.deaths.Observation`."""
        subject, witness = self._subject, self._witness
        lived_ms = time.time_ns() // 1_000_000 - subject.started_ms
        witness.diary.ended(subject.server, lived_ms)
        cage = self._cage.folder if self._cage else None
        looks: dict[str, Callable[[], object]] = {
            "senders": self._senders,
            "cgroup": self._cgroup,
            "kernel": self._kernel,
            "userspace_oom": self._userspace_oom,
            "memory_pressure_avg10": lambda: surroundings.pressure_avg10(cage),
            "port_owner": lambda: port_owner.foreign_owner(subject.port, port_owner.in_group(subject.pid)),
            "disks": lambda: surroundings.disks_of(subject.log_folder, subject.model_path),
            "model": lambda: surroundings.model_seen(subject.model_path, self._model, witness.read_model),
            "changes": self._all_changes,
            "ram_free_bytes": surroundings.free_ram_bytes,
        }
        seen, failed = look(looks, PATIENCE_S)
        blind = {_WORDS.get(name, name): reason.removeprefix("Blind: ") for name, reason in failed.items()}
        return _evidence(seen, self._blind | blind, rebooted=self._before_boot)

    def close(self) -> None:
        self._log.close()
        with suppress(Blind):
            self._witness.signals.forget(self._subject.pid)

    def _try(self, name: str, one: Callable[[], T]) -> T | None:
        try:
            return one()
        except Blind as blind:
            self._blind[name] = str(blind)
        except Exception as error:  # A strange machine must not keep a server from starting.
            self._blind[name] = f"{type(error).__name__}: {error}"
        return None

    def _watch_signals(self) -> None:
        if not _numbers_are_the_kernels():
            raise Blind(_CONTAINER)
        self._witness.signals.watch(self._subject.pid)

    def _find_cage(self) -> Group | None:
        cages, server = self._witness.cages, self._subject.cage or self._subject.server
        if cages is None:
            return None
        with suppress(Blind):
            # A Freehold that was started elsewhere on this machine made its cages elsewhere.
            cages.found(server, cgroup_files.folder_of_process(self._subject.pid, cgroup_files.find_mount()))
        folder = cages.folder(server)
        if folder is None:
            return None
        return _group(folder, cgroup_files.find_mount(), cages.before(server), shared=False)

    def _find_home(self) -> Group:
        """The cgroup that the process happens to live in."""
        mount = cgroup_files.find_mount()
        folder = cgroup_files.folder_of_process(self._subject.pid, mount)
        before = cgroup_files.read_counters(folder, mount.version)
        return _group(folder, mount, before, shared=True)

    def _senders(self) -> object:
        if "signals" in self._blind:
            return None
        return self._witness.signals.seen(self._subject.pid, self._subject.started_ms)

    def _cgroup(self) -> CgroupDelta | None:
        """A cage that nobody entered never held a byte: then what counts is where the process lived."""
        for group in (self._cage, self._home):
            if group is not None:
                now = cgroup_files.read_counters(group.folder, group.version)
                if group.shared or now.peak_bytes != 0:
                    path = str(group.folder)
                    return cgroup_files.difference(group.before, now, path=path, shared=group.shared)
        return None

    def _kernel(self) -> tuple[KernelLine, ...]:
        pid = self._subject.pid
        told = self._witness.gpu_events.since(self._subject.started_ms)
        try:
            lines = self._log.lines(SETTLE_S, lambda text: kills(text, pid))
        except Blind:
            if not told:
                raise
            return told
        # The kernel's own line says more than the library's for the same error.
        return lines if any("NVRM: Xid" in line.text for line in lines) else lines + told

    def _userspace_oom(self) -> tuple[str, ...]:
        home, subject = self._cage or self._home, self._subject
        group = home.name if home else "/"
        return oom_killers.lines_about(subject.pid, self._comm, group, subject.started_ms)

    def _all_changes(self) -> tuple[str, ...]:
        now = host_state.read_clocks()
        return self._changes + host_state.interruptions(self._clocks, now)


_WORDS: Mapping[str, str] = {
    "senders": "signals",
    "kernel": "kernel log",
    "userspace_oom": "userspace OOM killers",
    "memory_pressure_avg10": "memory pressure",
    "port_owner": "port owner",
    "model": "model file",
    "ram_free_bytes": "free memory",
}
"""Fields of the evidence, as a person calls them."""


def _evidence(seen: Mapping[str, object], blind: Mapping[str, str], *, rebooted: bool) -> HostEvidence:
    evidence = HostEvidence(rebooted=rebooted, blind=blind)
    return msgspec.structs.replace(evidence, **seen)


def _group(folder: Path, mount: cgroup_files.Mount, before: cgroup_files.Counters, *, shared: bool) -> Group:
    name = f"/{folder.relative_to(mount.point)}" if folder != mount.point else "/"
    return Group(folder=folder, name=name, version=mount.version, shared=shared, before=before)


def _numbers_are_the_kernels() -> bool:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == INIT_PID_NAMESPACE
    except OSError:
        return True


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
