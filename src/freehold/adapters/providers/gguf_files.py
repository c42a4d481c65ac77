"""Finds GGUF files in the folders where other programs keep them. Reads headers only, bounded in number.

Ollama's blobs are left out: Ollama serves them itself, and names them by digest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from freehold.adapters.providers.gguf_header import GgufError, GgufHeader, read_header
from freehold.core.home import user_dir

MOST_FILES = 500
MOST_FOLDERS = 5_000
DEEPEST = 6

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_EMBEDDERS = frozenset(
    {"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert", "modern-bert"}
)


class GgufFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model file that an engine could serve."""

    path: Path
    """The first shard, when there are several."""
    size_bytes: int
    """Of all shards together."""
    header: GgufHeader

    @property
    def label(self) -> str:
        """A short name that says which model and which quantisation: the file's, without its endings."""
        return _SHARD.sub("", self.path.stem)

    @property
    def generates(self) -> bool:
        """False for encoders, which only make embeddings."""
        return self.header.architecture not in _EMBEDDERS


def model_folders(env: Mapping[str, str]) -> list[Path]:
    """Where models are kept: `~/models`, and the caches of Hugging Face, llama.cpp and LM Studio."""
    home = user_dir(env)
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
    hugging_face = Path(env.get("HF_HOME") or cache / "huggingface") / "hub"
    return [
        home / "models",
        Path(env["HF_HUB_CACHE"]) if env.get("HF_HUB_CACHE") else hugging_face,
        Path(env["LLAMA_CACHE"]) if env.get("LLAMA_CACHE") else cache / "llama.cpp",
        home / ".lmstudio" / "models",
        cache / "lm-studio" / "models",
    ]


def find_gguf_files(folders: Iterable[Path]) -> list[GgufFile]:
    """Every model in these folders, each file once however many links lead to it, sorted by name.

    Projectors, adapters and further shards are no models of their own; unreadable files are passed over.
    """
    found: dict[Path, GgufFile] = {}
    for path in _candidates(folders):
        if len(found) >= MOST_FILES:
            break
        try:
            real = path.resolve()
            if real not in found and (model := _look_at(path)):
                found[real] = model
        except (GgufError, OSError):
            continue
    return sorted(found.values(), key=lambda model: (model.label.lower(), str(model.path)))


def _candidates(folders: Iterable[Path]) -> Iterator[Path]:
    visited = 0
    for top in folders:
        for folder, inside, names in os.walk(top):
            visited += 1
            if visited > MOST_FOLDERS:
                return
            depth = len(Path(folder).relative_to(top).parts)
            inside[:] = (
                sorted(d for d in inside if d != "blobs" and not d.startswith(".")) if depth < DEEPEST else []
            )
            yield from (Path(folder) / name for name in sorted(names) if _is_candidate(name))


def _is_candidate(name: str) -> bool:
    if not name.lower().endswith(".gguf") or "mmproj" in name.lower():
        return False
    shard = _SHARD.search(name[: -len(".gguf")])
    return shard is None or shard[1] == "00001"


def _look_at(path: Path) -> GgufFile | None:
    header = read_header(path)
    if header.kind != "model" or header.architecture == "clip":
        return None
    return GgufFile(path=path, size_bytes=sum(part.stat().st_size for part in _shards(path)), header=header)


def _shards(path: Path) -> list[Path]:
    shard = _SHARD.search(path.stem)
    if shard is None:
        return [path]
    stem = path.stem[: shard.start()]
    parts = (path.with_name(f"{stem}-{n:05}-of-{shard[2]}.gguf") for n in range(1, int(shard[2]) + 1))
    return [part for part in parts if part.exists()]
