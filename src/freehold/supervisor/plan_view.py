"""What a memory plan says: the values that `freehold plan` prints and the control API answers with.

Sizes in bytes, contexts in tokens of one slot. Unknown is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Fit = Literal["together", "swap", "never", "unknown", "unreadable"]
"""`together`: beside all others that are so. `swap`: when others make room. `never`: not in this machine, or
not beside the pinned ones. `unknown`: nothing is known of its memory. `unreadable`: nor of its model."""


class GpuShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one server has on one GPU."""

    gpu: int
    bytes: int


class GpuPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU with all servers that fit together."""

    index: int
    name: str = ""
    total_bytes: int
    reserve_bytes: int
    others_bytes: int
    """Held by what is none of ours."""
    planned_bytes: int
    left_bytes: int
    """What could still be given to a server."""
    servers: tuple[str, ...] = ()


class RamPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Host memory with all servers that fit together."""

    total_bytes: int
    reserve_bytes: int
    others_bytes: int
    planned_bytes: int
    """What cannot be taken back, prompt caches included."""
    prompt_cache_bytes: int
    """Of `planned_bytes`: cached prompts and saved states, when they are full."""
    mapped_bytes: int
    """Weights that mirror files, on top: the kernel may drop them, and reads them again."""
    left_bytes: int
    servers: tuple[str, ...] = ()


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the configuration that would do, by the names of its keys."""

    gpus: Literal["auto"] | None = None
    gpu_layers: Literal["auto"] | None = None
    kv: str | None = None
    slots: int | None = None
    context: int | None = None
    gpu_memory: float | None = None

    @property
    def words(self) -> str:
        """`kv: q8_0, context: 8192`."""
        said = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return ", ".join(f"{name}: {value}" for name, value in said if value is not None)


def options_words(options: Sequence[Option]) -> str:
    """`with `kv: q8_0` or with `context: 8192``; empty when there are none."""
    return " or ".join(f"with `{option.words}`" for option in options)


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One server in the plan."""

    name: str
    engine: str
    model: str
    fit: Fit
    added: bool = False
    """Not configured: asked about."""
    running: bool = False
    pin: bool = False
    priority: int = 50
    source: Literal["formula", "dry run", "measured", "configured", "unknown"] = "unknown"
    """Where the numbers come from."""
    gpus: tuple[GpuShare, ...] = ()
    gpu_layers: int | None = None
    all_layers: int | None = None
    """Layers that it has, the output counted as one."""
    host_experts: int = 0
    """Blocks whose experts stay on the host."""
    context: int = 0
    slots: int = 0
    kv: str = "f16"
    weights_bytes: int = 0
    """On all devices and mapped."""
    kv_bytes: int = 0
    """Context of all slots, recurrent state included."""
    other_bytes: int = 0
    vram_bytes: int = 0
    ram_bytes: int = 0
    """What cannot be taken back."""
    prompt_cache_bytes: int = 0
    """Of `ram_bytes`."""
    mapped_bytes: int = 0
    largest_context: int | None = None
    """That would still fit in the same place, everything else as it is."""
    trained_context: int | None = None
    """What the model was made for."""
    evicts: tuple[str, ...] = ()
    """Who would make room for it. The price decides at the time; these would do."""
    blocked_by: tuple[str, ...] = ()
    """Pinned servers without which it would fit."""
    why: str = ""
    """What is short, in words."""
    nearest: tuple[Option, ...] = ()
    """Changes with which it would fit (`never`), stay beside the others (`swap`), or run on GPUs alone."""
    note: str = ""


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine."""

    gpus: tuple[GpuPlan, ...]
    ram: RamPlan
    servers: tuple[ServerPlan, ...]
    """In the order of configuration."""
    apart: tuple[tuple[str, str], ...] = ()
    """Pairs that cannot run at the same time."""
