"""The publisher: one thread that follows the journal and makes everything else from it.

In each step, in this order: bring the journal to the disk, hash what is new into tiles, project it into
SQLite, sign a checkpoint, seal old segments. It remembers nothing that is not on disk, so lag costs no
memory and a crash is only a late start. It must live beside a busy event loop: work comes in slices that
hold the interpreter's lock well under a millisecond and end in a system call or an SQL statement.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from freehold.core.clock import Clock
from freehold.receipts.journal import SEGMENT_ENTRIES, JournalSync, LedgerError
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.log_tree import LogTree
from freehold.receipts.merkle import leaf_hash
from freehold.receipts.notes import Signer
from freehold.receipts.projection import DATABASE, Projection

_LONGEST_RETRY_S = 60.0
_SLICE = 256
_BREATH_S = 0.000_1
"""After a slice of hashing the interpreter's lock is let go for long enough that a waiting loop wakes up. A
short system call is too short: this thread would take the lock back, up to the switch interval of 5 ms."""
_log = logging.getLogger("freehold.receipts")


@dataclass(frozen=True)
class Pace:
    """How often and how much; the defaults are right for use, tests make them small."""

    segment_entries: int = SEGMENT_ENTRIES
    """Entries a journal segment, a multiple of 256."""
    poll_s: float = 0.2
    checkpoint_s: float = 1.0
    seal_after_s: float = 40.0
    """Wait between a checkpoint and the deletion of segments under it. By then the system has written tiles
    and bundles to the disk on its own, so that the fsync of a hundred files costs next to nothing."""
    retry_s: float = 1.0
    """Wait after a failure; doubles with each further one, up to a minute."""
    batch_entries: int = 2_048
    """At most this many entries are hashed or projected between two looks at the clock."""
    close_s: float = 10.0
    """How long `close` goes on publishing; what is left waits for the next start."""


@dataclass(frozen=True)
class Published:
    """How far the publisher is, as log indexes; a snapshot."""

    projected: int = 0
    checkpointed: int = 0
    last_checkpoint_ms: int = 0
    error: str = ""


class PublishingWork:
    """One step of publishing after another, without a thread: the state that lives in the thread."""

    def __init__(self, home: Path, signer: Signer, clock: Clock, pace: Pace) -> None:
        """Recovers from disk. Raises LedgerError when the log or the projection is not as signed."""
        folder = LogFolder(home / "ledger")
        self._clock = clock
        self._pace = pace
        self._sync = JournalSync(folder.path)
        self._last_sign_s = clock.monotonic_s() - pace.checkpoint_s
        self._last_sign_ms = 0
        self._durable = 0
        with ExitStack() as opened:
            self._tree = opened.enter_context(closing(LogTree(folder, signer)))
            self._projection = opened.enter_context(closing(Projection(home / DATABASE)))
            self._late = opened.enter_context(LogReader(folder, self._projection.position))
            self._check_projection(folder)
            self._opened = opened.pop_all()
        self._settling = deque([(clock.monotonic_s(), self._tree.signed)])
        """When which size was signed, for sizes whose segments are not sealed yet."""

    def step(self, entries: int, *, final: bool = False) -> bool:
        """Work towards the first `entries` entries of the log; True when everything is published.

        `final` signs at once instead of when the interval is over.
        """
        if self._projection.gone:
            raise LedgerError("the database of receipts was deleted: it is made again from the log")
        if self._tree.size >= self._durable:  # one fsync for all that came since, however much it was
            self._sync.sync(entries)
            self._durable = entries
        fresh = self._extend(min(self._durable, self._tree.size + self._pace.batch_entries))
        behind = self._tree.size - len(fresh) - self._projection.position
        if behind > 0:  # a start with an older database, or none: it catches up by itself
            fresh = self._late.read(min(behind, self._pace.batch_entries))
        elif behind < 0:  # a crash after projecting, before signing: the tree starts earlier than the rows
            fresh = fresh[-behind:]
        self._projection.add(fresh)
        reached = self._tree.size >= entries and self._projection.position >= entries
        now_s = self._clock.monotonic_s()
        due = now_s - self._last_sign_s >= self._pace.checkpoint_s or (final and reached)
        if due and self._tree.size > self._tree.signed:
            self._tree.sign()
            self._last_sign_s, self._last_sign_ms = now_s, self._clock.now_ms()
            self._settling.append((now_s, self._tree.signed))
        self._seal(now_s)
        return reached and self._tree.signed == self._tree.size

    def _seal(self, now_s: float) -> None:
        """Give up journal segments that were signed a while ago."""
        settled = 0
        while self._settling and now_s - self._settling[0][0] >= self._pace.seal_after_s:
            settled = self._settling.popleft()[1]
        if settled:
            self._tree.seal(min(settled, self._projection.position))

    def _extend(self, size: int) -> list[bytes]:
        """Hash entries until the tree has `size`; returns them."""
        fresh: list[bytes] = []
        while self._tree.size < size:
            part = self._tree.extend(min(size - self._tree.size, _SLICE))
            if not part:
                raise LedgerError(f"the journal ends after {self._tree.size} entries instead of {size}")
            fresh += part
            time.sleep(_BREATH_S)
        return fresh

    def backlog(self, entries: int) -> int:
        """How many entries wait to be hashed or projected."""
        return entries - min(self._tree.size, self._projection.position)

    def published(self) -> Published:
        """How far we are."""
        lost = self._projection.unreadable
        error = f"{lost} entries of the log could not be read as receipts" if lost else ""
        return Published(self._projection.position, self._tree.signed, self._last_sign_ms, error)

    def close(self) -> None:
        """Release files and the database."""
        self._opened.close()

    def _check_projection(self, folder: LogFolder) -> None:
        """The projection's last entry must be in the log: else one of the two was exchanged."""
        if not self._projection.position:
            return
        try:
            with LogReader(folder, self._projection.position - 1) as reader:
                last = reader.read(1)
        except LedgerError:
            last = []
        if not last or leaf_hash(last[0]) != self._projection.last_leaf:
            raise LedgerError(
                f"the projection holds {self._projection.position} entries that are not those of the log in "
                f"{folder.path}: entries were changed or cut off, or the database belongs to another log. "
                "`freehold receipts verify` tells more; `freehold receipts rebuild` makes the database again."
            )


class EntryCount(Protocol):
    """The journal's writer, as far as the publisher sees it."""

    @property
    def entries(self) -> int:
        """Entries written so far."""
        ...


class Publisher:
    """The thread around `PublishingWork`. Start it once, stop it once."""

    def __init__(self, home: Path, signer: Signer, clock: Clock, pace: Pace, journal: EntryCount) -> None:
        self._home, self._signer, self._clock, self._pace = home, signer, clock, pace
        self._journal = journal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="freehold-publisher", daemon=True)
        self.state = Published()
        """The newest snapshot; replaced as a whole, so any thread may read it."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Publish what is left (for at most `close_s`), then end the thread."""
        self._stop.set()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """False when the thread ended, asked or not."""
        return self._thread.is_alive()

    def _run(self) -> None:
        """Publish until stopped; start again from disk after a failure, which stays visible until then."""
        failures = 0
        stopped = False
        while not stopped:  # at least once, so that `stop` always publishes
            before = self.state.projected
            try:
                self._follow()
            except (OSError, sqlite3.Error, LedgerError) as cause:
                self._fail(str(cause))
            except Exception as cause:
                self._fail(f"{type(cause).__name__}: {cause}")
                raise
            failures = 0 if self.state.projected > before else failures + 1
            stopped = self._stop.wait(min(self._pace.retry_s * 2**failures, _LONGEST_RETRY_S))

    def _follow(self) -> None:
        work = PublishingWork(self._home, self._signer, self._clock, self._pace)
        try:
            self.state = work.published()
            while not self._stop.is_set():
                entries = self._journal.entries
                work.step(entries)
                self.state = work.published()
                # Few entries are left to gather: a step for each handful would cost more than their calls.
                if work.backlog(self._journal.entries) < self._pace.batch_entries:
                    self._stop.wait(self._pace.poll_s)
            deadline = self._clock.monotonic_s() + self._pace.close_s
            while not work.step(self._journal.entries, final=True) and self._clock.monotonic_s() < deadline:
                self.state = work.published()
            self.state = work.published()
        finally:
            work.close()

    def _fail(self, error: str) -> None:
        if error != self.state.error:
            _log.error("receipts are written but not published: %s", error)
        self.state = replace(self.state, error=error)
