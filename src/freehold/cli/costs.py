"""`freehold costs`: what calls cost, by project, model, day, ..."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, get_args

import typer

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.wording import dollars, moment_ms
from freehold.receipts.query import CostRow, Grouping, open_readonly
from freehold.receipts.query import costs as sums

app = typer.Typer(add_completion=False)

_SURE = ("billed", "computed", "free")


@app.command()
def costs(
    by: Annotated[
        Grouping, typer.Option("--by", metavar="|".join(get_args(Grouping)), help="What to sum by.")
    ] = "project",
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="An age (24h, 7d) or a date, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="As --since.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sum up calls, tokens and costs from the receipts. Times count in whole hours."""
    now_ms = time.time_ns() // 1_000_000
    since_ms, until_ms = (moment_ms(text, now_ms) if text else None for text in (since, until))
    with open_readonly(chosen_home(home)) as db:
        rows = sums(db, by, since_ms, until_ms)
    if as_json:
        print_json([{**asdict(row), "total_nanos": row.total_nanos} for row in rows])
    elif not rows:
        say("There are no receipts in this time.")
    else:
        _tell(by, rows)


def _tell(by: Grouping, rows: list[CostRow]) -> None:
    print_table(
        [by.upper(), ">CALLS", ">FAILED", ">FRESH IN", ">CACHED IN", ">OUT", ">COST", "OF IT UNSURE"],
        [_cells(row) for row in rows],
    )
    total, calls = sum(row.total_nanos for row in rows), sum(row.calls for row in rows)
    say(f"Together {dollars(total)} for {calls:,} calls.")


def _cells(row: CostRow) -> tuple[object, ...]:
    unsure = [
        f"{dollars(nanos)} {state}" if nanos else state
        for state, nanos in row.cost_nanos.items()
        if state not in _SURE
    ]
    return (
        row.name or "(none)",
        f"{row.calls:,}",
        f"{row.errors + row.refused:,}" if row.errors + row.refused else "",
        f"{row.fresh_in:,}",
        f"{row.cache_read + row.cache_write:,}",
        f"{row.visible_out + row.reasoning:,}",
        dollars(row.total_nanos),
        ", ".join(unsure),
    )
