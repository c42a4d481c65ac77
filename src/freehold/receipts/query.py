"""Questions about receipts, answered from the projection; works beside a running Freehold or without one.

Filters and groupings are fixed expressions with bound values. `find` also looks into the newest entries of
the log, which the projection may not have yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from freehold.receipts.entries import CostState, Outcome, Receipt, decode_receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.projection import DATABASE
from freehold.receipts.rows import COLUMNS
from freehold.receipts.snapshot import entries_from, snapshot
from freehold.receipts.statements import statements

_HOUR_MS = 3_600_000
_FOR_EVER = 1 << 40

Kind = Literal["call", "death", "outcome", "tool"]
_KINDS: dict[str, str] = {kind: f"kind = '{kind}'" for kind in get_args(Kind)}
Grouping = Literal[
    "project", "agent", "session", "task", "key", "model", "deployment", "provider", "day", "hour", "all"
]
_GROUPS: dict[Grouping, str] = {
    "project": "project",
    "agent": "agent",
    "session": "session",
    "task": "task",
    "key": "via_key",
    "model": "model",
    "deployment": "deployment",
    "provider": "provider",
    "day": "strftime('%Y-%m-%d', hour * 3600, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00Z', hour * 3600, 'unixepoch')",
    "all": "''",
}


@dataclass(frozen=True)
class Filter:
    """Which receipts; an empty field accepts all. Times are UTC milliseconds, `since_ms` included."""

    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""
    model: str = ""
    """Matches the answering model or the one that was asked for."""
    deployment: str = ""
    provider: str = ""
    outcome: Outcome | Literal[""] = ""
    kind: Kind | Literal[""] = ""
    server: str = ""
    id_prefix: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    before: int | None = None
    """Only entries before this log index: the `seq` of the last row of the page before."""
    limit: int = 50


@dataclass(frozen=True)
class Row:
    """One entry as the projection has it; the log's entry (`find`) has everything."""

    seq: int
    id: str
    kind: str
    project: str
    agent: str
    session: str
    task: str
    via_key: str
    endpoint: str
    client_dialect: str
    model_asked: str
    model: str
    deployment: str
    provider: str
    server: str
    outcome: str
    error: str
    usage_state: str
    cost_state: str
    price_terms: str
    cached: str
    started_ms: int
    first_byte_us: int
    total_us: int
    status: int
    stream: int
    attempts: int
    request_bytes: int
    response_bytes: int
    cost_nanos: int
    saved_nanos: int
    fresh_in: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    audio_in: int
    image_in: int
    visible_out: int
    reasoning: int
    audio_out: int
    image_out: int
    web_searches: int

    @property
    def input_tokens(self) -> int:
        return (
            self.fresh_in
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_in
            + self.image_in
        )

    @property
    def output_tokens(self) -> int:
        return self.visible_out + self.reasoning + self.audio_out + self.image_out


@dataclass
class CostRow:
    """Sums of one group. Tokens are disjoint; money is nano-USD, kept apart by who vouches for it."""

    name: str
    calls: int = 0
    errors: int = 0
    """Failed or cut in mid-answer; refused and cancelled calls are counted apart."""
    refused: int = 0
    cancelled: int = 0
    fresh_in: int = 0
    cache_read: int = 0
    cache_write: int = 0
    visible_out: int = 0
    reasoning: int = 0
    cost_nanos: dict[CostState, int] = field(default_factory=dict[CostState, int])

    @property
    def total_nanos(self) -> int:
        """All states together: say so when you show it."""
        return sum(self.cost_nanos.values())


@contextmanager
def open_readonly(home: Path) -> Generator[sqlite3.Connection]:
    """A reading connection to the projection of a home folder. Raises LedgerError when there is none, or
    it is only just being made."""
    path = home / DATABASE
    if not path.is_file():
        raise _nothing_in(home)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10.0)) as db:
        db.execute("PRAGMA query_only = ON")
        if not db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'progress'").fetchone()[0]:
            raise LedgerError(
                f"the database of receipts in {home} is only just being made: ask again in a moment"
            )
        yield db


@contextmanager
def receipts_now(home: Path) -> Generator[tuple[sqlite3.Connection | None, int]]:
    """As `snapshot`. Raises LedgerError when the home folder has neither a projection nor a log."""
    with snapshot(home) as (db, position):
        if db is None and not (home / "ledger" / "journal").is_dir():
            raise _nothing_in(home)
        yield db, position


def _nothing_in(home: Path) -> LedgerError:
    return LedgerError(
        f"there are no receipts in {home}: start Freehold once, "
        "or make the database from the log with `freehold receipts rebuild`"
    )


def list_receipts(db: sqlite3.Connection, wanted: Filter) -> list[Row]:
    """The newest receipts that match, newest first, at most `limit`."""
    where, values = _where(wanted)
    values["limit"] = wanted.limit
    order = "+seq" if wanted.id_prefix else "seq"  # with an id, its index is the way, not the order
    text = f"SELECT {', '.join(COLUMNS)} FROM calls {where} ORDER BY {order} DESC LIMIT :limit"  # noqa: S608
    return [Row(*cells) for cells in db.execute(text, values)]


def count_receipts(db: sqlite3.Connection, wanted: Filter) -> int:
    """How many receipts match, whatever `limit` says."""
    where, values = _where(wanted)
    count: int = db.execute(f"SELECT count(*) FROM calls {where}", values).fetchone()[0]  # noqa: S608
    return count


def find(home: Path, receipt_id: str) -> tuple[int, Receipt]:
    """The log index and the whole entry of a receipt, by its id or an unambiguous beginning of it.

    Raises LedgerError when there is none, or when several begin so.
    """
    exact, matches = None, list[Row]()
    with receipts_now(home) as (db, position):
        if db is not None:
            exact = db.execute(statements("reports")["find_call"], {"id": receipt_id}).fetchone()
        if db is not None and receipt_id and not exact:
            matches = list_receipts(db, Filter(id_prefix=receipt_id, limit=2))
    folder = LogFolder(home / "ledger")
    if exact:
        return exact[0], _entry(folder, exact[0])
    if len(matches) == 1:
        return matches[0].seq, _entry(folder, matches[0].seq)
    if matches:
        raise LedgerError(
            f"several receipts begin with {receipt_id!r}, for example {matches[0].id} and {matches[1].id}"
        )
    return _find_in_tail(home, position, receipt_id)


def entries_at(home: Path, indexes: Iterable[int]) -> dict[int, Receipt]:
    """The whole entries at these places in the log. Raises LedgerError when one is not there."""
    folder = LogFolder(home / "ledger")
    return {index: _entry(folder, index) for index in indexes}


def costs(
    db: sqlite3.Connection, by: Grouping, since_ms: int | None = None, until_ms: int | None = None
) -> list[CostRow]:
    """Sums per group from the hourly rollups, the dearest first (days and hours in order of time).

    `since_ms` counts from the hour it lies in; `until_ms` up to the hour it lies in, included unless it is
    exactly on its start.
    """
    hours = {
        "first_hour": since_ms // _HOUR_MS if since_ms is not None else -_FOR_EVER,
        "last_hour": -(-until_ms // _HOUR_MS) if until_ms is not None else _FOR_EVER,
    }
    text = statements("reports")["costs"].replace("{name}", _GROUPS[by])
    text = text.replace("{table}", "session_rollups" if by in ("session", "task") else "rollups")
    rows: dict[str, CostRow] = {}
    for name, state, calls, errors, refused, cancelled, nanos, *tokens in db.execute(text, hours):
        row = rows.setdefault(name, CostRow(name))
        row.calls += calls
        row.errors += errors
        row.refused += refused
        row.cancelled += cancelled
        row.cost_nanos[state] = row.cost_nanos.get(state, 0) + nanos
        row.fresh_in += tokens[0]
        row.cache_read += tokens[1]
        row.cache_write += tokens[2]
        row.visible_out += tokens[3]
        row.reasoning += tokens[4]
    if by in ("day", "hour"):
        return sorted(rows.values(), key=lambda row: row.name)
    return sorted(rows.values(), key=lambda row: (-row.total_nanos, -row.calls, row.name))


def totals(db: sqlite3.Connection, since_ms: int | None = None, until_ms: int | None = None) -> CostRow:
    """All groups together."""
    rows = costs(db, "all", since_ms, until_ms)
    return rows[0] if rows else CostRow("")


_EQUALS = ("project", "agent", "session", "task", "deployment", "provider", "outcome", "server")


def _where(wanted: Filter) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {name: value for name in _EQUALS if (value := getattr(wanted, name))}
    parts = [f"{name} = :{name}" for name in values]
    if wanted.kind:  # as a literal, so that the index of deaths is found
        parts.append(_KINDS[wanted.kind])
    if wanted.model:
        parts.append("(model = :model OR model_asked = :model)")
        values["model"] = wanted.model
    if wanted.id_prefix:
        parts.append("id >= :id_prefix AND id < :id_end")
        values |= {"id_prefix": wanted.id_prefix, "id_end": wanted.id_prefix + "\U0010ffff"}
    for name, expression in (
        ("since_ms", "started_ms >= :since_ms"),
        ("until_ms", "started_ms < :until_ms"),
        ("before", "seq < :before"),
    ):
        if getattr(wanted, name) is not None:
            parts.append(expression)
            values[name] = getattr(wanted, name)
    return ("WHERE " + " AND ".join(parts) if parts else ""), values


def _entry(folder: LogFolder, index: int) -> Receipt:
    with LogReader(folder, index) as reader:
        entries = reader.read(1)
    if not entries:
        raise LedgerError(
            f"entry {index} is in the database but not in the log: run `freehold receipts verify`"
        )
    return decode_receipt(entries[0])


def _find_in_tail(home: Path, position: int, receipt_id: str) -> tuple[int, Receipt]:
    for at, entry in entries_from(home, position) if receipt_id else ():
        if receipt_id.encode() in entry:
            receipt = decode_receipt(entry)
            if receipt.id.startswith(receipt_id):
                return at, receipt
    raise LedgerError(f"there is no receipt {receipt_id!r} in {home}")
