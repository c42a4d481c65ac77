"""The files that postings are written to: `budgets/postings-NNNNNN.ndjson` in the state folder.

Appended without fsync: what is written survives the end of the process, however it ends, as receipts do until
their first fsync. A segment that has grown is followed by one that begins with all that still matters; the
segment before is kept once more, so that a power cut finds one of the two whole. One process writes; the lock
of the ledger sees to that.
"""

from __future__ import annotations

import os
from pathlib import Path

from freehold.core.errors import FreeholdError

FOLDER = "budgets"
SEGMENT_BYTES = 8 * 1024 * 1024
_PREFIX, _SUFFIX = "postings-", ".ndjson"


class PostingsError(FreeholdError):
    """Postings cannot be read or written; the text says where."""


def segments(folder: Path) -> list[Path]:
    """The files that there are, oldest first."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))


def read_segments(folder: Path) -> list[list[bytes]]:
    """The lines of every segment, without their ends; the last one may be torn. Raises PostingsError."""
    found: list[list[bytes]] = []
    for path in segments(folder):
        try:
            found.append([line for line in path.read_bytes().split(b"\n") if line])
        except FileNotFoundError:  # followed and removed at this moment: the next one says it all
            continue
        except OSError as error:
            raise PostingsError(f"cannot read {path}: {error.strerror}") from error
    return found


class PostingsFile:
    """Appends lines. When `write` returns, the operating system has them."""

    def __init__(self, folder: Path, first: bytes = b"") -> None:
        """Begins a new segment with `first`, which is on the disk before older ones are removed.

        Raises PostingsError.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            older = segments(folder)
            self._number = _number(older[-1]) if older else 0
            self._handle = self._begin(first, synced=True)
        except OSError as error:
            raise PostingsError(f"cannot write to {folder}: {error.strerror}") from error
        for path in older:
            path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append whole lines. Raises OSError when they could not be written; then nothing of them stays."""
        written = os.write(self._handle, data)
        if written != len(data):
            os.ftruncate(self._handle, self._size)
            raise OSError("the disk is full")
        self._size += written

    @property
    def grown(self) -> bool:
        """Whether it is time to `follow`."""
        return self._size >= self._follow_at

    def follow(self, first: bytes) -> None:
        """Go on in a new segment, which begins with all that still matters. Raises OSError, and goes on in
        the old one."""
        before, handle = self._number, self._handle
        try:
            self._handle = self._begin(first, synced=False)
        except OSError:
            self._number = before
            self._follow_at = self._size + SEGMENT_BYTES
            raise
        os.close(handle)
        for path in segments(self._folder):
            if _number(path) < before:
                path.unlink(missing_ok=True)

    def _begin(self, data: bytes, *, synced: bool) -> int:
        """A segment is there whole or not at all."""
        self._number += 1
        path = self._folder / f"{_PREFIX}{self._number:06d}{_SUFFIX}"
        part = path.with_suffix(".part")
        handle = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if data and os.write(handle, data) != len(data):
                raise OSError("the disk is full")
            if synced:
                os.fsync(handle)
            part.replace(path)
            if synced:
                _sync_folder(self._folder)
        except BaseException:
            os.close(handle)
            raise
        self._size = len(data)
        self._follow_at = len(data) + SEGMENT_BYTES
        return handle

    def close(self) -> None:
        """No write may follow."""
        os.close(self._handle)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix(_PREFIX))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
