"""Bytes of weights on each device: sums of exact tensor sizes, never a file size times a factor.
Source: llama.cpp's llama-model.cpp and llama-model-loader.cpp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from freehold.core.model_file import ModelFile, Tensor
from freehold.supervisor.memory.places import Places, Rules, block_of, is_expert, is_input, rules_of
from freehold.supervisor.memory.run import Run

_REPACKED = ("q4_0", "q4_k", "q2_k", "iq4_nl", "mxfp4")
"""Types that the CPU backend keeps in an order of its own. Measured on x86-64 (b11549); q2_k on some CPUs."""

_COPIED = ("gemma3n", "gemma4")
"""Models whose embedding is read twice when it is not mapped. Measured on dry runs of 0.7.0."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Where the weights are."""

    by_device: dict[int, int]
    host_mapped: int
    """Pages of the file."""
    host_own: int
    """Memory of the process: repacked tensors, or everything when the file is not mapped."""
    largest_host: int
    """Largest tensor of a layer on the host: with a GPU, its product may be computed there."""
    host_read_per_token: int
    """What of the host's share a token needs: all of the dense part, of the experts those that are used."""


def weights_of(model: ModelFile, run: Run, places: Places) -> Weights:
    """Every tensor at its place. Without an output matrix the token embedding serves as one: a second copy of
    it is on the output's device, on the host only when it is repacked."""
    rules = rules_of(run)
    devices: Counter[int] = Counter()
    mapped = own = largest = read = 0
    used, experts = model.number("expert_used_count"), max(model.number("expert_count"), 1)
    tied = not any(tensor.name == "output.weight" for tensor in model.tensors)
    for tensor in _loaded(model, run):
        device = _place(tensor, run, places, rules)
        copied = tied and tensor.name == "token_embd.weight"
        if copied and places.output is not None:
            devices[places.output] += tensor.bytes
        if device is not None:
            devices[device] += tensor.bytes
            continue
        may_repack = run.repack and run.devices == 0 and _may_repack(tensor)
        repacked = may_repack and not is_input(tensor.name)
        doubled = copied and (may_repack or (not run.mapped and model.architecture in _COPIED))
        own += tensor.bytes if repacked or doubled else 0
        if not repacked:
            mapped += tensor.bytes
        if not is_input(tensor.name):
            largest = max(largest, tensor.bytes)
            read += tensor.bytes * used // experts if is_expert(tensor.name) else tensor.bytes
    return Weights(
        by_device=dict(devices),
        host_mapped=mapped if run.mapped else 0,
        host_own=own if run.mapped else own + mapped,
        largest_host=largest,
        host_read_per_token=read,
    )


def _loaded(model: ModelFile, run: Run) -> Sequence[Tensor]:
    """Blocks that only draft are passed over until they shall."""
    drafting = model.number("nextn_predict_layers")
    if run.draft_tokens or not drafting:
        return model.tensors
    last = model.blocks - drafting
    return [tensor for tensor in model.tensors if (block_of(tensor.name) or 0) < last]


def _place(tensor: Tensor, run: Run, places: Places, rules: Rules) -> int | None:
    named, device = rules.place(tensor.name)
    if named:
        return device
    block = block_of(tensor.name)
    if block is not None:
        if block < run.cpu_moe and is_expert(tensor.name):
            return None
        return places.layers[min(block, len(places.layers) - 1)]
    return None if is_input(tensor.name) else places.output


def _may_repack(tensor: Tensor) -> bool:
    """Matrices of some types whose rows come in eights."""
    return tensor.type in _REPACKED and len(tensor.shape) > 1 and tensor.shape[1] % 8 == 0
