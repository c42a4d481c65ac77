"""What holds for all servers of a pool: folders, how they are watched, and the ports to the machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from freehold.core.deaths import Cages, Witness
from freehold.core.memory import Appraiser, MachineMemory, MemoryGauge, Reserve
from freehold.core.servers import ServerSpec
from freehold.supervisor.liveness import LiveRules
from freehold.supervisor.process import file_name, free_port
from freehold.supervisor.residency import SwapRules


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every port may be missing: without a gauge or an appraiser everything fits, without a witness a
    certificate says what could not be seen."""

    home: Path
    """The state folder. Servers have theirs in `servers/NAME`, their output goes to `logs/NAME.log`."""
    keep_servers: bool = False
    """Leaving the pool leaves them running, for the next Freehold to find."""
    live: LiveRules = LiveRules()
    probe_timeout_s: float = 3.0
    """A health endpoint that takes longer counts as silent, once the server was ready."""
    deep_timeout_s: float = 20.0
    """For one token."""
    sample_every_s: float = 1.0
    """Between readings of a server's memory."""
    memory_back_s: float = 5.0
    """Longest wait until the memory of one that ended is free again: drivers reclaim late."""
    evidence_s: float = 1.5
    """Longest wait for what the machine tells of a death."""
    orphan_stop_s: float = 600.0
    """A server stops itself when no Freehold looked after it for so long."""
    swap: SwapRules = SwapRules()
    chance: Callable[[], float] = random.random
    """From 0 to 1: by how much a restart is put off."""
    reserve: Reserve = Reserve()
    pick_port: Callable[[], int] = free_port
    gauge: MemoryGauge | None = None
    appraiser: Appraiser | None = None
    advise: Callable[[ServerSpec, MachineMemory], str] | None = None
    """The nearest thing that would fit, in words; empty when there is none. Blocking, a second or two."""
    witness: Witness | None = None
    cages: Cages | None = None

    @property
    def servers(self) -> Path:
        return self.home / "servers"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def folder(self, server: str) -> Path:
        """Of one server."""
        return self.servers / file_name(server)
