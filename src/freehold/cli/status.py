"""`freehold status`: the running Freehold at a glance."""

from __future__ import annotations

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_facts, print_json, print_table, say
from freehold.cli.wording import clock_time, long_duration, megabytes
from freehold.web.control import ServerView, StatusView

app = typer.Typer(add_completion=False)


@app.command()
def status(url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show whether Freehold runs, where it answers, its model servers and its ledger."""
    client = find_running(chosen_home(home), url)
    seen = client.get("/api/v1/status", StatusView)
    servers = client.get("/api/v1/servers", list[ServerView])
    if as_json:
        print_json({"status": seen, "servers": servers})
        return
    print_facts(_facts(seen))
    if servers:
        print()
        print_table(
            ["=SERVER", "=STATE", "=ENGINE", ">CONTEXT", ">BUSY", ">PID", "MODEL"],
            [
                (
                    server.name,
                    server.state,
                    server.engine,
                    f"{server.context:,}",
                    f"{server.in_flight}/{server.slots}",
                    server.pid or "",
                    server.model,
                )
                for server in servers
            ],
        )
    for server in servers:
        if server.detail:
            say(f"{server.name}: {server.detail}")


def _facts(seen: StatusView) -> list[tuple[str, object]]:
    waiting = seen.ledger.entries - seen.ledger.signed
    return [
        ("endpoint", f"{seen.url}/v1"),
        ("key", "needed" if seen.key_needed else "none needed on this machine"),
        ("up", f"{long_duration(seen.uptime_s)}, since {clock_time(seen.started_ms)} (pid {seen.pid})"),
        ("version", seen.version),
        ("config", seen.config_file or "no configuration file"),
        ("state", seen.home),
        ("memory", megabytes(seen.memory_bytes)),
        ("models", f"{seen.models}{', still looking' if seen.discovery == 'running' else ''}"),
        ("calls", f"{seen.calls:,} ended, {seen.in_flight:,} in flight"),
        (
            "receipts",
            f"{seen.ledger.entries:,}{f', {waiting:,} not signed yet' if waiting else ', all signed'}",
        ),
    ]
