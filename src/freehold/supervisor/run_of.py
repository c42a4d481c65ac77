"""From what a server shall be to the estimator's question; llama.cpp's own arguments count too. Pure.

An argument that changes no memory, or that is not known here, is passed over: the engine judges it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from freehold.core.memory import MemoryNeed
from freehold.core.model_file import ModelFile
from freehold.core.servers import ServerSpec
from freehold.supervisor.memory import Run, estimate

Vendor = Literal["nvidia", "amd", "intel", "apple", "other"]

LEAST_CHECKPOINTS = 3
"""With fewer, an agent that goes back a step has its whole prompt read again."""
MOST_CHECKPOINTS = 32
"""The engine's own default."""

_ALL_BLOCKS = 1_000_000
_MIB = 1 << 20

_NUMBERS = {
    "-c": "context_total",
    "--ctx-size": "context_total",
    "-np": "slots",
    "--parallel": "slots",
    "-b": "batch",
    "--batch-size": "batch",
    "-ub": "ubatch",
    "--ubatch-size": "ubatch",
    "-ngl": "gpu_layers",
    "--gpu-layers": "gpu_layers",
    "--n-gpu-layers": "gpu_layers",
    "-ncmoe": "cpu_moe",
    "--n-cpu-moe": "cpu_moe",
    "--ctx-checkpoints": "checkpoints",
    "--swa-checkpoints": "checkpoints",
}
_WORDS = {
    "-ctk": "kv_type_k",
    "--cache-type-k": "kv_type_k",
    "-ctv": "kv_type_v",
    "--cache-type-v": "kv_type_v",
}
_SWITCHES: dict[str, tuple[str, Any]] = {
    "-kvu": ("unified_kv", True),
    "--kv-unified": ("unified_kv", True),
    "-no-kvu": ("unified_kv", False),
    "--no-kv-unified": ("unified_kv", False),
    "-cmoe": ("cpu_moe", _ALL_BLOCKS),
    "--cpu-moe": ("cpu_moe", _ALL_BLOCKS),
    "--swa-full": ("swa_full", True),
    "-nkvo": ("kv_offload", False),
    "--no-kv-offload": ("kv_offload", False),
    "--no-mmap": ("mapped", False),
    "-nr": ("repack", False),
    "--no-repack": ("repack", False),
}
_SPLIT = frozenset(("-ts", "--tensor-split"))
_FLASH = frozenset(("-fa", "--flash-attn"))
_CACHE = frozenset(("-cram", "--cache-ram"))
_PLACES = frozenset(("-ot", "--override-tensor"))


def run_of(
    spec: ServerSpec,
    vendor: Vendor = "other",
    draft: ModelFile | None = None,
    projector: ModelFile | None = None,
) -> Run:
    """How llama.cpp will run this server: what the specification says, then its extra arguments, which the
    engine reads later and so prefers."""
    run = Run(
        context_total=spec.context * spec.slots,
        slots=spec.slots,
        kv_type_k=spec.kv_type,
        kv_type_v=spec.kv_type,
        ubatch=spec.ubatch,
        gpu_layers=spec.gpu_layers,
        cache_ram_bytes=spec.cache_ram_bytes,
        vendor=vendor,
        draft=draft,
        projector=projector,
    )
    return msgspec.structs.replace(run, **dict(_said(spec.args)))


def with_checkpoints(model: ModelFile, run: Run) -> Run:
    """Models that cannot go back in their context (windows, recurrent state) save states to go back to: as
    many as fit beside the prompt cache into as much memory again, within bounds. Unlimited, they have ended
    many a host: the engine's own number is 32 for each slot, whatever their size."""
    if run.checkpoints:
        return run
    bare = msgspec.structs.replace(run, devices=0, gpu_layers=0, split=(), cpu_moe=0)
    one = msgspec.structs.replace(bare, checkpoints=1)
    size = estimate(model, one).ram_bytes - estimate(model, bare).ram_bytes
    if size <= 0:
        return run
    count = min(max(run.cache_ram_bytes // size, LEAST_CHECKPOINTS), MOST_CHECKPOINTS)
    return msgspec.structs.replace(run, checkpoints=count)


def flags_of(run: Run, model: str, way: MemoryNeed) -> tuple[str, ...]:
    """For a dry run of this way: what changes memory, and what llama.cpp's tools understand of it. They know
    nothing of slots that share a cache, of prompt caches and of projectors."""
    flags = ["-m", model, "-c", str(run.context_total), "-np", str(run.slots)]
    flags += ["-ctk", run.kv_type_k, "-ctv", run.kv_type_v, "-b", str(run.batch), "-ub", str(run.ubatch)]
    flags += ["-fa", "on" if run.flash else "off", "-ngl", str(way.gpu_layers or 0)]
    flags += ["-ts", ",".join(f"{share:g}" for share in way.split)] if way.split else []
    flags += ["-ncmoe", str(way.cpu_moe)] if way.cpu_moe else []
    return tuple(flags)


def _said(args: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name, value in zip(args, (*args[1:], ""), strict=False):
        if name in _NUMBERS and value.isdigit():
            yield _NUMBERS[name], int(value)
        elif name in _WORDS and value:
            yield _WORDS[name], value
        elif name in _SWITCHES:
            yield _SWITCHES[name]
        elif name in _FLASH:
            yield "flash", value not in ("off", "0", "false")
        elif name in _CACHE and value.isdigit():
            yield "cache_ram_bytes", int(value) * _MIB
        elif name in _SPLIT and (shares := _shares(value)):
            yield "split", shares
            yield "devices", len(shares)
        elif name in _PLACES and (places := tuple(_places(value))):
            yield "tensor_places", places


def _shares(text: str) -> tuple[float, ...]:
    """`3,1` or `3/1`; a GPU that gets nothing is none."""
    try:
        return tuple(share for word in text.replace("/", ",").split(",") if (share := float(word)) > 0)
    except ValueError:
        return ()


def _places(text: str) -> Iterator[tuple[str, int | None]]:
    """`REGEX=CPU,REGEX=CUDA1`; a buffer of another name is passed over."""
    for word in text.split(","):
        pattern, _, buffer = word.rpartition("=")
        if pattern and buffer.upper() == "CPU":
            yield pattern, None
        elif pattern and buffer and buffer[-1].isdigit():
            yield pattern, int(buffer[len(buffer.rstrip("0123456789")) :])
