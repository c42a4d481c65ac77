"""Servers that never become ready: port, program, library, flag, model, disk, patience."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.supervisor.liveness import LiveRules
from freehold.testing.tiny_model import model_path
from tests.deaths.stage import Stage, text

PROVEN = 90


@pytest.fixture
def thief() -> Iterator[int]:
    """A port of loopback on which somebody listens: this process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_somebody_has_its_port(tmp_path: Path, thief: int) -> None:
    async with Stage(tmp_path, pick_port=lambda: thief) as stage:
        found = await stage.death()
    assert found.cause == "port-taken", found
    if sys.platform == "linux":
        assert found.confidence >= PROVEN and str(thief) in found.sentence


async def test_it_only_says_that_its_port_is_taken(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--die-after", "start", "--how", "port-words") as stage:
        found = await stage.death()
    assert found.cause == "port-taken" and found.confidence < PROVEN, found


async def test_the_real_engine_meets_a_thief(tmp_path: Path, thief: int) -> None:
    model = str(model_path())
    async with Stage(tmp_path, engine="llama.cpp", model=model, pick_port=lambda: thief) as stage:
        found = await stage.death()
    assert found.cause == "port-taken" and found.confidence >= PROVEN, found


async def test_no_such_program(tmp_path: Path) -> None:
    async with Stage(tmp_path, command=("/no/such/llama-server",)) as stage:
        found = await stage.death()
    assert found.cause == "missing-library" and found.confidence >= PROVEN, found
    assert "/no/such/llama-server" in found.sentence


async def test_a_program_that_may_not_be_run(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    async with Stage(tmp_path, command=(str(program),)) as stage:
        found = await stage.death()
    assert found.cause == "missing-library" and found.confidence >= PROVEN, found
    assert "may not be executed" in found.sentence


async def test_a_program_for_another_processor(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\xee" + bytes(100))
    program.chmod(0o755)
    async with Stage(tmp_path, command=(str(program),)) as stage:
        found = await stage.death()
    assert found.cause == "cpu-unsupported" and found.confidence >= PROVEN, found


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-I", "-S", "-c", "import ctypes; ctypes.CDLL('libnowhere.so.3')"),
        (sys.executable, "-I", "-S", "-c", "import vllm_that_is_nowhere"),
        (sys.executable, "-m", "freehold.testing.unruly", "--die-after", "start", "--how", "missing-library"),
    ],
    ids=["dlopen", "import", "loader"],
)
async def test_a_library_is_missing(tmp_path: Path, command: tuple[str, ...]) -> None:
    async with Stage(tmp_path, command=command) as stage:
        found = await stage.death()
    assert found.cause == "missing-library" and found.confidence >= PROVEN, found


async def test_a_flag_that_it_does_not_know(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--frobnicate") as stage:
        found = await stage.death()
    assert found.cause == "bad-flag" and found.confidence >= PROVEN, found
    assert "--frobnicate" in found.sentence


async def test_a_flag_that_the_real_engine_does_not_know(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--frobnicate", engine="llama.cpp", model=str(model_path())) as stage:
        found = await stage.death()
    assert found.cause == "bad-flag" and found.confidence >= PROVEN, found
    assert "--frobnicate" in found.sentence


async def test_a_model_that_was_not_fetched_to_its_end(tmp_path: Path) -> None:
    model = tmp_path / "half.gguf"
    whole = model_path().read_bytes()
    model.write_bytes(whole[: len(whole) * 2 // 3])
    async with Stage(tmp_path, engine="llama.cpp", model=str(model)) as stage:
        found = await stage.death()
    assert found.cause == "bad-model" and found.confidence >= PROVEN, found
    assert " of " in found.sentence


async def test_a_model_that_is_no_model(tmp_path: Path) -> None:
    model = tmp_path / "page.gguf"
    model.write_bytes(b"<!DOCTYPE html><title>404</title>" * 100)
    async with Stage(tmp_path, engine="llama.cpp", model=str(model)) as stage:
        found = await stage.death()
    assert found.cause == "bad-model" and found.confidence >= PROVEN, found


async def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    async with Stage(tmp_path, engine="llama.cpp", model=str(tmp_path / "gone.gguf")) as stage:
        found = await stage.death()
    assert found.cause == "bad-model" and found.confidence >= PROVEN, found


async def test_the_disk_is_full(tmp_path: Path, small_disk: Path) -> None:
    how = f"disk:{small_disk}"
    model = small_disk / "model.bin"
    model.write_bytes(bytes(4096))
    async with Stage(tmp_path / "home", "--die-after", "1-calls", "--how", how, model=str(model)) as stage:
        await stage.ready()
        await stage.call()
        found = await stage.death()
    assert found.cause == "disk-full" and found.confidence >= PROVEN, found
    assert str(small_disk) in found.sentence


async def test_it_says_that_the_disk_is_full_and_we_cannot_find_which(tmp_path: Path) -> None:
    say = "srv  slot_save: cannot write the cache: No space left on device"
    async with Stage(tmp_path, "--say", say, "--die-after", "start") as stage:
        found = await stage.death()
    assert found.cause == "disk-full" and found.confidence < PROVEN, found


async def test_it_hangs_before_it_listens(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--die-after", "start", "--how", "hang", load_timeout_s=0.4) as stage:
        found = await stage.death()
    assert found.cause == "hung" and found.confidence >= PROVEN and not found.ready, found
    assert "load_timeout" in found.next


async def test_it_listens_and_loads_for_ever(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--load-s", "600", load_timeout_s=0.6) as stage:
        found = await stage.death()
    assert found.cause == "hung" and found.confidence >= PROVEN and not found.ready, found


@pytest.mark.slow
async def test_it_hangs_after_it_was_ready(tmp_path: Path) -> None:
    flags = ("--die-after", "ready", "--how", "hang", "--ignore-term")
    async with Stage(tmp_path, *flags, probe_timeout_s=0.3) as stage:
        found = await stage.death()
    assert found.cause == "hung" and found.confidence >= PROVEN and found.ready, found
    assert "silent" in text(found, "probe")


@pytest.mark.slow
async def test_it_is_healthy_and_generates_nothing(tmp_path: Path) -> None:
    rules = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=0.1)
    async with Stage(tmp_path, "--mute", live=rules, deep_timeout_s=0.3) as stage:
        found = await stage.death()
    assert found.cause == "hung" and found.confidence >= PROVEN, found


@pytest.mark.slow
async def test_a_slow_one_that_works_is_left_alone(tmp_path: Path) -> None:
    rules = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=0.1)
    timeouts = {"stall_timeout_s": 0.5, "probe_timeout_s": 0.3, "deep_timeout_s": 0.3}
    async with Stage(tmp_path, "--token-s", "0.15", live=rules, **timeouts) as stage:
        await stage.ready()
        assert b"[DONE]" in await stage.call()
        assert not stage.deaths
