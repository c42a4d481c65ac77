"""What the kernel says of processes, and signals to them. Shared by the keeper of an engine and Freehold.

Standard library only and quick to import: the keeper's memory and start depend on it.
"""

from __future__ import annotations

import contextlib
import os
import sys

if sys.platform == "linux":
    import ctypes

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36  # linux/prctl.h


def _stat(pid: int | str) -> list[str]:
    """The fields of /proc/PID/stat after the name, from the state on; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  (pathlib is milliseconds to import)
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return []


def born(pid: int) -> str:
    """When the process began, in the kernel's words: with the pid it names one process of this boot.
    Empty when there is none (a zombie still is one)."""
    if sys.platform == "linux":
        return "".join(_stat(pid)[19:20])  # field 22, starttime
    import subprocess  # noqa: PLC0415  (only where there is no /proc)

    asked = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return " ".join(asked.stdout.split())


def alive(pid: int, birth: str) -> bool:
    """Whether the process that was `born` then still runs; a zombie does not."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return len(fields) > 19 and fields[19] == birth and fields[0] not in "ZX"
    return born(pid) == birth != ""


def boot_id() -> str:
    """Names this run of the machine; empty where the kernel has no such name."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def relatives(*, parent: int = -1, session: int = -1) -> list[int]:
    """Running processes with this parent or in this session, zombies left out. Linux only, else empty."""
    found: list[int] = []
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return found
    for name in names:
        fields = _stat(name) if name.isdigit() else []
        if len(fields) < 20 or fields[0] in "ZX":
            continue
        if fields[1] == str(parent) or fields[3] == str(session):
            found.append(int(name))
    return found


def kill(pid: int, number: int, *, group: bool = False) -> None:
    """Send a signal; that it is gone, or not ours to signal, is no error."""
    with contextlib.suppress(OSError):
        (os.killpg if group else os.kill)(pid, number)


def prctl(option: int, value: int | bytes) -> None:
    """Ask the kernel for a property of this process; where it has none, nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
