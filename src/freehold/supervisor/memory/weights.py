"""Bytes of weights on each device: sums of exact tensor sizes, never a file size times a factor.
Source: llama.cpp's llama-model.cpp and llama-model-loader.cpp."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from freehold.core.model_file import ModelFile, Tensor
from freehold.supervisor.memory.places import Places, Tables, block_of, is_expert, is_input
from freehold.supervisor.memory.run import Run

_REPACKED = ("q4_0", "q4_k", "q2_k", "iq4_nl")
"""Types that the CPU backend may keep in an order of its own."""


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
    """Every tensor at its place. A missing output matrix means that the token embedding serves as one: its
    second copy is on the output's device."""
    tables = Tables(tuple((re.compile(text), device) for text, device in run.tensor_places))
    devices: Counter[int] = Counter()
    mapped = own = largest = read = 0
    used, experts = model.number("expert_used_count"), max(model.number("expert_count"), 1)
    tied = not any(tensor.name == "output.weight" for tensor in model.tensors)
    for tensor in model.tensors:
        device = _place(tensor, run, places, tables)
        if device is None:
            repacked = run.repack and run.devices == 0 and _may_repack(tensor)
            own += tensor.bytes if repacked or not run.mapped else 0
            mapped += 0 if repacked or not run.mapped else tensor.bytes
            if not is_input(tensor.name):
                largest = max(largest, tensor.bytes)
                read += tensor.bytes * used // experts if is_expert(tensor.name) else tensor.bytes
        else:
            devices[device] += tensor.bytes
        if tied and tensor.name == "token_embd.weight" and places.output is not None:
            devices[places.output] += tensor.bytes
    return Weights(
        by_device=dict(devices),
        host_mapped=mapped,
        host_own=own,
        largest_host=largest,
        host_read_per_token=read,
    )


def _place(tensor: Tensor, run: Run, places: Places, tables: Tables) -> int | None:
    named, device = tables.place(tensor.name)
    if named:
        return device
    block = block_of(tensor.name)
    if block is not None:
        if block < run.cpu_moe and is_expert(tensor.name):
            return None
        return places.layers[min(block, len(places.layers) - 1)]
    return None if is_input(tensor.name) else places.output


def _may_repack(tensor: Tensor) -> bool:
    """Matrices of some types whose rows come in eights. What looks tokens up is left alone."""
    if tensor.type not in _REPACKED or len(tensor.shape) < 2 or is_input(tensor.name):
        return False
    return tensor.shape[1] % 8 == 0
