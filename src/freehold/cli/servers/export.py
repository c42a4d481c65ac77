"""`freehold servers export systemd [NAME]`: units that run model servers without Freehold."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from freehold.app.units import unit_name, unit_of_server
from freehold.cli.options import ConfigOption, JsonOption
from freehold.cli.output import print_json
from freehold.core.config_file import load_config
from freehold.core.errors import FreeholdError

FIRST_PORT = 8500
"""Exported servers get fixed ports from here on: nobody gives them others."""


class Format(StrEnum):
    systemd = "systemd"


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One file of systemd's."""

    name: str
    server: str
    port: int
    text: str


def export(
    format: Annotated[Format, typer.Argument(help="What to write.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One server. Otherwise all.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print units that run the configured servers by themselves, each on a port of its own."""
    units = units_of(config, name)
    if as_json:
        print_json(units)
        return
    for number, unit in enumerate(units):
        print(f"{chr(10) if number else ''}# {unit.name} (port {unit.port})\n{unit.text.rstrip()}")


def units_of(config: Path | None, name: str | None) -> list[Unit]:
    """Raises FreeholdError for an unknown name, and for an engine that is not on this machine."""
    from freehold.app.engines_here import configured  # noqa: PLC0415 - engines are loaded for this alone

    loaded = load_config(config, os.environ, Path.cwd())
    found = configured(loaded, os.environ)
    if name is not None and all(spec.name != name for spec, _ in found):
        names = ", ".join(spec.name for spec, _ in found) or "none is configured"
        raise FreeholdError(f"there is no server '{name}' that Freehold starts; there are: {names}")
    return [
        Unit(
            name=unit_name(spec.name),
            server=spec.name,
            port=FIRST_PORT + number,
            text=unit_of_server(spec, engine.launch(spec, FIRST_PORT + number)),
        )
        for number, (spec, engine) in enumerate(found)
        if name in (None, spec.name)
    ]
