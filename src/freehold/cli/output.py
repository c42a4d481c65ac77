"""Printing: tables for people on a terminal, plain columns through a pipe, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from freehold.cli.wording import plain

_PIPE_COLUMNS = 200
_WIDE = 130

STATE_STYLES = {
    "ready": "green",
    "ok": "green",
    "starting": "yellow",
    "loading": "yellow",
    "warn": "yellow",
    "cancelled": "yellow",
    "refused": "yellow",
    "truncated": "red",
    "error": "red",
    "failed": "red",
    "died": "red",
    "backoff": "red",
    "draining": "yellow",
    "stopping": "yellow",
    "fail": "red",
}
"""How the words for a state are coloured, everywhere alike."""


def print_json(value: object) -> None:
    """Writes `value` as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    """The first output stream. Never interprets markup, because much of what is shown came from clients."""
    wide = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(markup=False, highlight=False, emoji=False, width=None if wide else _PIPE_COLUMNS)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table. `>NAME` is a column of numbers, to the right; `=NAME` is never broken over lines."""
    table = Table(
        box=box.SIMPLE_HEAD if sys.stdout.isatty() else None,
        show_edge=False,
        header_style="bold",
        pad_edge=False,
    )
    for column in columns:
        whole = column[0] in ">="
        justify = "right" if column[0] == ">" else "left"
        table.add_column(column[1:] if whole else column, justify=justify, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    console().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values, one per line, names in a column of their own."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, cell(value))
    console().print(grid)


def is_wide() -> bool:
    """Whether there is room for more than a narrow terminal shows."""
    return console().width >= _WIDE


def say(text: str) -> None:
    """One line for a person."""
    console().print(plain(text), soft_wrap=True)


def cell(value: object) -> Text:
    """A value as it may stand in a terminal; words for states have their colour."""
    text = plain(value)
    return Text(text, style=STATE_STYLES.get(text, ""))
