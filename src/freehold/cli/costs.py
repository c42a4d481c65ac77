"""`freehold costs`: what calls cost, will cost and saved, by project, model, day, ..., and as files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from zoneinfo import ZoneInfo

import msgspec
import typer

from freehold.cli import cost_words as words
from freehold.cli.cost_options import FIELDS, CostOptions
from freehold.cli.option_struct import takes
from freehold.cli.options import chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.wording import many, moment_ms
from freehold.core.config import Config
from freehold.core.config_file import load_config
from freehold.core.errors import ConfigError
from freehold.costs.windows import HOUR_MS, month_span, span_at
from freehold.receipts.query import CostRow, open_readonly
from freehold.receipts.sums import Between, By, Dimension

if TYPE_CHECKING:
    from freehold.app.spending import Spending

app = typer.Typer(add_completion=False)


@app.command()
@takes(CostOptions)
def costs(options: CostOptions) -> None:
    """Sum up calls, tokens and costs from the receipts. Times count in whole hours.

    Reads the state folder, beside a running Freehold or without one.
    """
    now_ms = time.time_ns() // 1_000_000
    zone = _zone(options.time_zone)
    asked = [
        answer
        for wanted, answer in (
            (options.forecast, _forecast),
            (options.savings, _savings),
            (options.per_outcome, _per_outcome),
            (options.disputed, _disputed),
            (options.focus is not None, _focus),
        )
        if wanted
    ]
    if len(asked) > 1:
        raise typer.BadParameter("ask for one of --forecast, --savings, --per-outcome, --disputed, --focus")
    # FOCUS has whole billing periods, which are months of UTC.
    between = _between(options, now_ms, UTC if options.focus is not None else zone)
    with _spending(options, now_ms, zone, strict=bool(asked)) as spending:
        answer = asked[0] if asked else _sums
        answer(options, spending, between)


Answer = Callable[[CostOptions, "Spending", Between], None]


def _sums(options: CostOptions, spending: Spending, between: Between) -> None:
    rows = spending.rows(options.by, between, _where(options))
    shown = rows[: options.top] if options.top else rows
    file = options.csv or options.parquet
    if file is not None:
        _written(options, file, _write_sums(file, "csv" if options.csv else "parquet", options.by, shown))
    elif options.as_json:
        print_json([{**asdict(row), "total_nanos": row.total_nanos} for row in shown])
    elif not rows:
        say("There are no receipts in this time.")
    else:
        words.tell_sums(options.by, shown, rows)
        if not options.where:
            last_ms = max(between.since_ms, between.until_ms - 1)
            words.tell_beside(spending.flat_at(last_ms), spending.idle(between))


def _forecast(options: CostOptions, spending: Spending, between: Between) -> None:
    found = spending.month_forecast(_where(options))
    if options.as_json:
        print_json({**msgspec.to_builtins(found), "flat_nanos": found.flat_nanos})
    else:
        words.tell_forecast(found)


def _savings(options: CostOptions, spending: Spending, between: Between) -> None:
    found = spending.savings(between, _where(options), options.baseline)
    if options.as_json:
        rows = [{**msgspec.to_builtins(row), "saved_nanos": row.saved_nanos} for row in found.rows]
        sums = {name: getattr(found, name) for name in ("cost_nanos", "baseline_nanos", "saved_nanos")}
        print_json({"baseline": found.baseline, **sums, "unknown_calls": found.unknown_calls, "rows": rows})
    else:
        words.tell_savings(found, options.top)


def _per_outcome(options: CostOptions, spending: Spending, between: Between) -> None:
    found = spending.per_outcome(options.by, between, _where(options))[: options.top]
    if options.as_json:
        print_json([{**msgspec.to_builtins(row), "nanos_per_good": row.nanos_per_good} for row in found])
    else:
        words.tell_outcomes(options.by, found)


def _disputed(options: CostOptions, spending: Spending, between: Between) -> None:
    found = spending.disputes(between, _where(options))[: options.top]
    if options.as_json:
        print_json(found)
    else:
        words.tell_disputes(found)


def _focus(options: CostOptions, spending: Spending, between: Between) -> None:
    from freehold.app.focus import charges  # noqa: PLC0415 - only this pays for it
    from freehold.costs.exports.focus import columns, row  # noqa: PLC0415
    from freehold.costs.exports.tables import write_file  # noqa: PLC0415

    file = cast(Path, options.focus)
    kind = "parquet" if file.suffix in (".parquet", ".pq") else "csv"
    version = options.focus_version
    if not options.since and not options.month:
        between = Between(spending.earliest_ms() or between.until_ms, between.until_ms)
    rows = (row(charge, version) for charge in charges(spending, between))
    _written(options, file, write_file(file, kind, columns(version), rows))


def _write_sums(file: Path, kind: Literal["csv", "parquet"], by: By, rows: Sequence[CostRow]) -> int:
    from freehold.costs.exports.tables import write_file  # noqa: PLC0415

    return write_file(file, kind, words.sum_columns(by), [words.sum_cells(row) for row in rows])


def _written(options: CostOptions, file: Path, count: int) -> None:
    if options.as_json:
        print_json({"file": str(file), "rows": count})
    else:
        say(f"{many(count, 'row')} written to {file}.")


# -- what was asked


@contextmanager
def _spending(options: CostOptions, now_ms: int, zone: tzinfo, *, strict: bool) -> Generator[Spending]:
    from freehold.app.spending import Spending  # noqa: PLC0415 - after the options are known to be good

    home = chosen_home(options.home)
    with open_readonly(home) as db:
        yield Spending(home, _config(options, strict=strict), db, now_ms, zone)


def _config(options: CostOptions, *, strict: bool) -> Config:
    """Sums need no configuration, so a mistake in it does not keep them back, unless it was named."""
    try:
        return load_config(options.config, os.environ, Path.cwd()).config
    except ConfigError as error:
        if strict or options.config:
            raise
        print(f"freehold: subscriptions are left out: {error}", file=sys.stderr)
    return Config()


def _between(options: CostOptions, now_ms: int, zone: tzinfo) -> Between:
    if options.month is None:
        since, until = (moment_ms(text, now_ms) if text else None for text in (options.since, options.until))
        return Between(0 if since is None else since, now_ms + 1 if until is None else until)
    if options.since or options.until:
        raise typer.BadParameter("--month and --since or --until exclude each other")
    this = span_at("month", now_ms, zone)
    if options.month in ("this", "last"):
        span = this if options.month == "this" else span_at("month", this.start_ms - 1, zone)
    else:
        try:
            first = datetime.strptime(options.month, "%Y-%m")
        except ValueError:
            raise typer.BadParameter(f"{options.month!r} is no month; write 2026-11, this or last") from None
        span = month_span(first.year, first.month, zone)
    # Sums are of whole hours (UTC): the one in which a month begins, in zones of half hours, is in no other.
    return Between(*(end_ms - end_ms % HOUR_MS for end_ms in span))


def _where(options: CostOptions) -> dict[Dimension, str]:
    found: dict[Dimension, str] = {}
    for word in options.where or ():
        field, equals, value = word.partition("=")
        if not equals or field not in FIELDS:
            hint = f"; to sum by one, say --by {value or 'model'}" if field == "by" else ""
            raise typer.BadParameter(f"{word!r} is not FIELD=VALUE; fields are {', '.join(FIELDS)}{hint}")
        found[cast("Dimension", field)] = value
    return found


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(f"{name!r} is no time zone; write it like Europe/Vienna") from None
