"""`freehold receipts list`: the newest receipts, one per line."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.options import HomeOption, JsonOption, chosen_home
from freehold.cli.output import is_wide, print_json, print_table, say
from freehold.cli.receipts.filters import WhereArgument, chosen_filter
from freehold.cli.receipts.others import TOLD_IN_DETAIL, other_cells
from freehold.cli.wording import clock_time, cost, duration
from freehold.receipts.query import Row, count_receipts, entries_at, list_receipts, open_readonly

_NARROW = (">#", "=TIME", "=OUTCOME", "MODEL", ">IN", ">OUT", ">COST", ">TOOK")
_WIDE = (">#", "=TIME", "=OUTCOME", "MODEL", "ASKED", "PROJECT", ">IN", ">OUT", ">COST", ">TOOK", "=ID")


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
    folder = chosen_home(home)
    with open_readonly(folder) as db:
        rows = list_receipts(db, wanted)
        total = len(rows) if len(rows) < limit else count_receipts(db, wanted)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No receipts match." if where else "There are no receipts yet.")
        return
    wide = is_wide()
    others = entries_at(folder, [row.seq for row in rows if row.kind in TOLD_IN_DETAIL])
    table = [
        other_cells(row, others[row.seq], wide=wide) if row.seq in others else _cells(row, wide=wide)
        for row in rows
    ]
    print_table(_WIDE if wide else _NARROW, table)
    if total > len(rows):
        say(f"{len(rows)} of {total:,}; the next: before={rows[-1].seq}")


def _cells(row: Row, *, wide: bool) -> tuple[object, ...]:
    if row.kind == "death":
        return _death(row, wide=wide)
    model = row.model or row.deployment or "-"
    sums = (
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        cost(row.cost_nanos, row.cost_state),
        duration(row.total_us),
    )
    if not wide:
        return row.seq, clock_time(row.started_ms)[5:16], row.outcome, model, *sums
    asked = "" if row.model_asked == row.model else row.model_asked
    return row.seq, clock_time(row.started_ms), row.outcome, model, asked, row.project, *sums, row.id


def _death(row: Row, *, wide: bool) -> tuple[object, ...]:
    """The end of a model server: it used and cost nothing."""
    how = "stopped" if row.outcome == "ok" else "died"
    if not wide:
        return row.seq, clock_time(row.started_ms)[5:16], how, row.server, "", "", "", ""
    return row.seq, clock_time(row.started_ms), how, row.server, row.error, "", "", "", "", "", row.id
