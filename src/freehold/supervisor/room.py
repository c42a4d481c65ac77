"""Waits until the memory of a server that ended is really free again: drivers reclaim late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from freehold.core.memory import MachineMemory
from freehold.supervisor.inquest import Running
from freehold.supervisor.settings import PoolSettings

ENOUGH = 0.75
"""Of what it held; the driver may round, and others may have taken some."""
_ASK_EVERY_S = 0.25


def held_on_gpus(running: Running) -> Mapping[int, int]:
    """Bytes by GPU index: as the driver told at the newest sample, else as planned once it was loaded."""
    if running.memory and running.memory[-1].gpu_bytes:
        return running.memory[-1].gpu_bytes
    if running.placement is None or running.ready_ms is None:
        return {}
    return {index: running.placement.on_gpu(index) for index in running.placement.gpus}


def is_back(before: Mapping[int, int], held: Mapping[int, int], now: MachineMemory) -> bool:
    """Whether on each GPU enough of what was held is free now. `before`: free bytes while it was held."""
    return all(
        gpu.free_bytes >= before[gpu.index] + ENOUGH * held[gpu.index]
        for gpu in now.gpus
        if gpu.index in held and gpu.index in before
    )


async def memory_back(running: Running, settings: PoolSettings) -> None:
    """Returns when it is, or after `memory_back_s`. At once where there is no gauge, or it held no GPU."""
    held = {index: size for index, size in held_on_gpus(running).items() if size > 0}
    if settings.gauge is None or not held:
        return
    before, gauge = running.free_gpu_bytes, settings.gauge
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.memory_back_s):
            while not is_back(before, held, await asyncio.to_thread(gauge.machine)):  # noqa: ASYNC110
                await asyncio.sleep(_ASK_EVERY_S)  # nobody tells
