"""Dimensions of the families' models: tiny ones for tests, true ones for measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from benchmarks.families import FAMILIES, Size

_TINY = Size(
    blocks=6, width=256, heads=8, kv_heads=2, head=32, ff=512, tokens=512, context=8192, weights="q8_0"
)
_TINY_MOE = replace(_TINY, experts=8, used=2, ff_expert=256)
TINY: Mapping[str, Size] = {
    **dict.fromkeys(FAMILIES, _TINY),
    "gemma2": replace(_TINY, window=64),
    "gemma3": replace(_TINY, window=64),
    "gemma4": replace(_TINY, blocks=18, head=64, window=64),
    **dict.fromkeys(("qwen3moe", "glm4moe", "deepseek2", "qwen3next"), _TINY_MOE),
    "gpt-oss": replace(_TINY_MOE, window=64),
    "deepseek2": replace(_TINY_MOE, head=64),
    "granitehybrid": replace(_TINY, blocks=10),
}

_K = 1024
TRUE: Mapping[str, tuple[str, Size]] = {
    "Llama 3.1 8B": ("llama", Size(32, 4096, 32, 8, 128, 14336, 128256)),
    "Llama 3.1 70B": ("llama", Size(80, 8192, 64, 8, 128, 28672, 128256)),
    "Qwen2.5 7B": ("qwen2", Size(28, 3584, 28, 4, 128, 18944, 152064, 32 * _K)),
    "Qwen3 0.6B": ("qwen3", Size(28, 1024, 16, 8, 128, 3072, 151936, 40960, tied=True)),
    "Phi 3 mini": ("phi3", Size(32, 3072, 32, 32, 96, 8192, 32064)),
    "Gemma 2 9B": ("gemma2", Size(42, 3584, 16, 8, 256, 14336, 256000, 8 * _K, window=4096)),
    "Gemma 3 27B": ("gemma3", Size(62, 5376, 32, 16, 128, 21504, 262208, window=1024)),
    "Gemma 4 like": ("gemma4", Size(36, 2560, 8, 2, 512, 10240, 262144, window=512)),
    "Qwen3 30B-A3B": (
        "qwen3moe",
        Size(48, 2048, 32, 4, 128, 6144, 151936, 40960, experts=128, used=8, ff_expert=768),
    ),
    "gpt-oss 120B": (
        "gpt-oss",
        Size(
            36,
            2880,
            64,
            8,
            64,
            2880,
            201088,
            experts=128,
            used=4,
            ff_expert=2880,
            window=128,
            weights="mxfp4",
        ),
    ),
    "GLM 4.5 Air": (
        "glm4moe",
        Size(46, 4096, 96, 8, 128, 10944, 151552, experts=128, used=8, ff_expert=1408),
    ),
    "DeepSeek V3": (
        "deepseek2",
        Size(61, 7168, 128, 1, 128, 18432, 129280, 163840, experts=256, used=8, ff_expert=2048),
    ),
    "Mamba 2.8B": ("mamba", Size(64, 2560, 0, 0, 0, 0, 50280, 1 << 20)),
    "Mamba2 2.7B": ("mamba2", Size(64, 2560, 0, 0, 0, 0, 50288, 1 << 20)),
    "Falcon H1 7B": ("falcon-h1", Size(44, 3072, 12, 2, 128, 12288, 130048)),
    "Granite 4 micro": ("granitehybrid", Size(40, 2048, 32, 8, 64, 8192, 100352)),
    "LFM2 1.2B": ("lfm2", Size(16, 2048, 32, 8, 64, 8192, 65536, 128000)),
    "Qwen3 Next 80B": (
        "qwen3next",
        Size(48, 2048, 16, 2, 256, 5120, 151936, 262144, experts=512, used=10, ff_expert=512),
    ),
}
