"""Several ways to run one model, and the largest context that a limit allows."""

from __future__ import annotations

import msgspec

from freehold.core.memory import MachineMemory, MemoryNeed, Reserve
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.run import Run


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server may take at most."""

    ram_bytes: int
    device_bytes: tuple[int, ...] = ()
    """For each device of the run."""


def largest_context(model: ModelFile, run: Run, limits: Limits) -> int:
    """Tokens of all slots together, a multiple of 256 for each, at most what the model was trained for per
    slot; 0 when not even the smallest fits. The `context_total` of `run` is not looked at."""
    raise NotImplementedError


def ways(
    model: ModelFile, run: Run, machine: MachineMemory, reserve: Reserve | None = None
) -> tuple[MemoryNeed, ...]:
    """Ways to run it on such a machine, the fastest first: all layers on one GPU, over several, experts or
    layers partly on the host, the host alone. `gpu_layers`, `devices`, `split` and `cpu_moe` of `run` are
    bounds when they are set. None of them needs to fit."""
    raise NotImplementedError
