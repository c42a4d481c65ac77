"""Sums of receipts by any dimensions, with every bucket of their usage; and the calls themselves, one by one.

`query` answers the questions of lists and pages; this is for what computes with money: forecasts, savings,
exports. Sums come from the hourly rollups, so a span counts from the hour that it begins in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from freehold.core.usage import Usage
from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.statements import statements

Dimension = Literal[
    "project", "agent", "session", "task", "key", "model", "deployment", "provider", "server", "hour"
]
By = Literal[Dimension, "day", "week", "month", "all"]
"""What a report may be summed by: times that are no hours are put together from them."""

_EXPRESSIONS: Mapping[Dimension, str] = {
    "project": "project",
    "agent": "agent",
    "session": "session",
    "task": "task",
    "key": "via_key",
    "model": "model",
    "deployment": "deployment",
    "provider": "provider",
    # A deployment without a provider is a model server, and has its name.
    "server": "CASE provider WHEN '' THEN deployment ELSE '' END",
    "hour": "hour",
}
_BUCKETS = Usage.__struct_fields__
_HOUR_MS = 3_600_000
_PAGE = 512


class Between(msgspec.Struct, frozen=True):
    """From `since_ms` up to `until_ms`, which is not in it."""

    since_ms: int
    until_ms: int


class SumRow(msgspec.Struct, frozen=True, kw_only=True):
    """One group, of one cost state. `by` has the values of the dimensions asked for; an hour is a number:
    hours since 1970. Money is nano-USD."""

    by: tuple[str | int, ...]
    cost_state: str
    calls: int
    errors: int
    refused: int
    cancelled: int
    total_us: int
    cost_nanos: int
    usage: Usage


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as far as money is concerned. `usage` is that of the answer which was given."""

    seq: int
    id: str
    started_ms: int
    project: str
    agent: str
    session: str
    task: str
    via_key: str
    model: str
    deployment: str
    provider: str
    server: str
    outcome: str
    cost_state: str
    price_terms: str
    cost_nanos: int
    other_nanos: int
    """So much of it was for answers that were not given."""
    total_us: int
    usage: Usage


def sums(
    db: sqlite3.Connection,
    by: Sequence[Dimension],
    between: Between,
    where: Mapping[Dimension, str] | None = None,
) -> list[SumRow]:
    """Sums by `by` and cost state, of the calls that match all of `where`."""
    chosen = where or {}
    table = "session_rollups" if {"session", "task"} & {*by, *chosen} else "rollups"
    text = _filled("sums", chosen).replace("{table}", table)
    text = text.replace("{dimensions}", ", ".join(_EXPRESSIONS[each] for each in by) or "''")
    count = max(1, len(by))
    text = text.replace("{numbers}", ", ".join(str(number + 1) for number in range(count + 1)))
    hours = {
        "first_hour": between.since_ms // _HOUR_MS,
        "last_hour": -(-between.until_ms // _HOUR_MS),
    }
    return [_sum_row(cells, len(by), count) for cells in db.execute(text, hours | _values(chosen))]


def calls(
    db: sqlite3.Connection, between: Between, where: Mapping[Dimension, str] | None = None
) -> Iterator[CallRow]:
    """Every call that began between, in the order of the log."""
    chosen = where or {}
    values = {"since_ms": between.since_ms, "until_ms": between.until_ms} | _values(chosen)
    names = CallRow.__struct_fields__[:-1]
    for cells in db.execute(_filled("calls", chosen), values):
        yield CallRow(
            **dict(zip(names, cells, strict=False)),
            usage=Usage(**dict(zip(_BUCKETS, cells[len(names) :], strict=True))),
        )


def entries_between(db: sqlite3.Connection, home: Path, between: Between) -> Iterator[Receipt]:
    """Every call that began between, whole, as the log has it and in its order."""
    values = {"since_ms": between.since_ms, "until_ms": between.until_ms}
    first, last = db.execute(statements("sums")["entries"], values).fetchone()
    with LogReader(LogFolder(home / "ledger"), first) as reader:
        while reader.index < last and (entries := reader.read(min(_PAGE, last - reader.index))):
            for entry in entries:
                try:
                    receipt = decode_receipt(entry)
                except msgspec.MsgspecError:
                    continue
                if receipt.kind == "call" and between.since_ms <= receipt.started_ms < between.until_ms:
                    yield receipt


def earliest_ms(db: sqlite3.Connection) -> int | None:
    """The hour of the first call; None when there is none."""
    hour: int | None = db.execute(statements("sums")["earliest"]).fetchone()[0]
    return None if hour is None else hour * _HOUR_MS


def _sum_row(cells: tuple[Any, ...], given: int, count: int) -> SumRow:
    state, calls_, errors, refused, cancelled, total_us, nanos = cells[count : count + 7]
    return SumRow(
        by=cells[:given],
        cost_state=state,
        calls=calls_,
        errors=errors,
        refused=refused,
        cancelled=cancelled,
        total_us=total_us,
        cost_nanos=nanos,
        usage=Usage(**dict(zip(_BUCKETS, cells[count + 7 :], strict=True))),
    )


def _filled(name: str, where: Mapping[Dimension, str]) -> str:
    parts = "".join(f" AND {_EXPRESSIONS[each]} = :where_{each}" for each in where)
    return statements("sums")[name].replace("{where}", parts)


def _values(where: Mapping[Dimension, str]) -> dict[str, Any]:
    return {f"where_{each}": value for each, value in where.items()}
