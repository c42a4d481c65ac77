"""Answers on disk: they outlive a restart, and there is room for more than in memory.

One file an answer, `<2 hex>/<key>.answer`, written beside and renamed, so it is whole or not there; its time
stamp says when its time is over. One thread does all reading and writing; the loop only asks an index in
memory. What is too old is deleted, and the oldest when there is no room.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from freehold.cache.stored import Stored, pack, unpack

_log = logging.getLogger("freehold.cache")
_SUFFIX = ".answer"
_DRAFT = ".part"

Deliver = Callable[[Callable[[], None]], object]
"""Runs a function on the loop: `loop.call_soon_threadsafe`."""
Then = Callable[[Stored | None], None]
_Job = Callable[[], None]


class DiskCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How the disk is; `dropped` answers were not written: too much was waiting, or the disk refused."""

    entries: int
    bytes: int
    written: int
    read: int
    dropped: int
    error: str


class _File(msgspec.Struct, frozen=True):
    bytes: int
    expires_ms: int


class AnswerDisk:
    """The owner of the folder. Its index belongs to the loop: only functions given to `deliver` change it."""

    def __init__(
        self, folder: Path, *, most_bytes: int, deliver: Deliver, most_queued_bytes: int = 32 << 20
    ) -> None:
        """Makes the folder (0700) and starts the thread, which first looks at what is there. Raises OSError
        when the folder cannot be used."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._most_bytes = most_bytes
        self._deliver = deliver
        self._most_queued_bytes = most_queued_bytes
        self._index: OrderedDict[bytes, _File] = OrderedDict()
        """What lies there, the oldest first."""
        self._bytes = self._queued_bytes = 0
        self._written = self._read = self._dropped = 0
        self._error = ""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._jobs.put(self._scan)
        self._thread = threading.Thread(target=self._work, name="freehold-cache", daemon=True)
        self._thread.start()

    def has(self, key: bytes) -> bool:
        """Whether an answer lies there. It may be too old: `fetch` tells."""
        return key in self._index

    def fetch(self, key: bytes, now_ms: int, then: Then) -> None:
        """Read an answer and call `then` with it on the loop: None when it is gone or too old."""

        def read() -> None:
            found = self._load(key)
            self._deliver(lambda: self._fetched(key, found, now_ms, then))

        self._jobs.put(read)

    def put(self, key: bytes, answer: Stored) -> None:
        """Write an answer soon; dropped while too much waits."""
        data = pack(answer)
        if self._queued_bytes + len(data) > self._most_queued_bytes or len(data) > self._most_bytes:
            self._dropped += 1
            return
        self._queued_bytes += len(data)

        def write() -> None:
            error = self._save(key, data, answer.expires_ms)
            file = _File(len(data), answer.expires_ms)
            self._deliver(lambda: self._saved(key, file, answer.stored_ms, error))

        self._jobs.put(write)

    def forget(self, key: bytes) -> None:
        """Delete an answer, if there."""
        file = self._index.pop(key, None)
        if file is not None:
            self._bytes -= file.bytes
            self._jobs.put(lambda: self._path(key).unlink(missing_ok=True))

    def clear(self) -> None:
        """Delete all answers."""
        for key in tuple(self._index):
            self.forget(key)

    def counts(self) -> DiskCounts:
        return DiskCounts(
            entries=len(self._index),
            bytes=self._bytes,
            written=self._written,
            read=self._read,
            dropped=self._dropped,
            error=self._error,
        )

    def after(self, then: Callable[[], None]) -> None:
        """Call `then` on the loop when all is done that was to be done before: at first, to look what lies
        there."""
        self._jobs.put(lambda: self._done(then))

    def close(self) -> None:
        """Do what is queued, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def __enter__(self) -> AnswerDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- on the loop

    def _found(self, entries: list[tuple[bytes, _File]]) -> None:
        newer, self._index = self._index, OrderedDict(entries)
        self._index.update(newer)
        self._bytes = sum(file.bytes for file in self._index.values())
        self._tidy(0)

    def _fetched(self, key: bytes, found: Stored | None, now_ms: int, then: Then) -> None:
        if found is None or found.expires_ms <= now_ms:
            self.forget(key)
            then(None)
            return
        self._read += 1
        then(found)

    def _saved(self, key: bytes, file: _File, now_ms: int, error: str) -> None:
        self._queued_bytes -= file.bytes
        if error:
            self._dropped += 1
            if not self._error:
                _log.warning("an answer could not be kept on disk: %s", error)
            self._error = error
            return
        self._error = ""
        self._written += 1
        before = self._index.pop(key, None)
        self._bytes += file.bytes - (before.bytes if before is not None else 0)
        self._index[key] = file
        self._tidy(now_ms)

    def _tidy(self, now_ms: int) -> None:
        while self._index:
            key, file = next(iter(self._index.items()))
            if file.expires_ms > now_ms and self._bytes <= self._most_bytes:
                return
            self.forget(key)

    # -- in the thread

    def _done(self, then: Callable[[], None]) -> None:
        self._deliver(then)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as cause:
                _log.warning("the folder of kept answers gives trouble: %s", cause)
            except RuntimeError:  # the loop has ended: nobody waits for the outcome
                continue

    def _scan(self) -> None:
        """Answers of an earlier run, the oldest first; drafts, and what is too old, go."""
        now_ms = time.time_ns() // 1_000_000
        found: list[tuple[bytes, _File]] = []
        for path in self._folder.glob("??/*"):
            if path.suffix not in (_SUFFIX, _DRAFT):
                continue
            try:
                facts = path.stat()
                key, file = bytes.fromhex(path.stem), _File(facts.st_size, facts.st_mtime_ns // 1_000_000)
            except (OSError, ValueError):
                continue
            if path.suffix == _DRAFT or file.expires_ms <= now_ms:
                path.unlink(missing_ok=True)
            else:
                found.append((key, file))
        found.sort(key=lambda entry: entry[1].expires_ms)
        self._deliver(lambda: self._found(found))

    def _load(self, key: bytes) -> Stored | None:
        try:
            return unpack(self._path(key).read_bytes())
        except OSError:
            return None

    def _save(self, key: bytes, data: bytes, expires_ms: int) -> str:
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = path.with_suffix(_DRAFT)
            draft.touch(mode=0o600)
            draft.write_bytes(data)
            os.utime(draft, ns=(expires_ms * 1_000_000, expires_ms * 1_000_000))
            draft.replace(path)
        except OSError as cause:
            return str(cause)
        return ""

    def _path(self, key: bytes) -> Path:
        name = key.hex()
        return self._folder / name[:2] / f"{name}{_SUFFIX}"
