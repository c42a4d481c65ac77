"""Host memory beside the model: logits, prompt cache, checkpoints, and the engine's own process."""

from __future__ import annotations

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.layers import Layers
from freehold.supervisor.memory.recurrent import sequence_bytes
from freehold.supervisor.memory.run import Run

_F32 = 4
PROCESS_BYTES = 48 * 1024**2
"""Code's data, threads and buffers of an idle engine. Measured: 40 to 46 MiB (embedded b11549, x86-64)."""
TOKEN_BYTES = 200
"""Of the tokenizer's tables, for each token. Measured on vocabularies of 50 to 262 thousand tokens."""


def output_bytes(model: ModelFile, run: Run) -> int:
    """Logits: V x 4 for each slot. Source: llama.cpp's llama-context.cpp (`output_reserve`)."""
    return _F32 * model.vocabulary * max(run.slots, 1)


def checkpoint_bytes(layers: Layers, windowed_bytes: int, run: Run) -> int:
    """All saved states of all slots. One holds what cannot be made again from the rest: the windowed layers'
    cells and the recurrent state. Source: llama.cpp's server (`--ctx-checkpoints`)."""
    slots = max(run.slots, 1)
    return (windowed_bytes // slots + sequence_bytes(layers)) * run.checkpoints * slots


def process_bytes(model: ModelFile) -> int:
    """What an engine needs with a model of no size."""
    return PROCESS_BYTES + TOKEN_BYTES * model.vocabulary
