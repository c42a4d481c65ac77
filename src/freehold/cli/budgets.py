"""`freehold budgets`: what may still be spent, by whom, until when."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from freehold.app.budgets import look
from freehold.cli.control_client import find_own, told_by_running
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.wording import clock_time, dollars
from freehold.core.config_file import load_config
from freehold.costs.budgets.views import BudgetView
from freehold.web.money import GrantIn

app = typer.Typer(add_completion=False, invoke_without_command=True)

_ROWS = 20
_PATH = "/api/v1/budgets"


@app.callback()
def budgets(
    context: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="Everyone of a budget for each, not only those who used most.")
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how budgets stand: spent, held by calls under way, left, and until when.

    Asks the running Freehold. Without one, and with --config, the configuration and the state folder tell.
    """
    if context.invoked_subcommand is not None:
        return
    state = chosen_home(home)
    where = ""
    rows: Sequence[BudgetView] | None = None
    if config is None or url is not None:
        rows = told_by_running(state, url, _PATH, list[BudgetView])
    if rows is None:
        loaded = load_config(config, os.environ, Path.cwd())
        rows = look(state, loaded.config.budgets, _now_ms())
        where = f" ({loaded.file or 'no configuration file was found'})"
    if as_json:
        print_json(rows)
    elif not rows:
        say(f"There are no budgets{where}.")
    else:
        _tell(rows, _now_ms(), every=every)


@app.command()
def grant(
    budget: Annotated[
        str, typer.Argument(metavar="BUDGET", help="As it is called in `freehold budgets` and in refusals.")
    ],
    usd: Annotated[float, typer.Argument(metavar="USD", help="How much more. To take back: -- -0.5.")],
    home: HomeOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow a budget more than its limit, until its window ends. Calls that were refused pass from now on."""
    client = find_own(chosen_home(home), url)
    row = client.post(f"{_PATH}/grant", BudgetView, body=GrantIn(budget=budget, usd=usd))
    if as_json:
        print_json(row)
    else:
        _tell((row,), _now_ms(), every=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tell(rows: Sequence[BudgetView], now_ms: int, *, every: bool) -> None:
    seen = Counter[str]()
    shown: list[BudgetView] = []
    for row in rows:  # those who have used most come first
        seen[row.label] += 1
        if every or seen[row.label] <= _ROWS:
            shown.append(row)
    print_table(
        ["BUDGET", ">LIMIT", ">SPENT", ">HELD", ">LEFT", "RESETS", "USED UP"],
        [_cells(row, now_ms) for row in shown],
    )
    if len(shown) < len(rows):
        say(f"{len(rows) - len(shown)} more with --all.")


def _cells(row: BudgetView, now_ms: int) -> tuple[object, ...]:
    spent = dollars(row.spent_nanos + row.expired_nanos)
    return (
        row.budget if row.hard else f"{row.budget}, watched",
        dollars(row.limit_nanos),
        f"{spent}, {dollars(row.expired_nanos)} of it unseen" if row.expired_nanos else spent,
        dollars(row.held_nanos) if row.held_nanos else "",
        dollars(row.left_nanos),
        _when(row),
        "" if row.used_up_ms is None else _used_up(row.used_up_ms, now_ms),
    )


def _when(row: BudgetView) -> str:
    if row.resets_ms is not None:
        return clock_time(row.resets_ms)[:-3]
    return "never" if row.starts_ms is None else "bit by bit"


def _used_up(at_ms: int, now_ms: int) -> str:
    return "now" if at_ms <= now_ms else clock_time(at_ms)[:-3]
