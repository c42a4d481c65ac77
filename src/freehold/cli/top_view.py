"""What `freehold top` shows: one look at a running Freehold, and its words. No drawing here."""

from __future__ import annotations

import msgspec

from freehold.cli.control_client import ControlClient
from freehold.cli.servers.listing import ram_words, vram_words
from freehold.cli.wording import dollars, duration, long_duration, plain
from freehold.core.memory import MachineMemory
from freehold.core.quantities import bytes_words
from freehold.web.control import CallView, CostReport, ServerView, StatusView

DAY_MS = 86_400_000
_BAR = 12
SERVER_COLUMNS = ("SERVER", "STATE", "BUSY", "QUEUE", "RAM", "VRAM", "TOK/S IN", "OUT", "FIRST", "DIED")
CALL_COLUMNS = ("CALL", "MODEL", "WHERE", "STATE", "FOR", "WHO")
SPEND_COLUMNS = ("MODEL", "CALLS", "TOKENS IN", "OUT", "COST")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One moment."""

    at_ms: int
    status: StatusView
    servers: list[ServerView]
    calls: list[CallView]
    machine: MachineMemory
    spend: CostReport
    """Of the last 24 hours, by model."""


def look(client: ControlClient, now_ms: int) -> Look:
    """Ask a running Freehold. Raises NotRunning."""
    since = now_ms - DAY_MS
    return Look(
        at_ms=now_ms,
        status=client.get("/api/v1/status", StatusView),
        servers=client.get("/api/v1/servers", list[ServerView]),
        calls=client.get("/api/v1/calls", list[CallView]),
        machine=client.get("/api/v1/machine", MachineMemory),
        spend=client.get(f"/api/v1/costs?by=model&since_ms={since}", CostReport),
    )


def headline(seen: Look) -> str:
    """The house in one line."""
    status = seen.status
    queued = sum(server.queued for server in seen.servers)
    waiting = f", {queued} waiting" if queued else ""
    spent = sum(row.total_nanos for row in seen.spend.rows)
    return (
        f"{status.url}   up {long_duration(status.uptime_s)}   {status.in_flight} calls under way{waiting}"
        f"   {status.calls:,} ended   {dollars(spent)} in 24 h"
    )


def memory_line(machine: MachineMemory) -> str:
    """What is in use of the machine's memory, by Freehold or by others."""
    used = machine.ram_total_bytes - machine.ram_free_bytes
    parts = [f"RAM {_share(used, machine.ram_total_bytes)}"]
    parts += [
        f"GPU {gpu.index} {_share(gpu.total_bytes - gpu.free_bytes, gpu.total_bytes)}" for gpu in machine.gpus
    ]
    return "   ".join(parts)


def _share(used: int, total: int) -> str:
    filled = min(_BAR, round(_BAR * used / total)) if total else 0
    return f"{'█' * filled}{'░' * (_BAR - filled)} {bytes_words(used)} of {bytes_words(total)}"


def server_row(server: ServerView) -> tuple[str, ...]:
    """Under `SERVER_COLUMNS`."""
    speed = server.speed
    first = speed.first_token_p50_ms
    return (
        server.name,
        server.state,
        f"{server.in_flight}/{server.slots}",
        str(server.queued or ""),
        ram_words(server.memory),
        vram_words(server.memory),
        f"{speed.tokens_in_per_s:.0f}" if speed.calls else "",
        f"{speed.tokens_out_per_s:.0f}" if speed.calls else "",
        "" if first is None else f"{first} ms",
        str(server.restarts or ""),
    )


def call_row(call: CallView, now_ms: int) -> tuple[str, ...]:
    """Under `CALL_COLUMNS`. What clients sent must not steer the terminal."""
    who = call.agent or call.session or call.project
    row = (
        call.id[-8:],
        call.model,
        call.deployment or call.server,
        call.state,
        duration(max(0, now_ms - call.started_ms) * 1000),
        who,
    )
    return tuple(plain(cell) for cell in row)


def spend_rows(report: CostReport) -> list[tuple[str, ...]]:
    """Under `SPEND_COLUMNS`, the dearest first."""
    return [
        (
            plain(row.name or "(none)"),
            f"{row.calls:,}",
            f"{row.fresh_in + row.cache_read + row.cache_write:,}",
            f"{row.visible_out + row.reasoning:,}",
            dollars(row.total_nanos),
        )
        for row in report.rows
    ]
