"""How `freehold costs` shows its answers: tables for people, columns for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.cli.output import print_facts, print_table, say
from freehold.cli.wording import dollars, long_duration, many, roughly
from freehold.costs.exports.tables import Cell, Column
from freehold.receipts.query import CostRow

if TYPE_CHECKING:
    from freehold.app.spending import MonthForecast
    from freehold.costs.disputes import Dispute
    from freehold.costs.flat import FlatCost
    from freehold.costs.local import EnergySums
    from freehold.costs.outcomes import OutcomeCost
    from freehold.costs.savings import Savings

_SURE = ("billed", "computed", "free")
_STATES = ("billed", "computed", "estimated", "unknown", "free")
_COUNTS = (
    "calls",
    "errors",
    "refused",
    "cancelled",
    "fresh_in",
    "cache_read",
    "cache_write",
    "visible_out",
    "reasoning",
)


def tell_sums(by: str, shown: Sequence[CostRow], rows: Sequence[CostRow]) -> None:
    """The table, and the sum of all rows, also of those that are not shown."""
    print_table(
        [by.upper(), ">CALLS", ">FAILED", ">FRESH IN", ">CACHED IN", ">OUT", ">COST", "OF IT UNSURE"],
        [_cells(row) for row in shown],
    )
    total, calls = sum(row.total_nanos for row in rows), sum(row.calls for row in rows)
    more = f" {many(len(rows) - len(shown), 'row')} more." if len(shown) < len(rows) else ""
    say(f"Together {dollars(total)} for {many(calls, 'call')}.{more}")


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


def tell_beside(flat: Sequence[FlatCost], idle: EnergySums) -> None:
    """What is paid beside the calls: subscriptions of the month, and the machine while nothing ran."""
    for each in flat:
        say(
            f"Beside the calls, {each.label}: {dollars(each.until_now_nanos)} until now of "
            f"{dollars(each.month_nanos)} this month{', its cap' if each.capped else ''}; "
            f"its calls are {dollars(each.at_list_nanos)} at their prices."
        )
    if idle.idle_nanos:
        time = long_duration(idle.idle_ms // 1000)
        say(f"The machine while no call ran: {dollars(idle.idle_nanos)} in {time}.")


def tell_forecast(found: MonthForecast) -> None:
    """One month."""
    calls = found.calls
    band = f"{roughly(calls.low_nanos)} to {roughly(calls.high_nanos)}, nine times of ten"
    facts: list[tuple[str, object]] = [
        ("month", f"{found.month}, until {calls.until.isoformat()}"),
        ("calls until now", dollars(calls.spent_nanos)),
        ("calls at its end", f"{roughly(calls.expected_nanos)} ({band})"),
    ]
    facts += [(each.label, f"{dollars(each.month_nanos)} this month") for each in found.flat]
    if found.flat:
        facts.append(("together", roughly(calls.expected_nanos + found.flat_nanos)))
    facts.append(("made from", many(calls.known_days, "whole day")))
    print_facts(facts)


def tell_savings(found: Savings, top: int | None) -> None:
    """What each deployment saved, and all together."""
    if not found.rows:
        say("There are no calls with tokens in this time.")
        return
    print_table(
        ["ANSWERED BY", "HOW", ">CALLS", ">COST", ">BASELINE", ">SAVED"],
        [
            (
                row.deployment,
                row.kind,
                f"{row.calls:,}",
                *map(dollars, (row.cost_nanos, row.baseline_nanos, row.saved_nanos)),
            )
            for row in found.rows[:top]
        ],
    )
    say(
        f"Saved {dollars(found.saved_nanos)} of {dollars(found.baseline_nanos)} ({found.share:.1%}): "
        f"what {found.baseline} would have cost for the same tokens."
    )
    if found.unknown_calls:
        left_out = many(found.unknown_calls, "call")
        say(f"Left out: {left_out} of which nobody knows the cost.")


def tell_outcomes(by: str, found: Sequence[OutcomeCost]) -> None:
    """What good answers cost."""
    if not found:
        say("No answer in this time was judged: outcomes come from POST /api/v1/outcomes.")
        return
    print_table(
        [by.upper(), ">JUDGED", ">GOOD", ">NOT JUDGED", ">COST", ">COST OF A GOOD ONE"],
        [
            (
                row.name or "(none)",
                f"{row.judged:,}",
                f"{row.good:,}",
                f"{row.unjudged:,}",
                dollars(row.cost_nanos),
                "" if row.nanos_per_good is None else dollars(row.nanos_per_good),
            )
            for row in found
        ],
    )


def tell_disputes(found: Sequence[Dispute]) -> None:
    """Where tables differ."""
    if not found:
        say("All price tables agree with the receipts, within half a percent.")
        return
    print_table(
        ["MODEL", ">CALLS", ">RECEIPTS", "OTHER TABLE", ">ITS FIGURE", ">DIFFERENCE"],
        [
            (
                f"{each.provider}/{each.model}",
                f"{each.calls:,}",
                dollars(each.receipts_nanos),
                each.source,
                dollars(each.source_nanos),
                dollars(each.source_nanos - each.receipts_nanos),
            )
            for each in found
        ],
    )


def sum_columns(by: str) -> tuple[Column, ...]:
    """The columns of sums in a file; money by who vouches for it."""
    return (
        Column(by),
        *(Column(name, "integer") for name in _COUNTS),
        *(Column(f"cost_{state}_usd", "money") for state in _STATES),
        Column("cost_usd", "money"),
    )


def sum_cells(row: CostRow) -> list[Cell]:
    """The cells of `sum_columns`."""
    counts = [getattr(row, name) for name in _COUNTS]
    by_state = {str(state): nanos for state, nanos in row.cost_nanos.items()}
    return [row.name, *counts, *(by_state.get(state, 0) for state in _STATES), row.total_nanos]
