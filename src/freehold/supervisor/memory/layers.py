"""What each block keeps between tokens: keys and values, recurrent state, or nothing.

One `Layer` per block, so that caches are sums over them. Source of the rules: llama.cpp's llama-hparams.cpp,
llama-kv-cache*.cpp, llama-memory-recurrent.cpp and models/*.cpp, read for facts.
"""

from __future__ import annotations

import msgspec

from freehold.core.model_file import ModelFile

# Windowed layers where the file carries no pattern: (period, the dense layer comes first?).
# Layer i has a window iff i mod period < period - 1, or i mod period != 0 with the dense one first; period 0:
# every layer.
_PERIODS = {
    "gemma2": (2, False),
    "gemma3": (6, False),
    "gemma-embedding": (6, False),
    "gemma3n": (5, False),
    "cohere2": (4, False),
    "cohere2moe": (4, True),
    "llama4": (4, False),
    "gpt-oss": (2, False),
    "olmo2": (4, False),
    "exaone4": (4, False),
    "exaone-moe": (4, False),
    "afmoe": (4, False),
    "plamo3": (8, False),
    "smallthinker": (4, True),
    "modern-bert": (3, True),
}
_LLAMA4_WINDOW = 8192
_EXAONE4_WINDOWED = 64
"""Blocks of the one exaone4 that has windows; the small ones carry the key and see everything."""
_GEMMA3N_OWNERS = 20
"""The first so many blocks of gemma3n have keys of their own."""
_ENCODERS = (
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
)
_BOTH = ("falcon-h1",)
"""Attention and recurrent state in the same block."""


class Layer(msgspec.Struct, frozen=True):
    """What one block keeps."""

    k: int = 0
    """Elements of a token's key, all heads together."""
    v: int = 0
    windowed: bool = False
    """Keeps a window of the context only."""
    conv: int = 0
    """Elements of the convolution's (or token shift's) state of one sequence."""
    state: int = 0
    """Elements of the recurrent state of one sequence."""

    @property
    def recurrent(self) -> bool:
        return self.conv + self.state > 0


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """All blocks of a model."""

    blocks: tuple[Layer, ...]
    window: int = 0
    """Tokens that a windowed layer looks back."""
    widest_v: int = 0
    """Of all layers: without flash attention, values are stored in rows of this length."""


def layers_of(model: ModelFile) -> Layers:
    """What `model` keeps, block by block. The blocks for speculative decoding keep nothing here: they belong
    to the draft's context."""
    window = window_of(model)
    windowed = _windowed(model, window)
    recurrent = _recurrent(model)
    keys, values = _attention(model, windowed)
    conv, state = _state(model)
    last = model.blocks - model.number("nextn_predict_layers")
    owners = last - model.number("attention.shared_kv_layers")
    if model.architecture == "gemma3n":
        owners = min(owners, _GEMMA3N_OWNERS)
    blocks: list[Layer] = []
    for i in range(model.blocks):
        both = model.architecture in _BOTH
        attends = i < owners and (both or not recurrent[i])
        kept = i < last and (both or recurrent[i])
        blocks.append(
            Layer(
                k=keys[i] if attends else 0,
                v=values[i] if attends else 0,
                windowed=windowed[i],
                conv=conv if kept else 0,
                state=state if kept else 0,
            )
        )
    return Layers(blocks=tuple(blocks), window=window, widest_v=max(values, default=0))


def is_mla(model: ModelFile) -> bool:
    """Compressed attention: one shared key of latent rank, from which the values are made too."""
    return model.number("attention.key_length_mla") > 0 and model.number("attention.value_length_mla") > 0


def window_of(model: ModelFile) -> int:
    """Tokens of the sliding window; 0: none."""
    if model.architecture == "exaone4" and model.format == "gguf" and model.blocks != _EXAONE4_WINDOWED:
        return 0
    if model.architecture == "llama4" and model.value("attention.sliding_window") is None:
        return model.number("attention.chunk_size", _LLAMA4_WINDOW)
    return model.number("attention.sliding_window")


def _windowed(model: ModelFile, window: int) -> tuple[bool, ...]:
    if window <= 0:
        return (False,) * model.blocks
    pattern = model.value("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        items = [bool(item) for item in pattern[: model.blocks]]
        return (*items, *(False for _ in range(model.blocks - len(items))))
    period, dense_first = _PERIODS.get(model.architecture, (1, False))
    if isinstance(pattern, int) and pattern > 0:
        period = int(pattern)
    if model.format == "gguf" and model.architecture not in _PERIODS and pattern is None:
        return (False,) * model.blocks  # a key that this architecture's graph does not look at
    if period <= 1:
        return (True,) * model.blocks
    return tuple((i % period != 0) if dense_first else (i % period < period - 1) for i in range(model.blocks))


def _attention(model: ModelFile, windowed: tuple[bool, ...]) -> tuple[list[int], list[int]]:
    """Elements of a token's key and value for each block."""
    if model.architecture in _ENCODERS or model.value("attention.causal") is False:
        return [0] * model.blocks, [0] * model.blocks
    heads = model.number("attention.head_count")
    heads_kv = model.per_layer("attention.head_count_kv", heads)
    length = model.number("embedding_length") // heads if heads else 0
    k, v = model.number("attention.key_length", length), model.number("attention.value_length", length)
    k_window, v_window = (
        model.number("attention.key_length_swa", k),
        model.number("attention.value_length_swa", v),
    )
    indexer = model.number("attention.indexer.key_length")  # one more key for each token, of all heads
    keys = [
        n * (k_window if w else k) + (indexer if n else 0) for n, w in zip(heads_kv, windowed, strict=True)
    ]
    values = [n * (v_window if w else v) for n, w in zip(heads_kv, windowed, strict=True)]
    return keys, [0] * model.blocks if is_mla(model) else values


def _recurrent(model: ModelFile) -> tuple[bool, ...]:
    """Which blocks are recurrent."""
    blocks, listed = model.blocks, model.value("attention.recurrent_layers")
    if isinstance(listed, tuple):
        items = [bool(item) for item in listed[:blocks]]
        return (*items, *(False for _ in range(blocks - len(items))))
    if model.architecture.startswith(("rwkv", "arwkv")):
        return (True,) * blocks
    if interval := model.number("full_attention_interval"):
        return tuple((i + 1) % interval != 0 for i in range(blocks))
    if model.number("ssm.inner_size") or model.number("shortconv.l_cache"):
        heads_kv = model.per_layer("attention.head_count_kv", model.number("attention.head_count"))
        return tuple(n == 0 for n in heads_kv)
    return (False,) * blocks


def _state(model: ModelFile) -> tuple[int, int]:
    """Elements of the convolution's and of the recurrent state, for one sequence and recurrent block."""
    width = model.number("embedding_length")
    if head := model.number("wkv.head_size"):
        shifts = model.number("token_shift_count", 2)
        return shifts * width, width * head
    if cached := model.number("shortconv.l_cache"):
        return width * (cached - 1), 0
    inner, state = model.number("ssm.inner_size"), model.number("ssm.state_size")
    conv, groups = model.number("ssm.conv_kernel"), model.number("ssm.group_count")
    return max(conv - 1, 0) * (inner + 2 * groups * state), state * inner
