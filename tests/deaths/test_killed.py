"""Servers that others end: by signals, by limits, by taking their keeper away, and by our own order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from freehold.core.deaths import Certificate
from tests.deaths.stage import NAME, Stage, sees, stranger, text
from tests.processes import runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


def by_sh(found: Certificate, number: str) -> None:
    """Ended by the stranger: proven and named where the kernel tells of signals, and never anything else."""
    if sees(found, "signals"):
        assert (found.cause, found.confidence >= 90) == ("killed-by", True), found
        assert number in found.sentence and "sh (pid" in found.sentence
    else:
        assert found.cause in ("killed-by", "unknown") and found.confidence < 90, found
        assert "signals" in found.proof or "signals" in text(found, "not seen")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGQUIT", "SIGUSR1"])
async def test_a_strangers_signal(tmp_path: Path, name: str) -> None:
    async with Stage(tmp_path, "--raw-term") as stage:
        await stage.ready()
        await stranger(f"kill -{name.removeprefix('SIG')} {await stage.pid()}")
        found = await stage.death()
    if name in ("SIGKILL", "SIGTERM"):
        by_sh(found, name)
    else:  # not every signal is traced
        assert found.cause == "killed-by", found
        assert name in found.sentence
    assert found.ready and not found.ordered


async def test_a_strangers_request_to_end_that_was_answered_well(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -TERM {await stage.pid()}")
        by_sh(await stage.death(), "SIGTERM")


async def test_the_terminal_is_closed(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -HUP {await stage.pid()}")
        found = await stage.death()
    assert found.cause == "hangup" and found.confidence >= 90, found
    assert "terminal" in found.sentence


async def test_a_strangers_segmentation_fault_is_no_crash(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -SEGV {await stage.pid()}")
        found = await stage.death()
    if sees(found, "signals"):
        assert found.cause == "killed-by" and found.confidence >= 90, found
    else:
        assert found.confidence < 90, found


async def test_it_kills_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--die-after", "1-calls", "--how", "kill") as stage:
        await stage.ready()
        await stage.call()
        found = await stage.death()
    if sees(found, "signals"):
        assert found.cause == "killed-by" and "itself" in found.sentence, found
    else:
        assert found.confidence < 90


async def test_we_asked_it_to(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stage.pool.stop(NAME, "nobody needs it")
        found = await stage.death()
    assert found.cause == "asked-by-us" and found.confidence >= 90 and found.ordered, found
    assert "nobody needs it" in found.sentence


async def test_we_asked_and_it_would_not(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--ignore-term", stop_timeout_s=0.05) as stage:
        await stage.ready()
        await stage.pool.stop(NAME, "nobody needs it")
        found = await stage.death()
    assert found.cause == "asked-by-us" and found.confidence >= 90, found
    assert "SIGKILL" in text(found, "exit")


async def test_a_stranger_was_faster_than_our_order(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--ignore-term") as stage:
        await stage.ready()
        pid = await stage.pid()
        await stranger(f"kill -KILL {pid}")
        await asyncio.sleep(0)
        await stage.pool.stop(NAME, "nobody needs it")
        found = await stage.death()
    # On a busy machine our order may be written down before the stranger's signal is carried out.
    assert found.cause == "killed-by" or any(each.startswith("killed-by") for each in found.others), found


def keeper_of(pid: int) -> int:
    parent = psutil.Process(pid).ppid()
    assert parent not in (1, os.getpid())
    return parent


async def test_its_keeper_is_killed(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -KILL {keeper_of(await stage.pid())}")
        found = await stage.death()
    assert found.cause == "parent-died", found
    assert found.confidence >= (90 if sees(found, "signals") else 50)


async def test_its_keeper_is_told_to_end(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -TERM {keeper_of(await stage.pid())}")
        found = await stage.death()
    assert found.cause == "parent-died" and found.confidence >= 90 and not found.ordered, found


async def test_keeper_and_engine_are_killed_together(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.ready()
        pid = await stage.pid()
        await stranger(f"kill -KILL {keeper_of(pid)} {pid}")
        found = await stage.death()
    assert found.cause in ("parent-died", "killed-by"), found
    assert found.confidence < 97


async def test_a_child_that_it_cannot_live_without_is_killed(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--worker") as stage:
        await stage.ready()
        (worker,) = psutil.Process(await stage.pid()).children()
        await stranger(f"kill -KILL {worker.pid}")
        found = await stage.death()
    assert found.cause == "unknown" and found.next, found
    assert "the worker died with -9" in found.sentence


async def test_what_it_leaves_behind_goes_with_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--grandchildren", "3") as stage:
        await stage.ready()
        children = psutil.Process(await stage.pid()).children()
        assert len(children) == 3
        await stranger(f"kill -KILL {await stage.pid()}")
        await stage.death()
        assert not [child for child in children if runs(child.pid)]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "number"), [("cpu", signal.SIGKILL), ("soft-cpu", signal.SIGXCPU)])
async def test_a_limit_of_processor_time(tmp_path: Path, how: str, number: signal.Signals) -> None:
    async with Stage(tmp_path, "--die-after", "start", "--how", how) as stage:
        found = await stage.death()
    assert number.name in text(found, "exit")
    assert found.cause == "killed-by" or (found.cause == "unknown" and not sees(found, "signals")), found
    if found.cause == "killed-by" and sees(found, "signals"):
        assert "processor time" in found.sentence
