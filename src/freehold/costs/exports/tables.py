"""Rows of typed columns as CSV or Parquet. Rows stream; memory stays bounded.

Money is nano-USD in a row and becomes US dollars here, exactly: text with up to nine decimals in CSV,
`decimal(38, 9)` in Parquet. Times are milliseconds, and become ISO 8601 in UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from freehold.core.errors import FreeholdError

Kind = Literal["text", "money", "integer", "time"]
FileKind = Literal["csv", "parquet"]
Cell = str | int | None
_PAGE = 5_000


class Column(NamedTuple):
    """What a column is called, and what its cells are."""

    name: str
    kind: Kind = "text"


class ExportError(FreeholdError):
    """The file cannot be made; the text says what to do."""


def write_file(path: Path, kind: FileKind, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """Write all rows, whole or not at all; returns how many. Raises ExportError."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as out:
            count = write(out, kind, columns, rows)
        part.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def write(out: BinaryIO, kind: FileKind, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """Write all rows to an open file; returns how many. Raises ExportError when Parquet needs a package."""
    return _write_csv(out, columns, rows) if kind == "csv" else _write_parquet(out, columns, rows)


def usd(nanos: int) -> str:
    """Nano-USD in US dollars, exactly, without exponents or needless zeros."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    whole, rest = divmod(nanos, 10**9)
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".")


def iso_time(at_ms: int) -> str:
    """`2026-11-21T04:00:00.125Z`; without milliseconds when there are none."""
    precision = "milliseconds" if at_ms % 1000 else "seconds"
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _write_csv(out: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([column.name for column in columns])
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is how many there were
        writer.writerow([_as_text(cell, column) for cell, column in zip(row, columns, strict=True)])
    text.detach()
    return count


def _as_text(cell: Cell, column: Column) -> Cell:
    if not isinstance(cell, int):
        return _tame(cell) if cell else cell
    if column.kind == "money":
        return usd(cell)
    return iso_time(cell) if column.kind == "time" else cell


def _tame(text: str) -> str:
    """Names come from clients: a spreadsheet must not take one for a formula."""
    return f"'{text}" if text[0] in "=+-@\t\r" else text


def _write_parquet(out: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    try:
        arrow: Any = import_module("pyarrow")  # optional, and half a second to import
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as cause:
        raise ExportError(
            "Parquet needs the package pyarrow: pip install 'freehold[parquet]'. CSV needs nothing."
        ) from cause
    types = {
        "text": arrow.string(),
        "money": arrow.decimal128(38, 9),
        "integer": arrow.int64(),
        "time": arrow.timestamp("ms", tz="UTC"),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in columns])
    count = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for page in _pages(rows):
            cells = [
                [_as_decimal(row[at]) if column.kind == "money" else row[at] for row in page]
                for at, column in enumerate(columns)
            ]
            writer.write_table(arrow.table(cells, schema=schema))
            count += len(page)
    return count


def _as_decimal(cell: Cell) -> Decimal | None:
    return Decimal(cell).scaleb(-9) if isinstance(cell, int) else None


def _pages(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Sequence[Cell]]]:
    source = iter(rows)
    while page := list(islice(source, _PAGE)):
        yield page
