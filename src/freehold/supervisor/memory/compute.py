"""Bytes of scratch memory for a graph of one micro-batch: how much of it is alive at the same time, at most.

The allocator's high-water mark has no closed form, but what it comes from is known: some rows of the model's
width stay alive, the masks do, and one of the graph's narrow places needs the most beside them. Each place is
bounded here from the shapes of llama.cpp's graphs; fitted to and checked against 385 dry runs of 18 families
(`python -m benchmarks memory`): exact for most dense models, up to a tenth too much for others.
"""

from __future__ import annotations

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import Cells
from freehold.supervisor.memory.layers import Layers, is_mla
from freehold.supervisor.memory.run import Run

_F32 = 4
_WIDE_ROWS = 6
"""Rows of the model's width that are alive everywhere: input, residual, sums (5; 6 with scaled residuals)."""
_WIDE_ROWS_COPIED, _WIDE_ROWS_SCANNED = 17, 8
"""The same on one of several devices that work at the same time; more with recurrent state."""
_WIDE_ROWS_OUT, _WIDE_ROWS_OUT_COPIED = 5, 9
"""Beside the logits."""
_WIDE_ROWS_IN, _WIDE_ROWS_IN_COPIED = 4, 10
"""On a host that only feeds the devices. Measured on devices that the CPU stood in for (0.7.0)."""
_RWKV_ROWS = 24
"""In place of a formula for time mixing. A guess."""


def mask_bytes(layers: Layers, cells: Cells, *, flash: bool) -> int:
    """A row of the mask for each token of the micro-batch and kind of cache: f16, without flash f32."""
    attending = [layer for layer in layers.blocks if layer.k]
    kinds = {cells.window if layer.windowed else 0 for layer in attending}
    columns = sum(kind or cells.full for kind in kinds)
    return columns * cells.ubatch * (2 if flash else _F32)


def compute_bytes(
    model: ModelFile, layers: Layers, cells: Cells, run: Run, *, copies: int = 1, output: bool = True
) -> int:
    """Of the host, or of one device. `copies`: how often the graph's inputs are kept, where several devices
    work on micro-batches at the same time. `output`: the last layer is here, with the logits."""
    wide, beside = (_WIDE_ROWS, _WIDE_ROWS_OUT) if copies == 1 else (_WIDE_ROWS_COPIED, _WIDE_ROWS_OUT_COPIED)
    if copies > 1 and any(layer.state for layer in layers.blocks):
        wide += _WIDE_ROWS_SCANNED
        beside = wide + 2
    row = _F32 * model.number("embedding_length") * cells.ubatch
    kept = wide * row + _peak_bytes(model, layers, cells, run)
    if output:
        outputs = min(run.outputs or max(run.slots, 1), cells.ubatch)
        kept = max(
            kept, beside * row + _F32 * outputs * (model.vocabulary + model.number("embedding_length"))
        )
    return copies * (mask_bytes(layers, cells, flash=run.flash) + _small_bytes(cells)) + kept


def input_bytes(model: ModelFile, layers: Layers, cells: Cells, run: Run, *, copies: int = 1) -> int:
    """Of a host that holds no layers: the graph's inputs and what comes in and goes out."""
    wide = _WIDE_ROWS_IN if copies == 1 else _WIDE_ROWS_IN_COPIED
    kept = _F32 * wide * model.number("embedding_length") * cells.ubatch
    return copies * (mask_bytes(layers, cells, flash=run.flash) + _small_bytes(cells)) + kept


def _small_bytes(cells: Cells) -> int:
    """Token numbers, positions, indexes of cells and the like. Measured: up to 60 bytes for each token."""
    return 16_384 + 64 * cells.ubatch


def _peak_bytes(model: ModelFile, layers: Layers, cells: Cells, run: Run) -> int:
    """Of the narrowest place within a block."""
    rows = max(
        _ffn_rows(model),
        _expert_rows(model),
        _attention_rows(model, cells, flash=run.flash),
        _recurrent_rows(model),
    )
    return _F32 * rows * cells.ubatch + _scan_bytes(layers, run)


def _ffn_rows(model: ModelFile) -> int:
    """Gate, up and their product."""
    return 3 * model.number("feed_forward_length")


def _expert_rows(model: ModelFile) -> int:
    """The same for each expert that a token uses; what they give is kept beside it unless it fits into what
    became free."""
    used, ff = model.number("expert_used_count"), model.number("expert_feed_forward_length")
    width = model.number("embedding_length")
    ff = ff or (model.number("feed_forward_length") if used else 0)
    return used * (3 * ff + (width if width > ff else 0))


def _attention_rows(model: ModelFile, cells: Cells, *, flash: bool) -> int:
    """Queries before and after they are turned, keys, values and the answer; without flash attention also the
    scores of every head and cell."""
    heads = model.number("attention.head_count")
    length = model.number("embedding_length") // heads if heads else 0
    key, value = model.number("attention.key_length", length), model.number("attention.value_length", length)
    scores = 0 if flash else heads * cells.full
    if is_mla(model):
        scores += 0 if flash else -(-cells.full * value // (2 * cells.ubatch))  # the values, turned, in f16
        short = model.number("attention.key_length_mla") + model.number("attention.value_length_mla")
        return scores + heads * (key + value + short) + 2 * model.number("attention.q_lora_rank")
    heads_kv = model.number("attention.head_count_kv", heads)
    return scores + 3 * heads * max(key, value) + heads_kv * (key + value)


def _recurrent_rows(model: ModelFile) -> int:
    """The projection, what the convolution takes and gives, and the answer."""
    width = model.number("embedding_length")
    if model.number("wkv.head_size"):
        return _RWKV_ROWS * width
    if model.number("shortconv.l_cache"):
        return 6 * width
    inner = model.number("ssm.inner_size")
    groups = 2 * model.number("ssm.group_count") * model.number("ssm.state_size")
    projected = 2 * inner + groups + model.number("ssm.time_step_rank") if inner else 0
    return projected + 2 * (inner + groups) + inner if inner else 0


def _scan_bytes(layers: Layers, run: Run) -> int:
    """A recurrent block reads the states of all sequences and writes new ones beside them."""
    largest = max((layer.conv + 2 * layer.state for layer in layers.blocks), default=0)
    return _F32 * largest * max(run.slots, 1)
