"""Servers that outlive their Freehold: left running, found again, restarted only when they must be."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from freehold.core.servers import Lease, ServerState
from tests.supervisor.engines import wait_gone
from tests.supervisor.pools import BOUND_S, Seen, ask, leased, pool, ready, spec, waited


async def left_running(folder: Path, **changes: object) -> int:
    """A server that an earlier Freehold left; its pid."""
    async with pool(folder, Seen(), spec("ready", **changes), keep_servers=True) as servers:
        servers.ensure_started("ready")
        pid = (await ready(servers, "ready")).pid
    assert pid is not None
    assert psutil.pid_exists(pid)
    return pid


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_a_server_left_running_serves_the_next_freehold_without_a_restart(
    tmp_path: Path, seen: Seen
) -> None:
    pid = await left_running(tmp_path)
    async with pool(tmp_path, seen, spec("ready")) as servers:
        await servers.adopt_running()
        lease = await leased(servers, "ready")
        view = servers.view("ready")
        assert (view.pid, view.state, view.loads, view.restarts) == (pid, ServerState.READY, 0, 0)
        servers.release(lease)
    assert seen.deaths[-1].cause == "asked-by-us"
    assert not psutil.pid_exists(pid)


async def test_one_that_is_asked_for_before_anybody_looked_is_found_as_well(
    tmp_path: Path, seen: Seen
) -> None:
    pid = await left_running(tmp_path)
    async with pool(tmp_path, seen, spec("ready")) as servers:
        servers.ensure_started("ready")
        assert (await ready(servers, "ready")).pid == pid


async def test_one_that_was_started_otherwise_is_restarted_once_and_its_calls_wait(
    tmp_path: Path, seen: Seen
) -> None:
    pid = await left_running(tmp_path)
    async with pool(tmp_path, seen, spec("ready", args=("--other",))) as servers:
        await servers.adopt_running()
        lease = await waited(servers, "ready", ask())
        assert isinstance(lease, Lease)
        assert servers.view("ready").pid != pid
        assert not psutil.pid_exists(pid)
        assert [(death.pid, death.ordered) for death in seen.deaths] == [(pid, True)]
        servers.release(lease)


async def test_one_that_nobody_configured_any_more_is_stopped_last_of_all(tmp_path: Path, seen: Seen) -> None:
    pid = await left_running(tmp_path)
    async with pool(tmp_path, seen) as servers:
        await servers.adopt_running(stop_others=False)
        assert psutil.pid_exists(pid)
        await asyncio.wait_for(servers.adopt_running(), BOUND_S)
        assert not psutil.pid_exists(pid)
        assert [death.server for death in seen.deaths] == ["ready"]


async def test_a_death_while_no_freehold_ran_is_told_by_the_next_one(tmp_path: Path, seen: Seen) -> None:
    pid = await left_running(tmp_path)
    process = psutil.Process(pid)
    keeper = process.parent()
    os.kill(pid, signal.SIGSEGV)
    assert keeper is not None
    await wait_gone(process, BOUND_S)
    await wait_gone(keeper, BOUND_S)
    async with pool(tmp_path, seen, spec("ready")) as servers:
        await servers.adopt_running()
        (death,) = seen.deaths
        assert (death.pid, death.cause, death.ready, death.ordered) == (pid, "segfault", True, False)
        assert servers.certificates("ready") == (death,)
        assert servers.view("ready").state is ServerState.STOPPED
        await servers.adopt_running()
        assert len(seen.deaths) == 1  # told once


async def test_one_left_while_it_loaded_goes_on_loading(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, Seen(), spec("never-ready"), keep_servers=True) as servers:
        servers.ensure_started("never-ready")
        async with asyncio.timeout(BOUND_S):
            while (pid := servers.view("never-ready").pid) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    async with pool(tmp_path, seen, spec("never-ready")) as servers:
        await servers.adopt_running()
        assert await seen.process_of("never-ready") == pid
    assert not psutil.pid_exists(pid)
