"""A trace instance of our own in the kernel: made, filtered, read, taken away. Needs root.

An instance has its own buffer and its own switches, so several Freeholds, and whoever else traces, do not
meet. See the kernel's Documentation/trace/ftrace.rst (Instances) and events.rst (Event filtering).
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind

USUAL_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
WANTED = "run Freehold as root (CAP_SYS_ADMIN), on a kernel with tracefs"
BUFFER_KB = 64
"""For each CPU. One event takes about 60 bytes."""

# Numbers of newer system calls are the same on all machines that Python runs on. See fsopen(2), fsmount(2).
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC, _CREATE = 1, 6

_OWNER = re.compile(r"freehold-(?P<pid>\d{1,10})-(?P<start>\d{1,20})-\d+")
_numbers = itertools.count(1)


class TraceInstance:
    """One event, traced into a buffer of our own. Not for use by several threads at once."""

    def __init__(self, event: str) -> None:
        """`event` is `system/name`. Off until a filter is set. Raises Blind."""
        self._mount: int | None = None
        self._root = self._find_root()
        sweep(self._root / "instances")
        name = f"freehold-{os.getpid()}-{start_ticks(os.getpid())}-{next(_numbers)}"
        self._folder = self._root / "instances" / name
        self._event = self._folder / "events" / event
        try:
            if not (self._root / "events" / event).is_dir():
                raise Blind(f"this kernel does not have the event {event}")
            self._folder.mkdir()
            (self._folder / "buffer_size_kb").write_text(str(BUFFER_KB))
            (self._folder / "trace_clock").write_text("mono")
            # Names the process beside the thread; older kernels have it for all instances only.
            with suppress(OSError):
                (self._folder / "options/record-tgid").write_text("1")
        except OSError as error:
            self.close()
            raise Blind(f"no trace of our own could be made ({error.strerror}); {WANTED}") from error
        except Blind:
            self.close()
            raise

    def only(self, condition: str) -> None:
        """Trace events for which this holds; none for "". Raises Blind."""
        try:
            if condition:
                (self._event / "filter").write_text(condition)
            (self._event / "enable").write_text("1" if condition else "0")
        except OSError as error:
            raise Blind(f"the kernel took no trace filter: {error.strerror}") from error

    def text(self) -> str:
        """What the buffer holds; reading takes nothing out of it. Raises Blind."""
        try:
            return (self._folder / "trace").read_text(errors="replace")
        except OSError as error:
            raise Blind(f"the trace cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is traced any more, and the instance is gone."""
        with suppress(OSError):
            (self._event / "enable").write_text("0")
        with suppress(OSError):
            self._folder.rmdir()
        if self._mount is not None:
            os.close(self._mount)
            self._mount = None

    def _find_root(self) -> Path:
        if not sys.platform.startswith("linux"):
            raise Blind("only Linux tells who sent a signal")
        if os.geteuid() != 0:
            raise Blind(f"who sent a signal is told to root only; {WANTED}")
        for place in USUAL_PLACES:
            if (place / "instances").is_dir():
                return place
        self._mount = mount_unseen()
        return Path(f"/proc/self/fd/{self._mount}")


def mount_unseen() -> int:
    """tracefs as a file descriptor, mounted nowhere: nobody else sees it, and it ends with us.

    Raises Blind."""
    try:
        context = _call(_FSOPEN, b"tracefs", _CLOEXEC)
        try:
            _call(_FSCONFIG, context, _CREATE, None, None, 0)
            return _call(_FSMOUNT, context, _CLOEXEC, 0)
        finally:
            os.close(context)
    except OSError as error:
        raise Blind(f"tracefs cannot be had ({error.strerror}); {WANTED}") from error


def sweep(instances: Path) -> None:
    """Takes away what Freeholds left that were killed. Those that live are left alone."""
    with suppress(OSError):
        for folder in instances.iterdir():
            owner = _OWNER.fullmatch(folder.name)
            if owner and start_ticks(int(owner["pid"])) != int(owner["start"]):
                for switch in folder.glob("events/signal/*/enable"):
                    switch.write_text("0")
                folder.rmdir()


def start_ticks(pid: int) -> int | None:
    """When the process started (clock ticks since boot): with the pid, its identity. None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # Field 22; the command before may hold spaces and parentheses: proc_pid_stat(5).
    fields = text.rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
