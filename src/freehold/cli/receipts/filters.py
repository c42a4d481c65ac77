"""Which receipts: `FIELD=VALUE` words of the command line become a `Filter`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, get_args

import typer

from freehold.cli.wording import moment_ms
from freehold.receipts.entries import Outcome
from freehold.receipts.query import Filter, Kind

_TEXTS = {
    "project": "project",
    "agent": "agent",
    "session": "session",
    "task": "task",
    "model": "model",
    "deployment": "deployment",
    "provider": "provider",
    "server": "server",
    "kind": "kind",
    "outcome": "outcome",
    "id": "id_prefix",
}
_TIMES = {"since": "since_ms", "until": "until_ms"}
FIELDS = (*_TEXTS, *_TIMES, "before")


def _complete(typed: str) -> Iterable[str]:
    return [f"{field}=" for field in FIELDS if field.startswith(typed)]


WhereArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FIELD=VALUE",
        help=f"Only those that match all of these. Fields: {', '.join(FIELDS)}. Times are an age (2h, 7d) or "
        "a date in UTC; before=N continues a list below its last number.",
        autocompletion=_complete,
        show_default=False,
    ),
]


def chosen_filter(words: Sequence[str] | None, limit: int) -> Filter:
    """The filter that `words` say, now. Raises typer.BadParameter, or FreeholdError for a bad time."""
    return parse_filter(words or [], limit, time.time_ns() // 1_000_000)


def parse_filter(words: Sequence[str], limit: int, now_ms: int) -> Filter:
    """As `chosen_filter`, with the time given."""
    found: dict[str, Any] = {"limit": limit}
    for word in words:
        field, equals, value = word.partition("=")
        if not equals or field not in FIELDS:
            near = get_close_matches(field, FIELDS, n=1)
            hint = f" Did you mean {near[0]}=...?" if near else ""
            raise typer.BadParameter(f"{word!r} is not FIELD=VALUE; fields are {', '.join(FIELDS)}.{hint}")
        if field in _TEXTS:
            found[_TEXTS[field]] = value
        elif field in _TIMES:
            found[_TIMES[field]] = moment_ms(value, now_ms)
        elif value.isascii() and value.isdigit():
            found["before"] = int(value)
        else:
            raise typer.BadParameter("before=N takes the number of a receipt")
    if found.get("outcome", "ok") not in get_args(Outcome):
        raise typer.BadParameter(f"outcome is one of {', '.join(get_args(Outcome))}")
    if found.get("kind", "call") not in get_args(Kind):
        raise typer.BadParameter(f"kind is one of {', '.join(get_args(Kind))}")
    return Filter(**found)
