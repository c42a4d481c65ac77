"""A model as a folder of safetensors, as vLLM and SGLang take it: `config.json` and the headers of the files.

Format: a safetensors file begins with a little-endian u64 length and as much JSON: tensor names with `dtype`,
`shape` and `data_offsets`. Names in `config.json` are those of the transformers library; they are told here
in the words of GGUF metadata, so that one set of formulas prices both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from freehold.core.model_file import ModelFile, ModelFileError, Scalar, Tensor, Value

_LONGEST_HEADER = 100 * 1024**2
"""The format's own bound."""
_LONGEST_CONFIG = 4 * 1024**2
_MOST_LAYERS = 10_000

# config.json -> GGUF metadata, behind `ARCHITECTURE.`
_NAMES = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "sliding_window": "attention.sliding_window",
    "kv_lora_rank": "attention.kv_lora_rank",
    "q_lora_rank": "attention.q_lora_rank",
    "qk_rope_head_dim": "rope.dimension_count",
    "num_experts": "expert_count",
    "n_routed_experts": "expert_count",
    "num_local_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "num_nextn_predict_layers": "nextn_predict_layers",
    "full_attention_interval": "full_attention_interval",
    "vocab_size": "vocab_size",
}


def files_of_folder(folder: Path) -> list[Path]:
    """`config.json` and the files of weights, those of the index when there is one. Raises ModelFileError."""
    config, index = folder / "config.json", folder / "model.safetensors.index.json"
    if not config.is_file():
        raise ModelFileError(f"{folder} holds no config.json: it is no model's folder")
    if not index.is_file():
        return [config, *sorted(folder.glob("*.safetensors"))]
    weights: object = _json(index, _LONGEST_HEADER).get("weight_map")
    if not isinstance(weights, dict):
        raise ModelFileError(f"{index}: no weight_map in it")
    names = {str(name) for name in cast("dict[str, object]", weights).values()}
    if any("/" in name or name.startswith(".") for name in names):
        raise ModelFileError(f"{index}: names files outside of its folder")
    return [config, *(folder / name for name in sorted(names))]


def read_folder(folder: Path, files: list[Path]) -> ModelFile:
    """Raises ModelFileError, OSError."""
    config = _json(files[0], _LONGEST_CONFIG)
    inner = config.get("text_config")
    text = {**config, **cast("dict[str, object]", inner)} if isinstance(inner, dict) else config
    architecture = str(text.get("model_type") or config.get("model_type") or "unknown")
    metadata = _metadata(text, architecture)
    tensors: list[Tensor] = []
    expected = have = 0
    for file in files[1:]:
        size, lines, wanted = _header(file)
        tensors += lines
        have, expected = have + size, expected + wanted
    digest = hashlib.sha256(repr((sorted(metadata.items()), have)).encode())
    for tensor in tensors:
        digest.update(f"{tensor.name} {tensor.bytes}\n".encode())
    vocabulary = metadata.get(f"{architecture}.vocab_size", 0)
    return ModelFile(
        architecture=architecture,
        format="safetensors",
        metadata=metadata,
        tensors=tuple(tensors),
        vocabulary=vocabulary if isinstance(vocabulary, int) else 0,
        file_bytes=have,
        expected_bytes=expected,
        digest=digest.hexdigest(),
        files=tuple(str(file) for file in files),
    )


def _metadata(config: Mapping[str, object], architecture: str) -> dict[str, Value]:
    found: dict[str, Value] = {"general.architecture": architecture}
    for name, key in _NAMES.items():
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40:
            found[f"{architecture}.{key}"] = value
    if isinstance(head := config.get("head_dim"), int):
        found[f"{architecture}.attention.value_length"] = head
    if config.get("use_sliding_window") is False:
        found.pop(f"{architecture}.attention.sliding_window", None)
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and len(cast("list[object]", kinds)) <= _MOST_LAYERS:
        named = [str(kind) for kind in cast("list[object]", kinds)]
        found[f"{architecture}.attention.sliding_window_pattern"] = tuple("sliding" in kind for kind in named)
        found[f"{architecture}.attention.recurrent_layers"] = tuple("linear" in kind for kind in named)
    for name in ("torch_dtype", "dtype"):
        if isinstance(config.get(name), str):
            found["general.dtype"] = cast(Scalar, config[name])
    return found


def _header(file: Path) -> tuple[int, list[Tensor], int]:
    """Size of the file, its tensors, and the size that they ask of it."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(_LONGEST_HEADER, size - 8):
            raise ModelFileError(f"{file}: cut, or no safetensors file")
        try:
            lines = msgspec.json.decode(stream.read(length), type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ModelFileError(f"{file}: its header is no JSON ({error})") from None
    tensors: list[Tensor] = []
    end = 0
    for name, line in lines.items():
        if name == "__metadata__":
            continue
        try:
            entry = msgspec.convert(line, _Entry)
        except msgspec.ValidationError as error:
            raise ModelFileError(f"{file}: tensor '{name}': {error}") from None
        start, stop = entry.data_offsets
        if not 0 <= start <= stop < 1 << 62:
            raise ModelFileError(f"{file}: tensor '{name}' lies at {start} to {stop}: the file is corrupt")
        tensors.append(Tensor(name, stop - start, tuple(reversed(entry.shape)), entry.dtype.lower()))
        end = max(end, stop)
    return size, tensors, 8 + length + end


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def _json(file: Path, longest: int) -> dict[str, Any]:
    try:
        if file.stat().st_size > longest:
            raise ModelFileError(f"{file}: larger than {longest:,} bytes")
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ModelFileError(f"{file} is no JSON object: {error}") from None
