"""`freehold up`: the declaration of its options; what happens then is in `starting`."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.options import ConfigOption, HomeOption
from freehold.cli.starting import start
from freehold.cli.up_options import UpOptions

app = typer.Typer(add_completion=False)


@app.command()
def up(
    config: ConfigOption = None,
    home: HomeOption = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Answer here instead of at the configured address."
        ),
    ] = None,
    no_discover: Annotated[
        bool, typer.Option("--no-discover", help="Do not look for servers, keys and models on this machine.")
    ] = False,
    limits: Annotated[str | None, typer.Option("--limits", hidden=True)] = None,
    json: Annotated[bool, typer.Option("--json", help="Report each step as one line of JSON.")] = False,
) -> None:
    """Start Freehold and serve until Ctrl-C.

    Works without any configuration: it offers what it finds on this machine, and a built-in test model.
    """
    options = UpOptions(
        config=str(config) if config else None,
        home=str(home) if home else None,
        listen=listen,
        limits=limits,
        no_discover=no_discover,
        json=json,
    )
    raise typer.Exit(start(options))
