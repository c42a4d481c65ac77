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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """One table. A column whose name begins with `>` is aligned to the right."""
    table = Table(
        box=box.SIMPLE_HEAD if sys.stdout.isatty() else None,
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        pad_edge=False,
    )
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
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


def say(text: str) -> None:
    """One line for a person."""
    console().print(plain(text), soft_wrap=True)


def cell(value: object) -> Text:
    """A value as it may stand in a terminal; words for states have their colour."""
    text = plain(value)
    return Text(text, style=STATE_STYLES.get(text, ""))
