"""`freehold servers list`: state, slots, queue, memory and speed of each."""

from __future__ import annotations

import time

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.core.quantities import bytes_words, duration_words
from freehold.web.control import ServerMemory, ServerView

COLUMNS = (
    *("=SERVER", "=STATE", "=FOR", "=ENGINE", ">BUSY", ">QUEUE", ">RAM", ">VRAM"),
    *(">TOK/S IN", ">OUT", ">FIRST", ">LOADS", ">DIED"),
)


def list_(url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the model servers: state, calls, memory planned and measured, speed."""
    found = find_running(chosen_home(home), url).get("/api/v1/servers", list[ServerView])
    if as_json:
        print_json(found)
        return
    if not found:
        say("No model server is configured, and none was found. `freehold doctor` says what was looked at.")
        return
    now_ms = time.time_ns() // 1_000_000
    print_table(COLUMNS, [cells(server, now_ms) for server in found])
    for server in found:
        if server.detail:
            say(f"{server.name}: {server.detail}")


def cells(server: ServerView, now_ms: int) -> tuple[str, ...]:
    """A row under `COLUMNS`."""
    speed = server.speed
    first = speed.first_token_p50_ms
    return (
        server.name,
        server.state,
        duration_words(max(0, now_ms - server.since_ms) / 1000) if server.since_ms else "",
        server.engine if server.ours else f"{server.engine} (adopted)",
        f"{server.in_flight}/{server.slots}",
        str(server.queued) if server.queued else "",
        ram_words(server.memory),
        vram_words(server.memory),
        f"{speed.tokens_in_per_s:.0f}" if speed.calls else "",
        f"{speed.tokens_out_per_s:.0f}" if speed.calls else "",
        "" if first is None else f"{first} ms",
        str(server.loads) if server.loads else "",
        str(server.restarts) if server.restarts else "",
    )


def ram_words(memory: ServerMemory) -> str:
    """Measured of planned: `1.2 GiB of 2.0 GiB`."""
    return _of(memory.measured_ram_bytes, memory.planned_ram_bytes)


def vram_words(memory: ServerMemory) -> str:
    """The same for all GPUs together."""
    measured = [share.measured_bytes for share in memory.gpus if share.measured_bytes is not None]
    return _of(sum(measured) if measured else None, memory.planned_vram_bytes or None)


def _of(measured: int | None, planned: int | None) -> str:
    if measured is None:
        return "" if planned is None else f"({bytes_words(planned)})"
    return bytes_words(measured) if planned is None else f"{bytes_words(measured)} of {bytes_words(planned)}"
