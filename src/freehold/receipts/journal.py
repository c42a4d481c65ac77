"""The journal: where an entry becomes a fact. Append-only text files, one canonical JSON entry a line.

A segment is named after the log index of its first entry (`journal/000000016384.ndjson`), so the place of
every entry follows from the names. One process appends (held by a lock file); any process may read.
Sealed segments are deleted by `log_tree` once bundles hold their entries. Nothing here knows Merkle trees.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from freehold.core.errors import FreeholdError

SEGMENT_ENTRIES = 16_384
_CHUNK_BYTES = 96 * 1024
"""More than the longest line; below the size at which the C library maps fresh pages for each buffer."""


class LedgerError(FreeholdError):
    """The ledger cannot be opened, written or read; the text says what was found and what to do."""

    stored = 0
    """So many of the lines that were to be written are there all the same."""


class Segment(NamedTuple):
    """One file of the journal."""

    first: int
    """Log index of its first entry."""
    path: Path


def segments(folder: Path) -> list[Segment]:
    """The segments that exist, in log order. `folder` is the ledger's folder."""
    found = [Segment(int(path.stem), path) for path in (folder / "journal").glob("*.ndjson")]
    return sorted(found)


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment that starts at log index `first` lies."""
    return folder / "journal" / f"{first:012d}.ndjson"


class FolderLock:
    """One writing process for a ledger folder; released when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises LedgerError that names the holder's process id."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise LedgerError(
                f"the ledger {folder} is in use by process {holder}: "
                "stop that process, or give this one another home folder"
            ) from cause
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let another process take the folder."""
        self._file.close()


class JournalWriter:
    """Appends lines; owns the open segment. `entries` is the log's length, readable from any thread."""

    def __init__(self, folder: Path, segment_entries: int = SEGMENT_ENTRIES) -> None:
        """Opens the last segment and cuts a line that a crash left unfinished (`torn_bytes` of it).

        Raises LedgerError when a segment is missing between others.
        """
        self._folder = folder
        self._segment_entries = segment_entries
        (folder / "journal").mkdir(parents=True, exist_ok=True)
        existing = segments(folder)
        last = existing[-1] if existing else Segment(0, segment_path(folder, 0))
        _refuse_gaps(existing)
        self._handle = _open_for_append(last.path)
        self.entries, self.torn_bytes = last.first, 0
        lines, whole, size = _count_lines(last.path)
        self.entries += lines
        self._offset = whole
        if size > whole:
            self.torn_bytes = size - whole
            os.ftruncate(self._handle, whole)
        self._rotate_at = last.first + segment_entries
        if self.entries >= self._rotate_at:
            self._rotate()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with its newline. When this returns, the operating system has them.

        Raises LedgerError when they could not be written whole. Nothing of them stays then, except that
        lines that filled a segment up are kept: so many are `stored`.
        """
        before = self.entries
        try:
            while lines:
                if self.entries >= self._rotate_at:
                    self._rotate()
                room = self._rotate_at - self.entries
                self._write(lines[:room] if len(lines) > room else lines)
                lines = lines[room:]
        except OSError as cause:
            reason = cause.strerror or str(cause)
            error = LedgerError(f"the receipt could not be written to {self._folder}: {reason}")
            error.stored = self.entries - before
            raise error from cause

    def _write(self, lines: Sequence[bytes]) -> None:
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        written = 0
        try:
            written = os.write(self._handle, data)
        finally:
            if written != len(data):
                os.ftruncate(self._handle, self._offset)
        if written != len(data):
            raise OSError("the disk is full")
        self._offset += written
        self.entries += len(lines)
        if self.entries == self._rotate_at:
            with suppress(OSError):  # what was written is written; it is tried again before the next line
                self._rotate()

    def _rotate(self) -> None:
        handle = _open_for_append(segment_path(self._folder, self.entries))
        os.close(self._handle)
        self._handle, self._offset = handle, 0
        self._rotate_at = self.entries + self._segment_entries

    def close(self) -> None:
        """Close the open segment; no append may follow."""
        os.close(self._handle)


class JournalSync:
    """Makes appended entries survive a power cut, many at a time. For the publisher's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced_segment = -1
        self._durable = -1

    def sync(self, entries: int) -> None:
        """Return when the first `entries` entries of the log are on the disk."""
        if entries <= self._durable:
            return
        for segment, following in _with_next(segments(self._folder)):
            if following and following.first <= self._durable:
                continue
            fsync_path(segment.path)
            if segment.first > self._synced_segment:
                fsync_path(segment.path.parent)
                self._synced_segment = segment.first
        self._durable = entries


class SegmentReader:
    """Reads whole lines of one segment forward; sees lines appended later. Close it after use."""

    def __init__(self, segment: Segment, index: int) -> None:
        """Stands before log index `index`. Raises LedgerError when the segment has fewer entries before it,
        FileNotFoundError when it was sealed meanwhile."""
        self._handle = os.open(segment.path, os.O_RDONLY)
        self._offset = 0
        self._lines: list[bytes] = []
        self._at = 0
        self.first = segment.first
        self.index = segment.first
        try:
            while self.index < index:
                if not self.read(index - self.index):
                    raise LedgerError(f"{segment.path.name} ends at entry {self.index}, before entry {index}")
        except LedgerError:
            self.close()
            raise

    def read(self, limit: int) -> Sequence[bytes]:
        """Up to `limit` next entries, without newlines; empty when no further whole line is there yet."""
        if self._at == len(self._lines):
            self._refill()
        taken = self._lines[self._at : self._at + limit]
        self._at += len(taken)
        self.index += len(taken)
        return taken

    def _refill(self) -> None:
        chunk = os.pread(self._handle, _CHUNK_BYTES, self._offset)
        whole = chunk.rfind(b"\n")
        self._lines = chunk[:whole].split(b"\n") if whole >= 0 else []
        self._offset += whole + 1
        self._at = 0

    def close(self) -> None:
        """Release the file."""
        os.close(self._handle)


def _refuse_gaps(existing: Sequence[Segment]) -> None:
    for segment, following in _with_next(existing):
        if following is None:
            return
        lines = _count_lines(segment.path)[0]
        if segment.first + lines != following.first:
            raise LedgerError(
                f"the journal has {lines} entries in {segment.path.name}, but the next segment starts at "
                f"{following.first}: entries were dropped or added. `freehold receipts verify` says which."
            )


def _with_next(items: Sequence[Segment]) -> list[tuple[Segment, Segment | None]]:
    return list(zip(items, [*items[1:], None], strict=False))


def _count_lines(path: Path) -> tuple[int, int, int]:
    """(whole lines, their bytes, all bytes)."""
    lines = whole = size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            lines += chunk.count(b"\n")
            last = chunk.rfind(b"\n")
            if last >= 0:
                whole = size + last + 1
            size += len(chunk)
    return lines, whole, size


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def fsync_path(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
