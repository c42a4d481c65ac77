"""The options of `freehold costs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from freehold.cli.options import ConfigOption, HomeOption, JsonOption
from freehold.costs.exports.focus import Version
from freehold.receipts.sums import By, Dimension

FIELDS: tuple[str, ...] = tuple(name for name in get_args(Dimension) if name != "hour")


class CostOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `freehold costs` can be asked."""

    where: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD=VALUE",
            help=f"Only calls that match all of these. Fields: {', '.join(FIELDS)}.",
            show_default=False,
        ),
    ] = None
    by: Annotated[By, typer.Option("--by", metavar="|".join(get_args(By)), help="What to sum by.")] = (
        "project"
    )
    since: Annotated[str | None, typer.Option(metavar="TIME", help="An age (24h, 7d) or a date, in UTC.")] = (
        None
    )
    until: Annotated[str | None, typer.Option(metavar="TIME", help="As --since.")] = None
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="One month: 2026-11, `this` or `last`.")
    ] = None
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Where days and months begin: Europe/Vienna.")
    ] = "UTC"
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Only the first N rows.")] = (
        None
    )
    forecast: Annotated[
        bool, typer.Option("--forecast", help="What this month will have cost at its end.")
    ] = False
    savings: Annotated[
        bool, typer.Option("--savings", help="What the baseline would have cost for the same tokens.")
    ] = False
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="PROVIDER/MODEL",
            help="For --savings. Otherwise routing.baseline, or the dearest of the premium tier.",
        ),
    ] = None
    per_outcome: Annotated[
        bool, typer.Option("--per-outcome", help="What a good answer cost, where answers were judged.")
    ] = False
    disputed: Annotated[
        bool, typer.Option("--disputed", help="Models whose price two tables give differently.")
    ] = False
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the sums to a file.")] = (
        None
    )
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="As --csv; needs pyarrow.")
    ] = None
    focus: Annotated[
        Path | None,
        typer.Option(
            "--focus",
            metavar="FILE",
            help="Write the charges of whole months as FOCUS, to a file .csv or .parquet.",
        ),
    ] = None
    focus_version: Annotated[
        Version, typer.Option("--focus-version", metavar="|".join(get_args(Version)), help="Of FOCUS.")
    ] = "1.4"
    config: ConfigOption = None
    home: HomeOption = None
    as_json: JsonOption = False
