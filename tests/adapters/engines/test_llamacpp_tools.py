"""What llama.cpp's programs say of GPUs and of runs; whatever they say, nothing raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.engines.llamacpp_tools import (
    MIB,
    dry_run,
    parse_dry_run,
    server_sees_gpus,
    wheel_has_gpu_code,
)

TABLE = """\
build: 8681 (x)
CUDA0 4403 1024 290
CUDA1 4100 1024 290
Host 281 0 24
"""


def program(folder: Path, script: str) -> str:
    path = folder / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("said", "sees"),
    [
        ("Available devices:\n  CUDA0: NVIDIA A10 (24000 MiB, 23000 MiB free)\n", True),
        ("Available devices:\n  Vulkan0: AMD Radeon (8000 MiB)\n", True),
        ("Available devices:\n", False),
        ("Available devices:\n  BLAS0: OpenBLAS\n", False),
        ("nothing of the kind", None),
    ],
)
def test_a_server_says_which_devices_it_sees(said: str, sees: bool | None, tmp_path: Path) -> None:
    (tmp_path / "said").write_text(said)
    tool = program(tmp_path, f'test "$1" = --list-devices && cat {tmp_path}/said')
    assert server_sees_gpus(tool, {"PATH": "/usr/bin:/bin"}) is sees


def test_a_server_that_knows_no_such_option_does_not_say(tmp_path: Path) -> None:
    assert server_sees_gpus(program(tmp_path, "exit 1"), {}) is None
    assert server_sees_gpus(str(tmp_path / "none"), {}) is None


def test_a_dry_run_is_told_per_device(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(TABLE)
    tool = program(tmp_path, f"cat {tmp_path}/table")
    need = dry_run(tool, ["-m", "x.gguf"], {"PATH": "/usr/bin:/bin"})
    assert need is not None
    assert need.devices == 2
    assert need.on_device(0) == (4403 + 1024 + 290) * MIB
    assert need.mapped_bytes == 281 * MIB
    assert need.ram_bytes == 24 * MIB
    assert need.source == "dry run"


def test_a_dry_run_that_fails_says_nothing(tmp_path: Path) -> None:
    assert dry_run(program(tmp_path, "echo broken; exit 3"), [], {}) is None


@given(st.text(max_size=300))
def test_any_output_is_read(text: str) -> None:
    parse_dry_run(text)


def test_the_wheel_can_be_asked() -> None:
    assert wheel_has_gpu_code() in (True, False)
