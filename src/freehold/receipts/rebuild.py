"""Making the projection again from the log, beside the old one, and exchanging them when it is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from freehold.receipts.journal import FolderLock
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.projection import DATABASE, Projection

_BATCH = 8_192


def rebuild(home: Path, progress: Callable[[int], None] = lambda _: None) -> int:
    """Make `receipts.db` again from the log alone; returns the number of entries.

    `progress` is called with the entries done so far. Freehold must not run on this home folder.
    Raises LedgerError when it does, or when the log is damaged; the old database stays then.
    """
    lock = FolderLock(home / "ledger")
    draft = home / f"{DATABASE}.new"
    try:
        _remove(draft)
        projection = Projection(draft, bulk=True)
        try:
            with LogReader(LogFolder(home / "ledger")) as reader:
                while entries := reader.read(_BATCH):
                    projection.add(entries)
                    progress(projection.position)
            projection.finish()
        finally:
            projection.close()
        _remove(home / DATABASE)
        draft.replace(home / DATABASE)
        return projection.position
    finally:
        _remove(draft)
        lock.release()


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
