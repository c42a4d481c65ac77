"""`freehold plan`: what fits into this machine's memory, where, and what would fit instead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from freehold.cli.control_client import find_running
from freehold.cli.exits import Exit, NotRunning
from freehold.cli.option_struct import takes
from freehold.cli.options import ConfigOption, HomeOption, JsonOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.cli.plan_words import gpu_rows, sentences, server_rows
from freehold.core.config_file import load_config
from freehold.core.errors import FreeholdError
from freehold.core.quantities import parse_bytes
from freehold.web.control import ServerView

if TYPE_CHECKING:
    from freehold.app.plan import WhatIf
    from freehold.supervisor.plan import PlanView

KvType = Literal["f16", "q8_0", "q4_0"]

app = typer.Typer(add_completion=False)


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `freehold plan` is asked."""

    add: Annotated[
        Path | None,
        typer.Option("--add", metavar="PATH", help="A model to ask about, beside the configured servers."),
    ] = None
    context: Annotated[
        int | None, typer.Option("--context", metavar="N", min=1, help="For --add: tokens of each slot.")
    ] = None
    slots: Annotated[
        int | None, typer.Option("--slots", metavar="N", min=1, help="For --add: calls at the same time.")
    ] = None
    kv: Annotated[
        KvType | None, typer.Option("--kv", metavar="TYPE", help="For --add: f16, q8_0 or q4_0.")
    ] = None
    server: Annotated[
        str | None, typer.Option("--server", metavar="NAME", help="Only tell of this server.")
    ] = None
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="SIZE",
            help="Plan for a machine with such a GPU, like 24GiB; repeat for several.",
        ),
    ] = None
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help="Plan for a machine with so much RAM.")
    ] = None
    config: ConfigOption = None
    home: HomeOption = None
    as_json: JsonOption = False


@app.command()
@takes(PlanOptions)
def plan(options: PlanOptions) -> None:
    """Plan memory: which servers fit together, on which GPU, with how much context, and what would fit.

    Nothing is loaded. Works without a running Freehold, and with --gpu and --ram for another machine.
    """
    from freehold.app.plan import own_plan  # noqa: PLC0415 - not for `freehold --help`

    loaded = load_config(options.config, os.environ, Path.cwd())
    home = chosen_home(options.home)
    view = only(own_plan(loaded, home, os.environ, _what_if(options), _running(home)), options.server)
    if options.as_json:
        print_json(view)
    else:
        tell(view)
    unfit = any(one.fit in ("never", "unreadable") for one in view.servers)
    raise typer.Exit(Exit.FAILED if unfit else Exit.OK)


def _what_if(options: PlanOptions) -> WhatIf:
    from freehold.app.plan import Added, WhatIf  # noqa: PLC0415 - as above

    if options.add is None and (options.context or options.slots or options.kv):
        raise typer.BadParameter(
            "--context, --slots and --kv are for a model that is asked about: --add PATH"
        )
    return WhatIf(
        added=None
        if options.add is None
        else Added(
            path=options.add.expanduser().absolute(),
            context=options.context,
            slots=options.slots,
            kv=options.kv,
        ),
        gpus=tuple(parse_bytes(size) for size in options.gpu or ()),
        ram_bytes=None if options.ram is None else parse_bytes(options.ram),
    )


def only(view: PlanView, server: str | None) -> PlanView:
    """The plan with one server's lines only. Raises FreeholdError when there is no such server."""
    if server is None:
        return view
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
