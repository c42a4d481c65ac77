"""The options of `freehold up`, and how they are read without Typer when nothing is unusual. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `freehold up` was asked for; None means: as configured."""

    config: str | None = None
    home: str | None = None
    listen: str | None = None
    limits: str | None = None
    no_discover: bool = False
    json: bool = False


WITH_VALUE = {"--config": "config", "--home": "home", "--listen": "listen", "--limits": "limits"}
FLAGS = {"--no-discover": "no_discover", "--json": "json"}


def quick_options(arguments: Sequence[str]) -> UpOptions | None:
    """The options, or None when Typer should look: for help, a mistake, or a rare spelling."""
    found: dict[str, str | bool] = {}
    rest = iter(arguments)
    for argument in rest:
        if flag := FLAGS.get(argument):
            found[flag] = True
            continue
        option, equals, value = argument.partition("=")
        name = WITH_VALUE.get(option)
        value = value if equals else next(rest, "")
        if name is None or not value or value.startswith("-"):
            return None
        found[name] = value
    return msgspec.convert(found, UpOptions)
