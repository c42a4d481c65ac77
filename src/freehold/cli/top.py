"""`freehold top`: a live view in the terminal. The screen itself is `top_screen`, loaded with Textual."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json
from freehold.cli.top_view import look
from freehold.core.errors import FreeholdError

app = typer.Typer(add_completion=False)


@app.command()
def top(
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between looks.")] = 1.0,
    url: UrlOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch servers, calls under way, memory and spend, live. With --json: one look."""
    client = find_running(chosen_home(home), url)
    seen = look(client, time.time_ns() // 1_000_000)
    if as_json:
        print_json(seen)
        return
    if not sys.stdout.isatty():
        raise FreeholdError("`freehold top` draws on a terminal; through a pipe use --json")
    try:
        from freehold.cli.top_screen import TopScreen  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as error:
        raise FreeholdError(
            f"`freehold top` needs Textual ({error.name} is missing): pip install 'freehold[top]'"
        ) from error
    TopScreen(client, every, seen).run()
