"""The file that an engine's output goes to, as its writer sees it. Reading it is in `supervisor.output`.

Standard library only and quick to import: the keeper's memory and start depend on it.
"""

from __future__ import annotations

import contextlib
import os

LOG_LIMIT_BYTES = 8 * 1024 * 1024
LOGS_KEPT = 3
_TAIL_BYTES = 4096


class EngineLog:
    """The engine's output on disk: whole lines per file where lines end, old files numbered 1 to 3.

    A disk that takes nothing never holds the engine up: what cannot be written is dropped and counted, and
    the last of it kept in memory."""

    def __init__(self, path: str) -> None:
        """Raises OSError when the file cannot be opened."""
        self.path = path
        self.file = open_to_append(path)
        self.size = os.fstat(self.file).st_size
        self.rotations = 0
        if self.size >= LOG_LIMIT_BYTES:
            self._rotate()
        self.offset, self.rotations = self.size, 0
        """Where the output of this engine begins: so far into the file that has this number by now."""
        self.lost_bytes = 0
        self.problem = ""
        self.tail = b""

    def write(self, chunk: bytes) -> None:
        self.tail = (self.tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        try:
            if self.size + len(chunk) > LOG_LIMIT_BYTES:
                cut = chunk.rfind(b"\n", 0, max(0, LOG_LIMIT_BYTES - self.size)) + 1
                self._put(chunk[:cut])
                chunk = chunk[cut:]
                self._rotate()
            self._put(chunk)
        except OSError as error:
            self.problem = error.strerror or str(error)
            self.lost_bytes += len(chunk)

    def _put(self, data: bytes) -> None:
        while data:
            written = os.write(self.file, data)
            self.size += written
            data = data[written:]

    def _rotate(self) -> None:
        fresh = self.path + ".new"
        file = open_to_append(fresh)  # first: where this fails nothing has been moved
        for number in range(LOGS_KEPT, 0, -1):
            older = f"{self.path}.{number - 1}" if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{self.path}.{number}")  # noqa: PTH105
        os.replace(fresh, self.path)  # noqa: PTH105
        self._use(file)
        self.rotations += 1

    def _use(self, file: int) -> None:
        os.close(self.file)
        self.file = file
        self.size = os.fstat(file).st_size

    def look(self) -> None:
        """Notice when somebody took our file away or emptied it."""
        try:
            ours = os.fstat(self.file)
            try:
                same = os.stat(self.path).st_ino == ours.st_ino  # noqa: PTH116
            except FileNotFoundError:
                same = False
            if not same:
                self._use(open_to_append(self.path))
                self.offset, self.rotations = self.size, 0
            elif ours.st_size < self.size:
                self.size, self.offset = ours.st_size, 0
        except OSError as error:
            self.problem = error.strerror or str(error)


def open_to_append(path: str) -> int:
    """A descriptor that only ever adds to the file, which nobody else may read. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
