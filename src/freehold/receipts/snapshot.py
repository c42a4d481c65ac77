"""The ledger at one moment, for questions that must miss nothing and count nothing twice: what the projection
has, how far it is, and the entries behind it, which only the log has yet.

The projection may be made, or catch up, at this very moment. Reads files; not for the hot path.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.projection import DATABASE
from freehold.receipts.rows import COLUMNS
from freehold.receipts.statements import statements

_FOLLOW = 256


@contextmanager
def snapshot(home: Path) -> Generator[tuple[sqlite3.Connection | None, int]]:
    """The projection as it is now, however long it is asked, and the log index of the first entry that it
    lacks. No connection and 0 where there is none, or only an older Freehold's, or a damaged one, or it is
    just being made.

    Raises sqlite3.DatabaseError when more of it is damaged than its beginning.
    """
    path = home / DATABASE
    if not path.is_file():
        yield None, 0
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10.0)) as db:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")
        try:
            columns = tuple(str(column[1]) for column in db.execute("PRAGMA table_info(calls)"))
        except sqlite3.OperationalError:  # it is there, and cannot be read just now
            raise
        except sqlite3.DatabaseError:  # damaged; the log has everything that is in it
            columns = ()
        if columns != COLUMNS:
            yield None, 0
            return
        position: int = db.execute(statements("projection")["progress"]).fetchone()[0]
        yield db, position


def entries_from(home: Path, position: int) -> Iterator[tuple[int, bytes]]:
    """Entries of the log with their indexes, from `position` to its end; none where there is no ledger.

    Raises LedgerError when the log has a hole.
    """
    if not (home / "ledger" / "journal").is_dir():
        return
    with LogReader(LogFolder(home / "ledger"), position) as reader:
        while entries := reader.read(_FOLLOW):
            yield from enumerate(entries, reader.index - len(entries))
