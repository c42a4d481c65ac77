"""Which device a layer and a tensor go to. Source: llama.cpp's llama-model.cpp (`get_layer_buft_list`,
`tensor_split`) and common/fit.cpp; index i = block_count is the output layer."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate

import msgspec

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.run import Run

_BLOCK = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"ffn_(up|down|gate_up|gate)_(ch|)exps")
_HOST_INPUTS = ("token_embd", "token_types", "position_embd", "per_layer_token_embd")


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where layers are: None is the host, else the n-th device."""

    layers: tuple[int | None, ...]
    """One for each block, and one for the output layer behind them."""

    @property
    def output(self) -> int | None:
        return self.layers[-1]


def shares_of(run: Run) -> tuple[float, ...]:
    """Of the layers, for each device; equal where none or nonsense is given."""
    given = run.split[: run.devices]
    if len(given) < run.devices or sum(given) <= 0:
        return (1.0,) * run.devices
    return given


def places_of(model: ModelFile, run: Run) -> Places:
    """The last `gpu_layers` layers (the output is one) are dealt out to the devices by their shares."""
    count = model.blocks + 1
    offloaded = count if run.gpu_layers is None else max(min(run.gpu_layers, count), 0)
    if run.devices <= 0 or offloaded == 0:
        return Places(layers=(None,) * count)
    shares = shares_of(run)
    total = sum(shares)
    bounds = [part / total for part in accumulate(shares)]
    start = count - offloaded
    dealt = [min(bisect_right(bounds, i / offloaded), run.devices - 1) for i in range(offloaded)]
    return Places(layers=(*(None for _ in range(start)), *dealt))


@lru_cache(maxsize=65_536)
def block_of(name: str) -> int | None:
    """The block of a tensor, from its name."""
    found = _BLOCK.match(name)
    return int(found[1]) if found else None


@lru_cache(maxsize=65_536)
def is_expert(name: str) -> bool:
    """One of the large tensors that hold all experts of a block."""
    return _EXPERTS.search(name) is not None


def is_input(name: str) -> bool:
    """Looked up by token on the host, whatever the layers do."""
    return name.startswith(_HOST_INPUTS)


class Rules(msgspec.Struct, frozen=True):
    """`-ot`, compiled."""

    rules: tuple[tuple[re.Pattern[str], int | None], ...]

    def place(self, name: str) -> tuple[bool, int | None]:
        """Whether a rule names this tensor, and the device it says."""
        for pattern, device in self.rules:
            if pattern.search(name):
                return True, device
        return False, None


def rules_of(run: Run) -> Rules:
    """What is no regular expression names no tensor: the engine refuses to start with it."""
    found: list[tuple[re.Pattern[str], int | None]] = []
    for text, device in run.tensor_places:
        with contextlib.suppress(re.error):
            found.append((re.compile(text), device))
    return Rules(tuple(found))
