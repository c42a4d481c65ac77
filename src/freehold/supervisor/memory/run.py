"""How a model shall be run, as far as memory is concerned: the question that the estimator answers."""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.core.model_file import ModelFile

DEVICE_CONTEXT_BYTES = 330 * 1024**2
"""Driver context and cuBLAS, for each process and NVIDIA GPU. Source: Unsloth Studio claims 320-330 MiB."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One way to run a model. Names and defaults are llama.cpp's unless said otherwise."""

    engine: Literal["llama.cpp", "vllm", "sglang"] = "llama.cpp"
    context_total: int = 0
    """Tokens of all slots together (`--ctx-size`); 0: what the model was trained for."""
    slots: int = 1
    unified_kv: bool = False
    """One cache that all slots share, instead of an equal share for each."""
    kv_type_k: str = "f16"
    kv_type_v: str = "f16"
    batch: int = 2048
    ubatch: int = 512
    gpu_layers: int | None = None
    """`-ngl`; None: all. Without `devices` it means nothing."""
    devices: int = 0
    """GPUs it is spread over."""
    split: tuple[float, ...] = ()
    """Shares of the layers over the devices (`--tensor-split`); empty: equal."""
    cpu_moe: int = 0
    """`--n-cpu-moe`: experts of the first so many blocks stay on the host."""
    tensor_places: tuple[tuple[str, int | None], ...] = ()
    """`-ot`: regular expression and device (None: host); the first that matches wins."""
    outputs: int | None = None
    """Tokens of a micro-batch whose logits are wanted; None: one of each slot, as a server does."""
    flash: bool = True
    swa_full: bool = False
    """Windowed layers keep the whole context."""
    kv_offload: bool = True
    """False: the cache stays on the host, whatever the layers do."""
    op_offload: bool = True
    """A GPU computes large products of layers that are on the host: their weights pass through it."""
    mapped: bool = True
    """Weights on the host are pages of the file (mmap)."""
    repack: bool = True
    """The CPU backend may hold weights a second time in an order of its own."""
    cache_ram_bytes: int = 0
    """Bound of the prompt cache in host memory."""
    checkpoints: int = 0
    """Saved states of a slot for models that cannot go back (`--ctx-checkpoints`; the engine's own default
    is 32). Needed memory when every slot has as many."""
    vendor: Literal["nvidia", "amd", "intel", "apple", "other"] = "other"
    """Of the GPUs: NVIDIA's driver takes a context for each process."""
    draft: ModelFile | None = None
    draft_devices: int | None = None
    """None: like the model."""
    draft_tokens: int = 0
    """Tokens guessed ahead, for models that draft for themselves (recurrent states to go back to)."""
    projector: ModelFile | None = None
    gpu_memory: float | None = None
    """vLLM, SGLang: share of each GPU's memory that it takes; None: the engine's own default."""
    device_total_bytes: tuple[int, ...] = ()
    """vLLM, SGLang: what the share is of, for each device."""
