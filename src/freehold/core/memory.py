"""Memory as values: what a machine has, what a model server needs, and where it was put. All sizes in bytes.

The formulas are in `supervisor.memory`, the choice of a place in `supervisor.placement`, the readings in
`adapters.host`. Unknown is None, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from freehold.core.servers import ServerSpec


PartName = Literal[
    "weights", "kv", "state", "compute", "output", "prompt cache", "context", "projector", "draft", "other"
]
"""`state` is recurrent state, `context` what the driver takes for a process, `output` the logits."""


class GpuMemory(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU at one moment."""

    index: int
    """As the driver counts, and as `CUDA_VISIBLE_DEVICES` and the like take it."""
    name: str = ""
    vendor: Literal["nvidia", "amd", "intel", "apple", "other"] = "other"
    total_bytes: int
    free_bytes: int


class MachineMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine has, and what is free of it now."""

    ram_total_bytes: int
    ram_free_bytes: int
    """Available without swapping: free, and what the kernel can take back at once. Within a memory cgroup,
    never more than what its limit leaves."""
    gpus: tuple[GpuMemory, ...] = ()


class MemoryGauge(Protocol):
    """Reads the machine. Implemented by `adapters.host`; tests pass recorded shapes."""

    def machine(self) -> MachineMemory:
        """Blocking, some milliseconds: call in a worker thread."""
        ...

    def used_by(self, pids: frozenset[int]) -> MemoryUse:
        """What these processes hold together now. Blocking, some milliseconds."""
        ...


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one model server's processes hold at one moment."""

    at_ms: int
    anon_bytes: int
    """RssAnon + VmSwap: what nobody can take back. Mapped weights are not in it."""
    rss_bytes: int
    gpu_bytes: Mapping[int, int] = {}
    """By GPU index; empty where the driver does not tell."""


class MemoryPart(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an account. `device` None is the host, else the n-th device of the need (from 0)."""

    what: PartName
    bytes: int
    device: int | None = None
    mapped: bool = False
    """Host pages that mirror the file: the kernel may drop them and read them again."""


class MemoryNeed(msgspec.Struct, frozen=True, kw_only=True):
    """One way to run a server, with its price in memory."""

    parts: tuple[MemoryPart, ...] = ()
    devices: int = 0
    """How many GPUs this way uses; 0: the host alone."""
    gpus: tuple[int, ...] = ()
    """Only on these GPUs, by index: for engines that take a share of a certain GPU. Empty: on any."""
    gpu_layers: int | None = None
    """For `-ngl`; None where the engine has no such thing."""
    split: tuple[float, ...] = ()
    """Shares of the layers over the devices, as the parts were counted; empty for one device or none."""
    cpu_moe: int = 0
    """For `--n-cpu-moe`: experts of the first so many blocks that stay on the host."""
    checkpoints: int | None = None
    """For `--ctx-checkpoints`: saved states of each slot that were counted; None: it saves none, or they are
    not counted."""
    context: int = 0
    """Tokens of all slots together."""
    slots: int = 0
    source: Literal["formula", "dry run", "measured", "configured", "unknown"] = "formula"
    note: str = ""
    """For a person: what this way is, or why nothing is known."""

    @property
    def ram_bytes(self) -> int:
        """Host memory that cannot be taken back."""
        return sum(part.bytes for part in self.parts if part.device is None and not part.mapped)

    @property
    def mapped_bytes(self) -> int:
        """Host memory that mirrors the file: wanted for speed, not required."""
        return sum(part.bytes for part in self.parts if part.device is None and part.mapped)

    def on_device(self, device: int) -> int:
        """Bytes on the n-th device."""
        return sum(part.bytes for part in self.parts if part.device == device)

    @property
    def vram_bytes(self) -> int:
        return sum(part.bytes for part in self.parts if part.device is not None)


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server is put: a way to run it, and the GPUs for its devices."""

    need: MemoryNeed
    gpus: tuple[int, ...] = ()
    """`gpus[n]` is the GPU index of the need's n-th device."""
    split: tuple[float, ...] = ()
    """Shares of the layers over `gpus`, as `--tensor-split` takes them; empty for one GPU or none."""

    @property
    def ram_bytes(self) -> int:
        return self.need.ram_bytes

    def on_gpu(self, index: int) -> int:
        """Bytes on the GPU of this index."""
        return sum(self.need.on_device(n) for n, gpu in enumerate(self.gpus) if gpu == index)


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """What is never given to model servers; GPU reserve is for each GPU."""

    vram_bytes: int = 512 * 1024**2
    ram_bytes: int = 1024**3


class Appraiser(Protocol):
    """Prices a server before it runs. Implemented in `app` from the formulas and the engines' adapters."""

    def appraise(self, spec: ServerSpec, machine: MachineMemory) -> tuple[MemoryNeed, ...]:
        """Ways to run it on such a machine, the fastest first (all layers on one GPU, over several, a part of
        them, the host alone). One way of source `unknown` where nothing is known. Blocking: reads the
        model's file the first time. Raises FreeholdError when the model cannot be read."""
        ...

    def learn(self, spec: ServerSpec, placement: Placement, report: MemoryNeed) -> None:
        """What the engine itself reported after a load in that placement: later appraisals use it."""
        ...
