"""`freehold receipts export`: receipts as CSV, JSON lines or Parquet, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.receipts.filters import WhereArgument, chosen_filter
from freehold.receipts.export import Format, export_file
from freehold.receipts.export import export as write
from freehold.receipts.query import open_readonly


def export(
    where: WhereArgument = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write here; its ending chooses the format."),
    ] = None,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format", metavar="|".join(get_args(Format)), help="Otherwise the file's ending, or CSV."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write receipts as CSV, JSON lines or Parquet, newest first. Without --out, to standard output."""
    chosen = chosen_format(kind, out, as_json=as_json)
    if chosen == "parquet" and out is None and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not for a terminal: name a file with --out")
    with open_readonly(chosen_home(home)) as db:
        wanted = chosen_filter(where, limit=0)
        if out is None:
            write(db, wanted, chosen, sys.stdout.buffer)
            return
        count = export_file(db, wanted, chosen, out)
    if as_json:
        print_json({"file": str(out), "format": chosen, "receipts": count})
    else:
        say(f"{count:,} receipts written to {out}.")


def chosen_format(kind: Format | None, out: Path | None, *, as_json: bool) -> Format:
    """The format that was named, or that the file's ending says, or the usual one."""
    if kind:
        return kind
    ending = out.suffix.removeprefix(".").lower() if out else ""
    ending = {"json": "jsonl", "ndjson": "jsonl", "pq": "parquet"}.get(ending, ending)
    for known in get_args(Format):
        if ending == known:
            return known
    if ending:
        raise typer.BadParameter(
            f"the ending .{ending} is no known format: say --format csv, jsonl or parquet"
        )
    return "jsonl" if as_json else "csv"
