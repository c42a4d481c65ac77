"""The part of `verify` that compares the SQLite projection with the log, row by row and sum by sum."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from freehold.receipts.differences import Problem
from freehold.receipts.rows import COLUMNS, Cell, rows_of_entry
from freehold.receipts.statements import statements


class ProjectionAudit:
    """Feed it every entry in log order, then ask `finish`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Takes the projection's position now: rows that a running Freehold adds later are not looked at."""
        self._db = db
        self._sql = statements("reports")
        self.position: int = db.execute(statements("projection")["progress"]).fetchone()[0]
        self.problems: list[Problem] = []

    def take(self, first: int, entries: Sequence[bytes]) -> None:
        """Compare the rows of these entries."""
        stop = min(first + len(entries), self.position)
        if stop <= first:
            return
        cursor = self._db.execute(self._sql["calls_in_order"], {"start": first, "stop": stop})
        stored: dict[int, tuple[Cell, ...]] = {cells[0]: cells for cells in cursor}
        attempts: dict[int, list[tuple[Cell, ...]]] = {}
        for cells in self._db.execute(self._sql["attempts_in_order"], {"start": first, "stop": stop}):
            attempts.setdefault(cells[0], []).append(cells)
        for index, entry in enumerate(entries[: stop - first], first):
            wanted, wanted_attempts, _ = rows_of_entry(index, entry)
            found = stored.get(index)
            if attempts.get(index, []) != wanted_attempts:
                text = f"the database's attempts of entry {index} are not those of the log"
                self.problems.append(Problem("projection", index, text))
            if found is None:
                self.problems.append(
                    Problem("projection", index, f"the database has no row for entry {index}")
                )
            elif found != wanted:
                self.problems.append(Problem("projection", index, _difference(index, found, wanted)))

    def finish(self, entries: int) -> list[Problem]:
        """Problems of the whole; `entries` is the length of the log."""
        if self.position > entries:
            more = self.position - entries
            text = f"the database has {more} entries more than the log: the log's end was cut off"
            self.problems.append(Problem("truncated", entries, text))
        self._db.execute("BEGIN")  # all sums of one moment
        calls = self._db.execute(self._sql["sums_of_calls"]).fetchone()
        for table in ("rollups", "session_rollups"):
            sums = self._db.execute(self._sql["sums_of_rollups"].replace("{table}", table)).fetchone()
            if sums[0] is None:  # an empty table
                sums = (0, *sums[1:])
            if sums != calls:
                self.problems.append(
                    Problem("projection", -1, f"the table {table} does not add up to the calls")
                )
        self._db.execute("COMMIT")
        return self.problems


def _difference(index: int, found: Sequence[Cell], wanted: Sequence[Cell]) -> str:
    parts = [
        f"{name} is {mine!r}, the log says {yours!r}"
        for name, mine, yours in zip(COLUMNS, found, wanted, strict=True)
        if mine != yours
    ]
    return f"the database row of entry {index} differs: {'; '.join(parts)}"
