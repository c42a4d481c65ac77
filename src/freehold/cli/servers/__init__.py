"""`freehold servers`: the model servers of this machine, mostly through the running Freehold."""

from __future__ import annotations

import typer

from freehold.cli.servers.bench import bench
from freehold.cli.servers.export import export
from freehold.cli.servers.listing import list_
from freehold.cli.servers.logs import logs
from freehold.cli.servers.orders import restart, start, stop, take_over
from freehold.cli.servers.why import why

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="See, start, stop and question the model servers."
)
for _command, _name in (
    (list_, "list"),
    (start, "start"),
    (stop, "stop"),
    (restart, "restart"),
    (take_over, "take-over"),
    (logs, "logs"),
    (why, "why"),
    (bench, "bench"),
    (export, "export"),
):
    app.command(_name)(_command)
