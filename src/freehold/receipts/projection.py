"""The SQLite projection of the log: written by one thread, each entry exactly once.

The position stands in the same transaction as the rows, so a crash repeats nothing and skips nothing.
Rows go in as multi-row statements: one `execute` holds the interpreter's lock for a fraction of a
millisecond to bind, then lets it go while SQLite works (row-by-row inserts starve beside a busy loop).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from freehold.receipts.journal import LedgerError
from freehold.receipts.merkle import leaf_hash
from freehold.receipts.rows import ATTEMPT_COLUMNS, COLUMNS, Cell, rows_of_entry
from freehold.receipts.statements import schema, statements

DATABASE = "receipts.db"
_ROWS_A_STATEMENT = (64, 16, 4, 1)
_INSERT_ATTEMPTS = (
    f"INSERT INTO attempts ({','.join(ATTEMPT_COLUMNS)}) VALUES ({','.join('?' * len(ATTEMPT_COLUMNS))})"  # noqa: S608 - our names
)


class Projection:
    """A writing connection to `receipts.db`. Create it in the thread that uses it."""

    def __init__(self, path: Path, *, bulk: bool = False) -> None:
        """Opens or creates the database.

        `bulk` is for a fresh file that nobody reads yet: no crash safety, and `finish` builds the indexes.
        Raises LedgerError when the file is not a projection of ours.
        """
        self._sql = statements("projection")
        forget_older(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        self._bulk = bulk
        try:
            self._prepare()
            progress = self._db.execute(self._sql["progress"]).fetchone()
        except sqlite3.DatabaseError as cause:
            self._db.close()
            if isinstance(cause, sqlite3.OperationalError) and "no such" not in str(cause):
                raise
            raise LedgerError(
                f"{path} cannot be used ({cause}): delete it, it is made again from the log, "
                "or run `freehold receipts rebuild`"
            ) from cause
        self.position: int = progress[0]
        """Log index of the next entry to project."""
        self.last_leaf: bytes = progress[1]
        self.unreadable: int = progress[2]
        """Entries that could not be read as receipts; they have a row of kind `unreadable`."""
        self._path, self._opened = path, _identity(path)

    def _prepare(self) -> None:
        journal, synchronous = ("OFF", "OFF") if self._bulk else ("WAL", "NORMAL")
        self._db.execute(f"PRAGMA journal_mode = {journal}")
        self._db.execute(f"PRAGMA synchronous = {synchronous}")
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not tables:
            self._db.executescript(f"BEGIN IMMEDIATE;{schema()}COMMIT;")
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.execute(self._sql["batch_table"])
        if not self._bulk:
            self._index()

    @property
    def gone(self) -> bool:
        """Whether the file was deleted or exchanged since: what is written then nobody sees."""
        return _identity(self._path) != self._opened

    def add(self, entries: Sequence[bytes]) -> None:
        """Project the entries that follow `position`, in one transaction."""
        if not entries:
            return
        start = self.position
        self._db.execute("BEGIN IMMEDIATE")
        try:
            unreadable = self._insert(start, entries)
            stop = start + len(entries)
            for name in ("sum_batch", "sum_attempts"):
                self._db.execute(self._sql[name], {"start": start, "stop": stop})
            for name in ("roll_up_sessions", "roll_up", "forget_batch"):
                self._db.execute(self._sql[name])
            last_leaf = leaf_hash(entries[-1])
            advance = {"position": stop, "last_leaf": last_leaf, "unreadable": unreadable}
            self._db.execute(self._sql["advance"], advance)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.position, self.last_leaf = stop, last_leaf
        self.unreadable += unreadable

    def _insert(self, start: int, entries: Sequence[bytes]) -> int:
        at = unreadable = 0
        for rows in _ROWS_A_STATEMENT:
            statement = _insert_statement(rows)
            while len(entries) - at >= rows:
                values: list[Cell] = []
                attempts: list[tuple[Cell, ...]] = []
                for entry in entries[at : at + rows]:
                    found = rows_of_entry(start + at, entry)
                    values.extend(found.call)
                    attempts.extend(found.attempts)
                    unreadable += not found.readable
                    at += 1
                self._db.execute(statement, values)
                if attempts:
                    self._db.executemany(_INSERT_ATTEMPTS, attempts)
        return unreadable

    def finish(self) -> None:
        """End of a bulk load: build the indexes and go over to the settings of daily use."""
        self._index()
        self._db.execute("PRAGMA journal_mode = WAL")

    def _index(self) -> None:
        """Also for a database of an older Freehold, which has fewer indexes."""
        for name in ("index_ids", "index_deaths"):
            self._db.execute(self._sql[name])

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_dev, seen.st_ino


def forget_older(path: Path) -> None:
    """Delete a projection that an older Freehold made with other columns: it is made again from the log."""
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(path, timeout=30.0)) as db:
            found = [str(column[1]) for column in db.execute("PRAGMA table_info(calls)")]
    except sqlite3.DatabaseError:  # it is told when the file is opened for good
        return
    if "kind" in found and "cost_nanos" in found and tuple(found) != COLUMNS:
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _insert_statement(rows: int) -> str:
    marks = "(" + ",".join("?" * len(COLUMNS)) + ")"
    return f"INSERT INTO calls ({','.join(COLUMNS)}) VALUES {','.join([marks] * rows)}"  # noqa: S608 - our names
