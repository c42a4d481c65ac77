"""`freehold limits`: what is left of what providers allow."""

from __future__ import annotations

import time
from collections.abc import Sequence

import typer

from freehold.cli.control_client import told_by_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.wording import clock_time, long_duration
from freehold.costs.limits.window import LimitView

app = typer.Typer(add_completion=False)


@app.command()
def limits(home: HomeOption = None, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show what is left of providers' limits, and how long it lasts at the present pace.

    Asks the running Freehold; without one, what it last knew is in the state folder.
    """
    from freehold.app.limits import kept_limits  # noqa: PLC0415 - brings asyncio

    now_ms, state = time.time_ns() // 1_000_000, chosen_home(home)
    found: Sequence[LimitView] | None = told_by_running(state, url, "/api/v1/limits", list[LimitView])
    if found is None:
        found = kept_limits(state, now_ms)
    if as_json:
        print_json(found)
    elif not found:
        say("No provider has told a limit yet: they do in their answers.")
    else:
        print_table(
            ["PROVIDER", "MODEL", "LIMIT", ">LEFT", "FILLED AGAIN", ">USED AN HOUR", "LASTS"],
            [_cells(view, now_ms) for view in found],
        )


def _cells(view: LimitView, now_ms: int) -> tuple[object, ...]:
    return (
        view.provider,
        view.model or "all",
        view.window,
        _left(view),
        f"in {long_duration((view.resets_ms - now_ms) // 1000)}" if view.resets_ms else "",
        _amount(view, view.used_per_hour) if view.used_per_hour else "",
        _lasts(view, now_ms),
    )


def _left(view: LimitView) -> str:
    if view.left is None:
        return view.status or "?"
    counted = view.unit != "share" and view.limit is not None
    return _amount(view, view.left) + (f" of {view.limit:,}" if counted else "")


def _amount(view: LimitView, amount: int) -> str:
    return f"{amount / 10_000:.1f} %" if view.unit == "share" else f"{amount:,}"


def _lasts(view: LimitView, now_ms: int) -> str:
    """`until 14:10 (13:40 to 15:20)`, `until it is filled again`, or nothing where no pace is known."""
    if view.left == 0 or view.status == "rejected":
        return "used up"
    if not view.used_per_hour:
        return ""
    if view.gone_ms is None or view.gone_early_ms is None:
        return "until it is filled again"
    days = (view.gone_ms - now_ms) >= 86_400_000
    shown, early = (_moment(at, days) for at in (view.gone_ms, view.gone_early_ms))
    late = _moment(view.gone_late_ms, days) if view.gone_late_ms is not None else "never"
    return f"until {shown} ({early} to {late})"


def _moment(at_ms: int, days: bool) -> str:
    """In the machine's own time."""
    return clock_time(at_ms)[:16] if days else clock_time(at_ms)[11:16]
