"""Reads a model from disk: a GGUF file with its further parts, or a folder of safetensors. Never its weights.

Reading is some milliseconds; what was read is kept until path, size or time of a file changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from freehold.adapters.engines.gguf_table import Table, parse_table
from freehold.adapters.engines.safetensors_folder import files_of_folder, read_folder
from freehold.core.model_file import ModelFile, ModelFileError

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf\Z")
_MOST_PARTS = 4096
_MOST_KEPT = 256

_Stamp = tuple[tuple[str, int, int], ...]


class ModelFiles:
    """Models read so far. May be used from several threads."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[_Stamp, ModelFile]] = {}
        self._lock = Lock()

    def read(self, path: Path) -> ModelFile:
        """As `read_model_file`; at once when nothing has changed since."""
        files = _files(path)
        stamp = _stamp(files)
        with self._lock:
            known = self._read.get(path)
        if known and known[0] == stamp:
            return known[1]
        model = _read(path, files)
        with self._lock:
            if len(self._read) >= _MOST_KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[path] = (stamp, model)
        return model


def read_model_file(path: Path) -> ModelFile:
    """The model at `path`: a GGUF file (parts `-00002-of-0000N` follow the first by themselves) or a folder
    with `config.json` and safetensors. Raises ModelFileError when it cannot be read or is none. A file that
    was cut behind its table is no error here: `ModelFile.is_cut` tells."""
    return _read(path, _files(path))


def model_folder(model: str, env: Mapping[str, str]) -> Path | None:
    """The folder of `model` for engines that take safetensors: a path, or an id like `Qwen/Qwen3-32B` whose
    newest snapshot lies in this machine's Hugging Face cache. None when it is not here."""
    given = Path(model).expanduser()
    if (given / "config.json").is_file():
        return given
    if model.count("/") != 1 or model.startswith(("/", ".", "~")):
        return None
    home = Path(env.get("HF_HOME") or Path(env.get("HOME", "~")).expanduser() / ".cache" / "huggingface")
    hub = Path(env.get("HF_HUB_CACHE") or home / "hub") / f"models--{model.replace('/', '--')}"
    found = [config.parent for config in hub.glob("snapshots/*/config.json")]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def _files(path: Path) -> list[Path]:
    """Everything that belongs to the model, the first part first."""
    if path.is_dir():
        return files_of_folder(path)
    part = _PART.search(path.name)
    if part is None:
        return [path]
    number, count = int(part[1]), int(part[2])
    if number != 1:
        raise ModelFileError(
            f"{path.name} is part {number} of {count}: name the first part, -00001-of-{part[2]}"
        )
    if not 0 < count <= _MOST_PARTS:
        raise ModelFileError(f"{path.name}: a model in {count} parts is not supported")
    stem = path.name[: part.start()]
    return [path.with_name(f"{stem}-{i:05d}-of-{part[2]}.gguf") for i in range(1, count + 1)]


def _stamp(files: list[Path]) -> _Stamp:
    return tuple((str(file), *_size_and_time(file)) for file in files)


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        stat = file.stat()
    except FileNotFoundError:
        what = "a part of the model is missing" if _PART.search(file.name) else "there is no such file"
        raise ModelFileError(f"{file}: {what}") from None
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror}") from None
    return stat.st_size, stat.st_mtime_ns


def _read(path: Path, files: list[Path]) -> ModelFile:
    try:
        if path.is_dir():
            return read_folder(path, files)
        return _joined([(file, *_table(file)) for file in files])
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from None


def _table(file: Path) -> tuple[int, Table]:
    size, _ = _size_and_time(file)
    try:
        with file.open("rb") as stream:
            return size, parse_table(stream, size)
    except ModelFileError as error:
        raise ModelFileError(f"{file}: {error}") from None


def _joined(parts: list[tuple[Path, int, Table]]) -> ModelFile:
    """The parts of one model as one. Raises ModelFileError when they do not belong together."""
    path, _, first = parts[0]
    architecture = first.metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ModelFileError(f"{path}: no architecture is named in the metadata")
    declared = first.metadata.get("split.count", 1)
    if isinstance(declared, int) and declared > 1 and declared != len(parts):
        raise ModelFileError(
            f"{path} is one of {declared} parts, but is not named so: "
            f"parts are found by names that end in -00001-of-{declared:05d}.gguf"
        )
    vocabulary = first.metadata.get(f"{architecture}.vocab_size", 0)
    return ModelFile(
        architecture=architecture,
        metadata=first.metadata,
        tensors=tuple(tensor for _, _, table in parts for tensor in table.tensors),
        vocabulary=first.tokens or (vocabulary if isinstance(vocabulary, int) else 0),
        file_bytes=sum(size for _, size, _ in parts),
        expected_bytes=sum(table.expected_bytes for _, _, table in parts),
        digest=hashlib.sha256(b"".join(table.digest for _, _, table in parts)).hexdigest(),
        files=tuple(str(file) for file, _, _ in parts),
    )
