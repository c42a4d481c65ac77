"""What rests before it is decided, on the disk as well: a killed Freehold decides it at its next start.

Files of lines of JSON in `home/telemetry/resting`, a new one whenever something was decided; one is deleted
when nothing of it rests any more. What stands in them twice, or in the ledger already, is recognised as
retries of exporters are. No text of a prompt, an answer, or a tool is in them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freehold.core.observed import Observed

FOLDER = Path("telemetry") / "resting"


_SLICE = 256


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one request."""

    observed: tuple[Observed, ...] = ()
    parents: tuple[tuple[str, str, str], ...] = ()
    """Trace, span, and the span around it."""


_decode = msgspec.json.Decoder(Kept).decode


def lines_of(kept: Kept) -> bytes:
    """As `RestLog.keep` takes it. In slices: one call of the encoder holds up all other threads."""
    parts: list[bytes] = []
    for at in range(0, max(len(kept.observed), len(kept.parents)), _SLICE):
        part = Kept(kept.observed[at : at + _SLICE], kept.parents[at : at + _SLICE])
        parts.append(msgspec.json.encode(part))
    return b"\n".join((*parts, b""))


def is_left(home: Path) -> bool:
    """Whether an earlier run left something undecided."""
    return bool(_numbers(home / FOLDER))


class RestLog:
    """`keep` may be called in any thread; the rest is for the event loop's, and never waits for it."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._files = _numbers(self._folder)
        self._left = tuple(self._files)
        self._number = max(self._files, default=0) + 1
        self._handle: int | None = None
        self._lock = threading.Lock()
        self._pinned: list[int] = []

    def left(self) -> Iterator[tuple[int, Kept]]:
        """What an earlier run left, with the number of its file. The line at which it was killed may be
        cut."""
        for number in self._left:
            try:
                lines = self._path(number).read_bytes().split(b"\n")
            except OSError:
                continue
            for line in lines:
                try:
                    yield number, _decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue

    def keep(self, line: bytes) -> int:
        """Returns the number of the file, which stays until `unpin`. Raises OSError when it cannot be
        kept."""
        with self._lock:
            if self._handle is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._handle = os.open(self._path(self._number), flags, 0o600)
                self._files.append(self._number)
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
            except OSError:
                self.close()  # half a line would spoil the next one: that goes to another file
                raise
            self._pinned.append(self._number)
            return self._number

    @property
    def busy(self) -> bool:
        """Whether another thread is writing."""
        return self._lock.locked()

    def unpin(self, number: int) -> None:
        """What was kept rests now: `decided` will be told of it."""
        self._pinned.remove(number)

    def decided(self, oldest: int | None) -> None:
        """Of files before number `oldest` nothing rests any more; None: of no file at all. While a thread
        writes, nothing is deleted."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._forget(min((*self._pinned, *(() if oldest is None else (oldest,))), default=None))
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let the open file go; what is in it stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self._number += 1

    def _forget(self, oldest: int | None) -> None:
        self.close()
        for number in tuple(self._files):
            if oldest is None or number < oldest:
                self._path(number).unlink(missing_ok=True)
                self._files.remove(number)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.ndjson"


def _numbers(folder: Path) -> list[int]:
    try:
        names = [path.stem for path in folder.iterdir() if path.suffix == ".ndjson"]
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isdigit())
