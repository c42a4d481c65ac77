"""`freehold plan`: what fits into this machine's memory, where, and what would fit instead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.control_client import find_running
from freehold.cli.exits import Exit, NotRunning
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.plan_words import gpu_rows, sentences, server_rows
from freehold.core.config_file import load_config
from freehold.core.errors import FreeholdError
from freehold.core.quantities import parse_bytes
from freehold.web.control import ServerView

if TYPE_CHECKING:
    from freehold.supervisor.plan import PlanView

app = typer.Typer(add_completion=False)

Add = Annotated[
    Path | None,
    typer.Option("--add", metavar="PATH", help="A model to ask about, beside the configured servers."),
]
Context = Annotated[
    int | None, typer.Option("--context", metavar="N", min=1, help="For --add: tokens of each slot.")
]
Slots = Annotated[
    int | None, typer.Option("--slots", metavar="N", min=1, help="For --add: calls at the same time.")
]
KvType = Annotated[
    str | None, typer.Option("--kv", metavar="TYPE", help="For --add: f16, q8_0 or q4_0.", show_default=False)
]
Server = Annotated[str | None, typer.Option("--server", metavar="NAME", help="Only tell of this server.")]
Gpus = Annotated[
    list[str] | None,
    typer.Option(
        "--gpu", metavar="SIZE", help="Plan for a machine with such a GPU, like 24GiB; repeat for several."
    ),
]
Ram = Annotated[
    str | None, typer.Option("--ram", metavar="SIZE", help="Plan for a machine with so much RAM.")
]


@app.command()
def plan(
    add: Add = None,
    context: Context = None,
    slots: Slots = None,
    kv: KvType = None,
    server: Server = None,
    gpu: Gpus = None,
    ram: Ram = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plan memory: which servers fit together, on which GPU, with how much context, and what would fit.

    Nothing is loaded. Works without a running Freehold, and with --gpu and --ram for another machine.
    """
    from freehold.app.plan import Added, Pretended, own_plan  # noqa: PLC0415 - not for `freehold --help`

    if add is None and (context or slots or kv):
        raise typer.BadParameter(
            "--context, --slots and --kv are for a model that is asked about: --add PATH"
        )
    loaded = load_config(config, os.environ, Path.cwd())
    state = chosen_home(home)
    added = [Added(path=add.expanduser().absolute(), context=context, slots=slots, kv=kv)] if add else []
    view = own_plan(
        loaded,
        state,
        os.environ,
        added=added,
        pretended=Pretended(
            gpus=tuple(parse_bytes(size) for size in gpu or ()), ram_bytes=parse_bytes(ram) if ram else None
        ),
        running=_running(state),
    )
    view = only(view, server)
    if as_json:
        print_json(view)
    else:
        tell(view)
    unfit = any(one.fit in ("never", "unreadable") for one in view.servers)
    raise typer.Exit(Exit.FAILED if unfit else Exit.OK)


def only(view: PlanView, server: str | None) -> PlanView:
    """The plan with one server's lines only. Raises FreeholdError when there is no such server."""
    if server is None:
        return view
    import msgspec  # noqa: PLC0415

    kept = tuple(one for one in view.servers if one.name == server)
    if not kept:
        names = ", ".join(one.name for one in view.servers) or "none"
        raise FreeholdError(f"no server is called {server!r}; there are: {names}")
    return msgspec.structs.replace(
        view, servers=kept, apart=tuple(pair for pair in view.apart if server in pair)
    )


def tell(view: PlanView) -> None:
    """Tables, then what a table cannot say."""
    print_table(["=WHERE", ">TOTAL", ">RESERVED", ">OTHERS", ">PLANNED", ">LEFT", "SERVERS"], gpu_rows(view))
    if view.servers:
        print()
        print_table(
            ["=SERVER", "=FITS", "WHERE", ">WEIGHTS", ">KV", ">OTHER", ">CONTEXT", ">LARGEST"],
            server_rows(view),
        )
    lines: Sequence[str] = sentences(view)
    if not view.servers:
        lines = ["No server is configured, and no model was found. Ask about one with --add PATH."]
    if lines:
        print()
    for line in lines:
        say(line)


def _running(home: Path) -> list[ServerView]:
    """What a Freehold on this state folder says of its servers; nothing when none runs."""
    try:
        return find_running(home, None).get("/api/v1/servers", list[ServerView])
    except NotRunning:
        return []
    except FreeholdError as error:
        say(f"The running Freehold does not tell what its servers hold: {error}")
        return []
