"""What a model's file (or folder) says of itself, as a value: sizes, tensors, hyper-parameters. Pure.

Read by `adapters.engines.model_files`; priced by `supervisor.memory`. Keys are those of GGUF metadata
(`llama.block_count`), also for safetensors folders, whose `config.json` is translated into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.core.errors import FreeholdError

Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar, ...]


class ModelFileError(FreeholdError):
    """The model's file cannot be used; the text says why, and what to do."""


class Tensor(msgspec.Struct, frozen=True):
    """One line of the tensor table."""

    name: str
    bytes: int
    """Exact, without padding."""
    shape: tuple[int, ...] = ()
    """Fastest dimension first, as GGUF counts."""
    type: str = ""
    """Lower case: `f16`, `q4_k`, `bf16`."""


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One model, whatever number of files it lies in."""

    architecture: str
    """As the engine calls it: `llama`, `gemma3`, `qwen3moe`, `deepseek2`, `clip` (a projector)."""
    format: Literal["gguf", "safetensors"] = "gguf"
    metadata: Mapping[str, Value] = {}
    """Everything but the tokenizer's tables and texts."""
    tensors: tuple[Tensor, ...] = ()
    vocabulary: int = 0
    """Tokens."""
    file_bytes: int = 0
    """Size on disk, all parts together."""
    expected_bytes: int = 0
    """Size that the tensor table asks for; more than `file_bytes` means that a file was cut."""
    digest: str = ""
    """Cheap identity: of the metadata, the tensor table and the sizes, not of the weights."""
    files: tuple[str, ...] = ()
    """Paths of the parts, in order."""

    def value(self, key: str) -> Value | None:
        """`ARCHITECTURE.key`."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def number(self, key: str, default: int = 0) -> int:
        """`ARCHITECTURE.key` as a count; of a list the largest. `default` when absent or no number."""
        found = self.value(key)
        if isinstance(found, tuple):
            counts = [int(item) for item in found if isinstance(item, int | float)]
            return max(counts, default=default)
        return int(found) if isinstance(found, int | float) else default

    def per_layer(self, key: str, default: int = 0) -> tuple[int, ...]:
        """`ARCHITECTURE.key` for each block: a list as it stands (cut or filled up), a scalar repeated."""
        blocks, found = self.blocks, self.value(key)
        if not isinstance(found, tuple):
            return (self.number(key, default),) * blocks
        items = [int(item) if isinstance(item, int | float) else default for item in found[:blocks]]
        return (*items, *(default for _ in range(blocks - len(items))))

    @property
    def blocks(self) -> int:
        """Transformer blocks, those for speculative decoding included."""
        return self.number("block_count")

    @property
    def context_length(self) -> int:
        """Tokens it was trained for; 0 when the file does not say."""
        return self.number("context_length")

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def is_cut(self) -> bool:
        return self.file_bytes < self.expected_bytes
