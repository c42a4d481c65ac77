"""Models read from disk: GGUF in one or several parts, folders of safetensors, and files that lie."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.families import FAMILIES
from benchmarks.hollow import Hollow
from benchmarks.model_sizes import TINY, TRUE
from freehold.adapters.engines.model_files import ModelFiles, model_folder, read_model_file
from freehold.core.model_file import ModelFileError
from tests.growth import LINEAR, cpu_s, growth


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return FAMILIES["gemma4"](TINY["gemma4"]).write(tmp_path / "tiny.gguf")


def test_tensors_are_as_large_as_the_reference_reader_says(tiny: Path) -> None:
    gguf = pytest.importorskip("gguf")
    theirs = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(tiny).tensors}
    model = read_model_file(tiny)
    assert {tensor.name: tensor.bytes for tensor in model.tensors} == theirs
    assert (model.architecture, model.vocabulary, model.blocks) == ("gemma4", 512, 18)
    assert model.file_bytes == model.expected_bytes == tiny.stat().st_size


@pytest.mark.parametrize(
    "kind", ["f32", "bf16", "q4_0", "q5_1", "q3_k", "iq2_xxs", "iq4_xs", "mxfp4", "tq1_0"]
)
def test_every_type_of_tensor_has_its_size(kind: str, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = FAMILIES["llama"](replace(TINY["llama"], weights=kind)).write(tmp_path / "m.gguf")
    theirs = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors}
    assert {tensor.name: tensor.bytes for tensor in read_model_file(path).tensors} == theirs


def test_per_layer_lists_are_kept_and_the_vocabulary_is_only_counted(tiny: Path) -> None:
    model = read_model_file(tiny)
    pattern = model.value("attention.sliding_window_pattern")
    assert pattern == tuple((i + 1) % 6 != 0 for i in range(18))
    assert model.per_layer("attention.sliding_window_pattern")[:6] == (1, 1, 1, 1, 1, 0)
    assert not any(key.startswith("tokenizer.") for key in model.metadata)


def test_a_vocabulary_of_a_quarter_million_takes_no_longer_than_its_size_deserves(tmp_path: Path) -> None:
    family, size = TRUE["Gemma 3 27B"]

    def reading(tokens: int) -> Callable[[], object]:
        path = FAMILIES[family](replace(size, tokens=tokens)).write(tmp_path / f"{tokens}.gguf")
        return lambda: read_model_file(path)

    assert growth(reading, size.tokens // 4) < LINEAR
    assert cpu_s(reading(size.tokens)) < 0.5  # some 40 ms on an idle machine


def test_what_was_read_is_kept_until_the_file_changes(tiny: Path) -> None:
    files = ModelFiles()
    first = files.read(tiny)
    assert files.read(tiny) is first
    os.utime(tiny, ns=(1, 1))
    again = files.read(tiny)
    assert again is not first
    assert again == first
    tiny.unlink()
    with pytest.raises(ModelFileError, match="no such file"):
        files.read(tiny)


def test_identity_tells_models_apart_and_nothing_else(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    other = FAMILIES["gemma4"](replace(TINY["gemma4"], ff=768)).write(tmp_path / "other.gguf")
    assert read_model_file(copy).digest == read_model_file(tiny).digest
    assert read_model_file(other).digest != read_model_file(tiny).digest


# ---- parts ----


def split(folder: Path, count: int = 2) -> list[Path]:
    whole = FAMILIES["llama"](TINY["llama"])
    paths: list[Path] = []
    for i in range(count):
        keys = {**(whole.metadata if i == 0 else {}), "general.alignment": 64}
        part = Hollow("llama", keys, whole.tokens if i == 0 else 300, whole.tensors[i::count])
        paths.append(part.write(folder / f"m-{i + 1:05d}-of-{count:05d}.gguf"))
    return paths


def test_parts_are_followed_from_the_first(tmp_path: Path) -> None:
    parts = split(tmp_path)
    model = read_model_file(parts[0])
    whole = read_model_file(FAMILIES["llama"](TINY["llama"]).write(tmp_path / "whole.gguf"))
    assert model.weights_bytes == whole.weights_bytes
    assert model.file_bytes == sum(part.stat().st_size for part in parts)
    assert model.files == tuple(str(part) for part in parts)
    assert model.vocabulary == whole.vocabulary


def test_a_later_part_is_not_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="name the first part"):
        read_model_file(split(tmp_path)[1])


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    first, second = split(tmp_path)
    second.unlink()
    with pytest.raises(ModelFileError, match=r"00002-of-00002.*missing"):
        read_model_file(first)


# ---- files that lie ----


def test_a_file_cut_in_its_weights_is_found_by_its_size(tiny: Path) -> None:
    size = tiny.stat().st_size
    os.truncate(tiny, size - 1000)
    model = read_model_file(tiny)
    assert model.is_cut
    assert model.expected_bytes - model.file_bytes == 1000


@pytest.mark.parametrize("keep", [0, 3, 4, 10, 23, 24, 100, 5000])
def test_a_file_cut_in_its_metadata_is_an_error_that_says_so(keep: int, tiny: Path) -> None:
    os.truncate(tiny, keep)
    with pytest.raises(ModelFileError, match="cut"):
        read_model_file(tiny)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "not a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0) + bytes(100), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "corrupt"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 50) + bytes(64), "corrupt"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 8, 1 << 40) + bytes(64), "corrupt"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 0, 1 << 40) + bytes(64), "cut"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"a", 77) + bytes(64), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no architecture"),
    ],
)
def test_nonsense_is_refused_in_words(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=words):
        read_model_file(path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_header_is_read_or_refused_never_worse(tiny: Path, data: st.DataObject) -> None:
    whole = tiny.read_bytes()[:40_000]
    at = data.draw(st.integers(0, len(whole) - 9))
    new = data.draw(st.binary(min_size=1, max_size=8))
    damaged = tiny.with_name("damaged.gguf")
    damaged.write_bytes(whole[:at] + new + whole[at + len(new) :])
    try:
        model = read_model_file(damaged)
    except ModelFileError:
        return
    assert all(0 <= tensor.bytes < 1 << 62 for tensor in model.tensors)


# ---- safetensors ----


def folder_of(path: Path, *, cut: int = 0, **config: object) -> Path:
    """Two files of weights and an index, as a hub lays them out."""
    path.mkdir(parents=True, exist_ok=True)
    known = {"model_type": "qwen3", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
    known |= {"num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1000, "max_position_embeddings": 4096}
    (path / "config.json").write_text(json.dumps(known | config))
    where: dict[str, str] = {}
    for i in range(2):
        name = f"model-{i + 1:05d}-of-00002.safetensors"
        header = json.dumps(
            {
                "__metadata__": {"format": "pt"},
                f"model.layers.{i}.q": {"dtype": "BF16", "shape": [64, 32], "data_offsets": [0, 4096]},
            }
        ).encode()
        body = struct.pack("<Q", len(header)) + header + bytes(4096 - cut)
        (path / name).write_bytes(body)
        where[f"model.layers.{i}.q"] = name
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return path


def test_a_folder_of_safetensors_speaks_the_same_words(tmp_path: Path) -> None:
    model = read_model_file(folder_of(tmp_path / "m"))
    assert (model.format, model.architecture, model.blocks) == ("safetensors", "qwen3", 2)
    assert model.weights_bytes == 8192
    assert model.number("attention.head_count_kv") == 2
    assert model.context_length == 4096
    assert not model.is_cut


def test_a_text_model_within_another_is_found(tmp_path: Path) -> None:
    inner = {"model_type": "gemma3_text", "num_hidden_layers": 7}
    model = read_model_file(folder_of(tmp_path / "m", text_config=inner))
    assert (model.architecture, model.blocks) == ("gemma3_text", 7)


def test_a_download_under_way_is_cut(tmp_path: Path) -> None:
    assert read_model_file(folder_of(tmp_path / "m", cut=100)).is_cut


def test_an_index_may_not_point_out_of_its_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(ModelFileError, match="outside"):
        read_model_file(folder)


@pytest.mark.parametrize("config", [b"[1]", b"{", b"\xff\xfe"])
def test_a_config_that_is_none_is_refused(config: bytes, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    (folder / "config.json").write_bytes(config)
    with pytest.raises(ModelFileError, match="no JSON"):
        read_model_file(folder)


def test_a_hub_id_is_found_in_the_cache(tmp_path: Path) -> None:
    snapshot = folder_of(tmp_path / "hub" / "models--Qwen--Qwen3-8B" / "snapshots" / "abc")
    env = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    assert model_folder("Qwen/Qwen3-8B", env) == snapshot
    assert model_folder("Qwen/Other", env) is None
    assert model_folder(str(snapshot), env) == snapshot
