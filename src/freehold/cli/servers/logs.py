"""`freehold servers logs NAME [-f]`: what a server printed."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import quote

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.cli.servers.orders import NameArgument
from freehold.web.control import LogView

_POLL_S = 0.5


def logs(
    name: NameArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as more is printed; Ctrl-C ends it.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="How many at first.")] = 50,
    url: UrlOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last lines that a server printed, of this and earlier runs."""
    client = find_running(chosen_home(home), url)
    path = f"/api/v1/servers/{quote(name, safe='')}/log"
    seen = client.get(f"{path}?lines={lines}", LogView)
    if as_json and not follow:
        print_json(seen)
        return
    _tell(seen, as_json)
    while follow:
        time.sleep(_POLL_S)
        seen = client.get(f"{path}?since={seen.next}", LogView)
        _tell(seen, as_json)


def _tell(seen: LogView, as_json: bool) -> None:
    if as_json:
        for line in seen.lines:
            print_json({"line": line})
        return
    for line in seen.lines:
        say(line)
