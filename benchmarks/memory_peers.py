"""What peers would reckon for the same model and run: their formulas in a few lines each, written from what
their sources say (gguf-parser 2026-07, Ollama 2026-08, LocalAI 2026-08). All layers on one GPU.

Kept as close as the figures need: what they add for a tokenizer's tables and the like is left out, in their
favour or not by some MB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory import Run
from freehold.supervisor.memory.kv import row_bytes
from freehold.supervisor.memory.layers import layers_of

_PAD = 256


def gguf_parser(model: ModelFile, run: Run) -> int:
    """Exact weights; windows with the logical batch; the longer MLA lengths, keys and values; mask as f32;
    logits for every token of a micro-batch, twice."""
    context = -(-run.context_total // _PAD) * _PAD
    ubatch = min(context, run.ubatch)
    weights = model.weights_bytes
    logits = 4 * ubatch * (model.vocabulary + model.number("embedding_length"))
    output = 4 * ubatch * (model.vocabulary + model.number("embedding_length"))
    width = model.number("embedding_length")
    cache = _parser_cache(model, run, context)
    inputs = 4 * ubatch * (width + (context if model.number("attention.head_count_kv") else 0))
    return weights + cache + logits + output + inputs + _parser_graph(model, run, context, ubatch)


def _parser_cache(model: ModelFile, run: Run, context: int) -> int:
    layers = layers_of(model)
    recurrent = model.number("ssm.inner_size") > 0
    total = 0
    if recurrent:
        one = max((layer.conv + layer.state for layer in layers.blocks), default=0)
        total += 4 * one * run.slots * model.blocks  # every block is taken for recurrent
        if not model.number("attention.head_count"):
            return total
    heads = model.number("attention.head_count_kv", model.number("attention.head_count"))
    key = model.number("attention.key_length_mla") or model.number("attention.key_length")
    value = model.number("attention.value_length_mla") or model.number("attention.value_length")
    window = min(context, -(-(layers.window * run.slots + run.batch) // _PAD) * _PAD)
    for layer in layers.blocks:
        cells = window if layer.windowed else context
        total += cells * (row_bytes(run.kv_type_k, heads * key) + row_bytes(run.kv_type_v, heads * value))
    return total


def _parser_graph(model: ModelFile, run: Run, context: int, ubatch: int) -> int:
    """The larger of one layer's attention (with its cache unpacked beside it) and its feed forward part."""
    width, ff = model.number("embedding_length"), model.number("feed_forward_length")
    heads = model.number("attention.head_count_kv", model.number("attention.head_count"))
    cache = context * (
        row_bytes(run.kv_type_k, heads * model.number("attention.key_length"))
        + row_bytes(run.kv_type_v, heads * model.number("attention.value_length"))
    )
    queries = max(
        (t.bytes for t in model.tensors if t.name.endswith(("attn_q.weight", "attn_qkv.weight"))), default=0
    )
    attention = 2 * context * ubatch + 4 * width * ubatch + queries + cache
    experts = 4 * width * model.number("expert_used_count") * ubatch
    return max(attention, 4 * ubatch * (2 * width + (0 if experts else 2 * ff)) + experts)


def ollama(model: ModelFile, run: Run) -> int:
    """The file, and two bytes for the keys and values of every block with the smallest number of heads: no
    windows, no types of cache, no graph."""
    heads = model.number("attention.head_count")
    per_layer = model.per_layer("attention.head_count_kv", heads)
    length = model.number("embedding_length") // heads if heads else 0
    return model.file_bytes + 2 * model.blocks * min(per_layer, default=0) * length * run.context_total * 2


def localai(model: ModelFile, run: Run) -> int:
    """The file, two bytes x width x heads of keys x context (no number of layers), and an overhead."""
    heads = model.number("attention.head_count_kv", model.number("attention.head_count", 8)) or 8
    cache = 2 * model.number("embedding_length") * heads * run.context_total
    return int(model.file_bytes + cache + 0.04 * model.file_bytes + 0.15e9)


PEERS: Mapping[str, Callable[[ModelFile, Run], int]] = {
    "gguf-parser": gguf_parser,
    "Ollama": ollama,
    "LocalAI": localai,
}
