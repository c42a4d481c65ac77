"""`core.deaths.Cages` on Linux: one memory cgroup for each model server, v1 or v2.

All stand below one folder of ours, named after the Freehold home, so that two Freeholds never meet; it goes
with the last of them. Where
cgroups may be made is `cage_ground`'s, what they count `cgroup_files`'.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.cage_ground import enable_memory, find_ground
from freehold.adapters.host.cgroup_files import (
    Counters,
    Mount,
    find_mount,
    folder_of_process,
    read_counters,
)

REMOVE_PATIENCE_S = 1.0
"""The kernel keeps a group while its dead are on their way out; that takes milliseconds."""
_RETRY_S = 0.01


class HostCages:
    """Owner of our memory cgroups. Safe to call from several threads; nothing here raises.

    `home` is the state folder: it gives the cages their own name. Where there can be no cages, `blind` says
    why, and every call does nothing.
    """

    def __init__(self, home: Path, mount: Mount | None = None) -> None:
        """`mount`: where cgroups are, when it is not to be found out."""
        self._name = folder_name(home)
        self._lock = threading.Lock()
        self._mount = mount
        self._folder: Path | None = None
        self._blind = ""
        self._elsewhere: dict[str, Path] = {}
        self._before: dict[str, Counters] = {}

    @property
    def blind(self) -> str:
        """Why there are no cages, and what would give us some; empty while there are (or nobody asked)."""
        return self._blind

    @property
    def version(self) -> int:
        """Of the cgroups: 1 or 2; 0 before the first `make` or without any."""
        return self._mount.version if self._mount else 0

    def folder(self, server: str) -> Path | None:
        """Where the files of a server's cage lie; None when it has none."""
        with self._lock:
            return self._find(server)

    def found(self, server: str, folder: Path) -> None:
        """A process of the server lives there: where that is a cage of this home, it is the server's."""
        if folder.name == cage_name(server) and folder.parent.name == self._name:
            with self._lock:
                self._elsewhere[server] = folder

    def make(self, server: str, ram_limit_bytes: int | None) -> tuple[str, ...]:
        with self._lock:
            ours = self._make_ours()
            if ours is None or self._mount is None:
                return ()
            folder = ours / cage_name(server)
            self._elsewhere.pop(server, None)
            try:
                # A fresh group counts from zero; one that still holds a process is used again.
                with suppress(OSError):
                    folder.rmdir()
                folder.mkdir(exist_ok=True)
                _set_limit(folder, self._mount.version, ram_limit_bytes)
                self._before[server] = read_counters(folder, self._mount.version)
            except Blind as blind:
                self._blind = str(blind)
                return ()
            except OSError as error:
                self._blind = f"no cgroup could be made for {server}: {error.strerror}"
                return ()
            return (str(folder / "cgroup.procs"),)

    def before(self, server: str) -> Counters:
        """What its cage had counted when it was made: zeros for a fresh one, as all are that an earlier
        Freehold left us."""
        return self._before.get(server, Counters())

    def kill(self, server: str) -> bool:
        """Whether anything was left to kill."""
        folder = self.folder(server)
        if folder is None or not (left := _processes(folder)):
            return False
        with suppress(OSError):
            (folder / "cgroup.kill").write_text("1")
            return True
        # v1, and v2 before Linux 5.14: again, until nobody had a child in between.
        deadline = time.monotonic() + REMOVE_PATIENCE_S
        while left and time.monotonic() < deadline:
            for pid in left:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_RETRY_S)
            left = _processes(folder)
        return True

    def remove(self, server: str) -> None:
        """Waits up to a second for the dead to leave. A cage that still holds the living stays."""
        folder = self.folder(server)
        if folder is None:
            return
        _remove(folder)
        # With the last cage goes the folder of all; the lock keeps it from one that is being made.
        with self._lock, suppress(OSError):
            folder.parent.rmdir()

    def _find(self, server: str) -> Path | None:
        """Looks only, where this Freehold makes its cages or would make them."""
        name = cage_name(server)
        places = [self._elsewhere.get(server), self._folder / name if self._folder else None]
        with suppress(Blind):
            own = folder_of_process("self", self._mount or find_mount())
            places += [own / self._name / name, own.parent / self._name / name]
        return next((place for place in places if place is not None and place.is_dir()), None)

    def _make_ours(self) -> Path | None:
        """The folder of all cages of this home; made when it is first needed."""
        if self._folder is not None and self._folder.is_dir():
            return self._folder
        try:
            self._mount = self._mount or find_mount()
            folder = find_ground(self._mount) / self._name
            folder.mkdir(exist_ok=True)
            if self._mount.version == 2:
                enable_memory(folder)
        except Blind as blind:
            self._blind = str(blind)
            return None
        except OSError as error:
            self._blind = f"no cgroup could be made: {error.strerror}"
            return None
        self._blind = ""
        self._folder = folder
        return folder


def folder_name(home: Path) -> str:
    """One for each home: another Freehold on this machine has another."""
    return f"freehold-{hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:10]}"


def cage_name(server: str) -> str:
    """A file name for any server name, never that of a control file; different names stay different."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", server)[:80]
    if safe == server:
        return f"server-{server}"
    return f"safe-{safe}-{hashlib.sha256(server.encode()).hexdigest()[:8]}"


def _set_limit(folder: Path, version: int, ram_limit_bytes: int | None) -> None:
    """This limit and no other. Raises OSError; a file that this kernel lacks is not missed."""
    if version == 1:
        (folder / "memory.limit_in_bytes").write_text(str(ram_limit_bytes or -1))
        return
    (folder / "memory.max").write_text(str(ram_limit_bytes or "max"))
    for name in ("memory.high", "memory.swap.max"):
        with suppress(OSError):
            (folder / name).write_text("max")


def _processes(folder: Path) -> list[int]:
    try:
        words: Iterable[str] = (folder / "cgroup.procs").read_text().split()
    except OSError:
        return []
    # 0 stands for a process that another pid namespace hides from us.
    return [int(word) for word in words if word.isdecimal() and word != "0"]


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + REMOVE_PATIENCE_S
    while folder.is_dir():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(_RETRY_S)
