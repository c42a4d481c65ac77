"""Model files in the folders where other programs keep them."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import pytest

from freehold.adapters.providers.gguf_files import find_gguf_files, model_folders
from freehold.testing.tiny_model import model_path


def write_gguf(path: Path, architecture: str = "llama", kind: str = "model") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def labels(folder: Path) -> list[str]:
    return [file.label for file in find_gguf_files([folder])]


def test_models_are_found_in_subfolders_and_sorted_by_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "maker" / "b" / "Zebra-Q4.gguf")
    write_gguf(tmp_path / "ant-Q8.GGUF")
    assert labels(tmp_path) == ["ant-Q8", "Zebra-Q4"]


def test_projectors_adapters_and_later_shards_are_no_models(tmp_path: Path) -> None:
    write_gguf(tmp_path / "mmproj-x.gguf", "clip", "mmproj")
    write_gguf(tmp_path / "vision-tower.gguf", "clip")
    write_gguf(tmp_path / "lora.gguf", kind="adapter")
    write_gguf(tmp_path / "big-00001-of-00002.gguf")
    write_gguf(tmp_path / "big-00002-of-00002.gguf")
    (only,) = find_gguf_files([tmp_path])
    assert only.label == "big"
    assert only.size_bytes == sum(part.stat().st_size for part in tmp_path.glob("big-*"))


def test_broken_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "downloading.gguf").write_bytes(model_path().read_bytes()[:20])
    (tmp_path / "page.gguf").write_text("<html>not found</html>")
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "nothing")
    write_gguf(tmp_path / "good.gguf")
    assert labels(tmp_path) == ["good"]


def test_a_hugging_face_cache_gives_each_file_once_under_its_own_name(tmp_path: Path) -> None:
    repo = tmp_path / "models--maker--x"
    write_gguf(repo / "blobs" / "abcdef")
    for revision in ("one", "two"):
        link = repo / "snapshots" / revision / "x-Q4.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to("../../blobs/abcdef")
    assert labels(tmp_path) == ["x-Q4"]


def test_encoders_are_known_not_to_talk(tmp_path: Path) -> None:
    write_gguf(tmp_path / "embed.gguf", "nomic-bert")
    shutil.copy(model_path(), tmp_path / "talk.gguf")
    assert {file.label: file.generates for file in find_gguf_files([tmp_path])} == {
        "embed": False,
        "talk": True,
    }


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert labels(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"HOME": "/h"}, "/h/.cache/huggingface/hub"),
        ({"HOME": "/h", "HF_HOME": "/big/hf"}, "/big/hf/hub"),
        ({"HOME": "/h", "HF_HOME": "/big/hf", "HF_HUB_CACHE": "/hub"}, "/hub"),
        ({"HOME": "/h", "LLAMA_CACHE": "/lc"}, "/lc"),
        ({"HOME": "/h"}, "/h/models"),
        ({"HOME": "/h"}, "/h/.lmstudio/models"),
    ],
)
def test_folders_follow_the_programs_own_variables(env: dict[str, str], expected: str) -> None:
    assert Path(expected) in model_folders(env)
