"""The real engine with the tiny model, killed in the ways in which people lose theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from freehold.testing.tiny_model import model_path
from tests.deaths.stage import Stage, sees, stranger, text

pytestmark = pytest.mark.engine
MIB = 1024**2
PROVEN = 90


def engine(folder: Path, **changes: Any) -> Stage:
    return Stage(folder, **({"engine": "llama.cpp", "model": str(model_path()), "slots": 1} | changes))


async def test_the_terminal_it_was_started_from_is_closed(tmp_path: Path) -> None:
    async with engine(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -HUP {await stage.pid()}")
        found = await stage.death()
    assert found.cause == "hangup" and found.confidence >= PROVEN, found


async def test_it_answers_a_strangers_sigterm_with_a_clean_end(tmp_path: Path) -> None:
    async with engine(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -TERM {await stage.pid()}")
        found = await stage.death()
    assert found.cause == "killed-by", found
    assert found.confidence >= (PROVEN if sees(found, "signals") else 50)


async def test_we_stop_it(tmp_path: Path) -> None:
    async with engine(tmp_path) as stage:
        await stage.ready()
        await stage.pool.stop("glm", "idle for 15 min")
        found = await stage.death()
    assert found.cause == "asked-by-us" and found.confidence >= PROVEN, found


async def test_it_has_too_little_memory_to_load(tmp_path: Path) -> None:
    async with engine(tmp_path, ram_limit_bytes=10 * MIB) as stage:
        await stage.pid()
        if stage.cages.folder("glm") is None:
            pytest.skip(stage.cages.blind or "no memory cgroups here")
        found = await stage.death()
    assert found.cause == "oom-cgroup" and found.confidence >= PROVEN, found
    assert not found.ready and "10 MiB" in found.sentence


async def test_a_crash_from_outside_looks_like_its_own_only_where_nobody_sees(tmp_path: Path) -> None:
    async with engine(tmp_path) as stage:
        await stage.ready()
        await stranger(f"kill -ABRT {await stage.pid()}")
        found = await stage.death()
    assert "SIGABRT" in text(found, "exit")
    if sees(found, "signals"):
        assert found.cause == "killed-by" and found.confidence >= PROVEN, found
    else:
        assert found.confidence < PROVEN
