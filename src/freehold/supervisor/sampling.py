"""Reads, once a second, what the running servers hold of the machine's memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from freehold.core.memory import MachineMemory, MemoryGauge, MemoryUse
from freehold.supervisor.family import family
from freehold.supervisor.inquest import Running


def _read(gauge: MemoryGauge, pids: Iterable[int]) -> tuple[MachineMemory, list[MemoryUse]]:
    return gauge.machine(), [gauge.used_by(family(pid)) for pid in pids]


async def sample(gauge: MemoryGauge, processes: list[Running]) -> None:
    """One reading for each, kept in its own ring. The files are read in a thread."""
    pids = [one.process.pid for one in processes if one.process.pid is not None]
    processes = [one for one in processes if one.process.pid is not None]
    if not processes:
        return
    machine, uses = await asyncio.to_thread(_read, gauge, pids)
    free = {gpu.index: gpu.free_bytes for gpu in machine.gpus}
    for running, use in zip(processes, uses, strict=True):
        if not use.rss_bytes:
            continue  # it has ended meanwhile: what it held last is what counts
        running.memory.append(use)
        running.free_gpu_bytes.update(free)
