"""Gathers what is known of a death, for `supervisor.postmortem` to judge."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections import deque
from collections.abc import Sequence

import msgspec

from freehold.core.deaths import Certificate, DeathFacts, ExitFacts, HostEvidence, Observation
from freehold.core.memory import MemoryUse, Placement
from freehold.core.servers import Launch, Lease, ServerSpec
from freehold.supervisor.foreign import ForeignProcess
from freehold.supervisor.postmortem import certify
from freehold.supervisor.process import EngineProcess
from freehold.supervisor.watch import Watch

_SAMPLES = 120


class Running(msgspec.Struct, kw_only=True):
    """One process of ours from its start to its end, with what was noted meanwhile."""

    process: EngineProcess | ForeignProcess
    launch: Launch
    watch: Watch
    base_url: str
    placement: Placement | None = None
    began_s: float
    """Monotonic, at the start."""
    found: bool = False
    """It ran before we did: an earlier Freehold started it."""
    ready_ms: int | None = None
    observation: Observation | None = None
    memory: deque[MemoryUse] = msgspec.field(default_factory=lambda: deque(maxlen=_SAMPLES))
    free_gpu_bytes: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    """Of each GPU at the newest sample, by index."""
    hung: str = ""


async def inquest(
    spec: ServerSpec, running: Running, exit: ExitFacts, leases: Sequence[Lease], evidence_s: float
) -> Certificate:
    """Why it ended, as far as can be known. Asks the machine within `evidence_s`, but for an end that needs
    no explanation: our own order, carried out."""
    process = running.process
    host = HostEvidence()
    if running.observation is not None and not _as_ordered(spec, running, exit):
        host = await _host_evidence(running.observation, evidence_s)
    need = running.placement.need if running.placement is not None else None
    facts = DeathFacts(
        server=spec.name,
        engine=spec.engine,
        program=process.program or running.launch.program,
        pid=process.pid,
        started_ms=process.started_ms,
        was_ready=running.ready_ms is not None,
        ready_ms=running.ready_ms,
        exit=exit,
        orders=tuple(process.orders()),
        hung=running.hung,
        last_lines=tuple(process.last_lines()),
        memory=tuple(running.memory),
        planned_vram_bytes=None if need is None or need.source == "unknown" else need.vram_bytes,
        planned_ram_bytes=None if need is None or need.source == "unknown" else need.ram_bytes,
        probes=tuple(running.watch.seen),
        in_flight=tuple(hashlib.sha256(lease.body).hexdigest() for lease in leases),
        host=host,
    )
    return await asyncio.to_thread(certify, facts)  # reads all that it printed, which may be much


def _as_ordered(spec: ServerSpec, running: Running, exit: ExitFacts) -> bool:
    orders = running.process.orders()
    return bool(orders) and not running.hung and exit.status in (0, -signal.Signals[spec.stop_signal])


async def _host_evidence(observation: Observation, within_s: float) -> HostEvidence:
    """In a thread; what takes too long is left alone, and said to be missing."""
    asking = asyncio.get_running_loop().run_in_executor(None, observation.collect)
    done, _ = await asyncio.wait({asking}, timeout=within_s)
    if done:
        return asking.result()
    return HostEvidence(blind={"host": f"the machine did not tell within {within_s:g} s"})
