"""Servers that die, or live on, while no Freehold runs: the next one tells what there is to tell."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import psutil

from freehold.core.deaths import Certificate
from tests.deaths.stage import BOUND_S, NAME, Stage, post, sees, stranger, text
from tests.processes import runs

PROVEN = 90


async def gone(*pids: int) -> None:
    """Until none of them runs. Nobody tells us of strangers."""
    async with asyncio.timeout(BOUND_S):
        while any(runs(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def left_alone(home: Path, *flags: str, **changes: object) -> tuple[int, int, str]:
    """A server that works, and no Freehold: its process, its keeper's, its address."""
    async with Stage(home, *flags, keep_servers=True, **changes) as stage:
        view = await stage.ready()
        pid = await stage.pid()
        keeper = psutil.Process(pid).ppid()
    assert not stage.deaths
    return pid, keeper, str(view.base_url)


async def told_later(home: Path, *flags: str) -> Certificate:
    """What the next Freehold finds."""
    async with Stage(home, *flags, found=True) as stage:
        return await stage.death()


async def test_killed_while_nobody_watched(tmp_path: Path) -> None:
    pid, keeper, _ = await left_alone(tmp_path)
    await stranger(f"kill -KILL {pid}")
    await gone(keeper)
    found = await told_later(tmp_path)
    assert found.cause in ("killed-by", "unknown") and found.confidence < PROVEN, found
    assert "SIGKILL" in text(found, "exit") and found.next and found.proof


async def test_hung_up_while_nobody_watched(tmp_path: Path) -> None:
    pid, keeper, _ = await left_alone(tmp_path)
    await stranger(f"kill -HUP {pid}")
    await gone(keeper)
    found = await told_later(tmp_path)
    assert found.cause == "hangup" and found.confidence >= PROVEN, found


async def test_failed_a_check_while_nobody_watched(tmp_path: Path) -> None:
    flags = ("--die-after", "1-calls", "--how", "assert")
    _, keeper, url = await left_alone(tmp_path, *flags)
    await post(url, b"{}")
    await gone(keeper)
    found = await told_later(tmp_path, *flags)
    assert found.cause == "assert" and found.confidence >= PROVEN, found


async def test_nobody_came_back_for_it(tmp_path: Path) -> None:
    _, keeper, _ = await left_alone(tmp_path, orphan_stop_s=0.1)
    await gone(keeper)
    found = await told_later(tmp_path)
    assert found.cause == "asked-by-us" and found.confidence >= PROVEN, found
    assert "no Freehold ran" in found.sentence


async def test_the_machine_was_restarted(tmp_path: Path) -> None:
    pid, keeper, _ = await left_alone(tmp_path)
    await stranger(f"kill -KILL {keeper} {pid}")
    await gone(keeper, pid)
    for path in (tmp_path / "servers" / NAME).glob("*.json"):
        state = json.loads(path.read_bytes())
        if "boot_id" in state:
            path.write_text(json.dumps(state | {"boot_id": "another boot"}))
    found = await told_later(tmp_path)
    assert found.cause == "host-reboot" and found.confidence >= PROVEN, found


async def test_one_that_lived_on_is_watched_again(tmp_path: Path) -> None:
    pid, _, _ = await left_alone(tmp_path)
    async with Stage(tmp_path, found=True) as stage:
        await stage.ready()
        assert await stage.pid() == pid
        await stranger(f"kill -KILL {pid}")
        found = await stage.death()
    if sees(found, "signals"):
        assert found.cause == "killed-by" and found.confidence >= PROVEN, found
    else:
        assert found.confidence < PROVEN, found
