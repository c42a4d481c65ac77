"""`freehold receipts list`: the newest receipts, one per line."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.receipts.filters import WhereArgument, chosen_filter
from freehold.cli.wording import clock_time, cost, duration
from freehold.receipts.query import Row, count_receipts, list_receipts, open_readonly


def list_(
    where: WhereArgument = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many at most.")
    ] = 25,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest receipts, for example: freehold receipts list project=site outcome=error since=2h"""
    wanted = chosen_filter(where, limit)
    with open_readonly(chosen_home(home)) as db:
        rows = list_receipts(db, wanted)
        total = len(rows) if len(rows) < limit else count_receipts(db, wanted)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No receipts match." if where else "There are no receipts yet.")
        return
    print_table(
        ["#", "TIME", "OUTCOME", "MODEL", "ASKED", "PROJECT", ">IN", ">OUT", ">COST", ">TOOK", "ID"],
        [_cells(row) for row in rows],
    )
    if total > len(rows):
        say(f"{len(rows)} of {total:,}; the next: before={rows[-1].seq}")


def _cells(row: Row) -> tuple[object, ...]:
    return (
        row.seq,
        clock_time(row.started_ms),
        row.outcome,
        row.model or row.deployment or "-",
        "" if row.model_asked == row.model else row.model_asked,
        row.project,
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        cost(row.cost_nanos, row.cost_state),
        duration(row.total_us),
        row.id,
    )
