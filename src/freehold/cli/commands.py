"""The Typer application: names of all commands, and their files, loaded when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from freehold.cli.exits import MEANINGS, Exit

COMMANDS = {
    "up": "freehold.cli.up",
    "status": "freehold.cli.status",
    "models": "freehold.cli.models",
    "plan": "freehold.cli.plan",
    "servers": "freehold.cli.servers",
    "top": "freehold.cli.top",
    "receipts": "freehold.cli.receipts",
    "costs": "freehold.cli.costs",
    "budgets": "freehold.cli.budgets",
    "limits": "freehold.cli.limits",
    "route": "freehold.cli.route",
    "outcomes": "freehold.cli.outcomes",
    "hook": "freehold.cli.hook",
    "doctor": "freehold.cli.doctor",
    "import": "freehold.cli.import_",
    "config": "freehold.cli.config",
    "service": "freehold.cli.service",
    "key": "freehold.cli.key",
    "version": "freehold.cli.version",
}
"""Command -> module whose `app` is its Typer application."""


class _OnDemand(TyperGroup):
    """Imports a command's file when it is asked for, so that no command pays for the others."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if self.commands[cmd_name] is None:
            command = typer.main.get_command(import_module(COMMANDS[cmd_name]).app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)


app = typer.Typer(
    cls=_OnDemand,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: " + " ".join(f"{exit.value} {exit.name.lower()}." for exit in MEANINGS),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from freehold import __version__  # noqa: PLC0415 - not before it is asked for

        typer.echo(f"freehold {__version__}")
        raise typer.Exit


@app.callback()
def _freehold(  # pyright: ignore[reportUnusedFunction] - Typer calls it
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Own your AI: one local endpoint over local and cloud models, every call receipted."""


def run_command(arguments: list[str]) -> int:
    """Runs one command line and returns its exit status."""
    try:
        app(args=arguments, prog_name="freehold")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    return Exit.OK
