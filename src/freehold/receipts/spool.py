"""Events that came while no Freehold answered: lines of JSON in `home/spool/tools.ndjson`.

Many programs may add at once; the one that takes moves the file away first. An advisory lock on the file
decides who was earlier.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from freehold.core.errors import FreeholdError

FOLDER = "spool"
_FILE, _TAKEN = "tools.ndjson", "tools.taken.ndjson"
MOST_BYTES = 8 * 1024 * 1024
"""Some twenty thousand uses of tools; what comes after them is refused."""


class SpoolFull(FreeholdError):
    """There is no room for more events."""


def add(home: Path, event: bytes) -> None:
    """Keep one event, a line of JSON. Raises SpoolFull, or OSError when it cannot be written."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _FILE
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_still(path, handle):  # it was taken just now; the next one is ours
                continue
            before = os.fstat(handle).st_size
            if before + len(event) >= MOST_BYTES:
                raise SpoolFull(f"{path} is full: start Freehold, so that it takes the events in")
            line = event.replace(b"\n", b" ") + b"\n"
            if os.write(handle, line) < len(line):  # half a line would spoil the next one
                os.ftruncate(handle, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return
        finally:
            os.close(handle)


def waiting(home: Path) -> bool:
    """Whether there is something to take; two looks at the disk."""
    return (home / FOLDER / _FILE).exists() or (home / FOLDER / _TAKEN).exists()


def take(home: Path) -> Iterator[bytes]:
    """The events, the oldest first. When the last one has been taken, they are deleted; when the reader stops
    before, all of them come again the next time. Raises OSError."""
    folder = home / FOLDER
    taken = folder / _TAKEN
    if taken.exists():  # the last time was cut off
        yield from _lines(taken)
        taken.unlink()
    with contextlib.suppress(FileNotFoundError):
        (folder / _FILE).replace(taken)
        yield from _lines(taken)
        taken.unlink()


def _lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # who is adding to it at this moment finishes first
        data = file.read(2 * MOST_BYTES)
    return [line for line in data.split(b"\n") if line]


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
