"""`freehold servers start|stop|restart|take-over NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, say
from freehold.web.control import ServerAction, ServerView

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The server's name.")]
_PATIENCE_S = 120.0
"""Longer than a drain and a stop together."""


def start(
    name: NameArgument, url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Start a server, also one that has failed. Returns when the start is under way."""
    _order(name, "start", chosen_home(home), url, as_json)


def stop(
    name: NameArgument, url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Stop a server: calls under way may end first. The next call for it starts it again."""
    _order(name, "stop", chosen_home(home), url, as_json)


def restart(
    name: NameArgument, url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Stop a server and start it again; calls that wait for it go on waiting."""
    _order(name, "restart", chosen_home(home), url, as_json)


def take_over(
    name: NameArgument, url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Make an adopted server ours: from now on Freehold also stops it and starts it again."""
    _order(name, "take-over", chosen_home(home), url, as_json)


def _order(name: str, action: ServerAction, home: Path, url: str | None, as_json: bool) -> None:

    client = find_running(home, url)
    view = client.post(f"/api/v1/servers/{quote(name, safe='')}/{action}", ServerView, _PATIENCE_S)
    if as_json:
        print_json(view)
    else:
        say(f"{view.name}: {view.state}" + (f" ({view.detail})" if view.detail else ""))
