"""Receipts as files for other programs: CSV, JSON lines, Parquet. Rows stream; memory stays bounded."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from freehold.core.errors import FreeholdError
from freehold.receipts.query import Filter, Row, list_receipts
from freehold.receipts.rows import COLUMNS, TEXT_COLUMNS

Format = Literal["csv", "jsonl", "parquet"]
_PAGE = 5_000


class ExportError(FreeholdError):
    """The export cannot be made; the text says what to install."""


def export(db: sqlite3.Connection, wanted: Filter, kind: Format, out: BinaryIO) -> int:
    """Write the receipts that match, newest first (`limit` 0: all); returns how many.

    Raises ExportError when Parquet is asked for and pyarrow is not installed.
    """
    pages = _pages(db, wanted)
    if kind == "csv":
        return _write_csv(pages, out)
    if kind == "jsonl":
        return _write_json_lines(pages, out)
    return _write_parquet(pages, out)


def _pages(db: sqlite3.Connection, wanted: Filter) -> Iterator[list[Row]]:
    left = wanted.limit or 1 << 62
    while left:
        page = list_receipts(db, replace(wanted, limit=min(left, _PAGE)))
        if not page:
            return
        yield page
        left -= len(page)
        wanted = replace(wanted, before=page[-1].seq)


def _write_csv(pages: Iterator[list[Row]], out: BinaryIO) -> int:
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for page in pages:
        writer.writerows([_tame(getattr(row, name)) for name in COLUMNS] for row in page)
        count += len(page)
    text.detach()
    return count


def _tame(cell: str | int) -> str | int:
    """Names come from clients: a spreadsheet must not take one for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell


def _write_json_lines(pages: Iterator[list[Row]], out: BinaryIO) -> int:
    count = 0
    for page in pages:
        out.write(msgspec.json.Encoder().encode_lines([asdict(row) for row in page]))
        count += len(page)
    return count


def _write_parquet(pages: Iterator[list[Row]], out: BinaryIO) -> int:
    try:
        arrow: Any = import_module("pyarrow")  # optional, and half a second to import
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as cause:
        raise ExportError(
            "Parquet needs the package pyarrow: pip install 'freehold[parquet]'. CSV and JSON need nothing."
        ) from cause
    schema = arrow.schema(
        [(name, arrow.string() if name in TEXT_COLUMNS else arrow.int64()) for name in COLUMNS]
    )
    count = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for page in pages:
            columns = [[getattr(row, name) for row in page] for name in COLUMNS]
            writer.write_table(arrow.table(columns, schema=schema))
            count += len(page)
    return count


def export_file(db: sqlite3.Connection, wanted: Filter, kind: Format, path: Path) -> int:
    """`export` into a file, whole or not at all."""
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as out:
            count = export(db, wanted, kind, out)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count
