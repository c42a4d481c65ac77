"""Servers that someone else runs: used while they answer, stopped only after they were taken over."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.core.errors import FreeholdError
from freehold.core.servers import Lease, LeaseRefusal, ServerSpec, ServerState
from freehold.supervisor.liveness import Health
from freehold.supervisor.probe import probe
from freehold.supervisor.process import free_port
from freehold.supervisor.process_end import ProcessEnd
from tests.supervisor.engines import PROGRAM, become
from tests.supervisor.pools import BOUND_S, Seen, ask, leased, pool, ready, spec, waited


class Stranger:
    """The stand-in engine, run as a person would."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Until it answers."""
        argv = (sys.executable, "-I", "-S", "-c", PROGRAM, "ready", str(self.port), "")
        self.process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.DEVNULL)
        async with asyncio.timeout(BOUND_S):
            while await probe(self.url, "/health") is not Health.READY:  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    one = Stranger()
    yield one
    await one.end()


@pytest.fixture
def seen() -> Seen:
    return Seen()


def adopted(stranger: Stranger, **changes: object) -> ServerSpec:
    return spec("old", **{"engine": "adopt", "model": "", "adopt": stranger.url, **changes})


async def test_an_adopted_server_is_used_and_never_stopped(
    tmp_path: Path, seen: Seen, stranger: Stranger
) -> None:
    await stranger.run()
    async with pool(tmp_path, seen, adopted(stranger)) as servers:
        servers.start_all()
        view = await seen.until("old", ServerState.READY)
        assert stranger.process is not None
        assert (view.base_url, view.pid, view.ours) == (stranger.url, stranger.process.pid, False)
        lease = servers.lease("old", ask())
        assert isinstance(lease, Lease)
        assert lease.base_url == stranger.url
        servers.release(lease)
    assert stranger.process.returncode is None
    await become(stranger.url, "ready")  # it lives


@pytest.mark.parametrize("status_is_told", [True, False], ids=["", "older kernel"])
async def test_one_that_comes_later_is_noticed_and_one_that_ends_is_told(
    tmp_path: Path, seen: Seen, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, status_is_told: bool
) -> None:
    if not status_is_told:  # it is waited for, and meanwhile probes find nobody there
        monkeypatch.setattr(ProcessEnd, "wait_status", lambda _: None)
    async with pool(tmp_path, seen, adopted(stranger)) as servers:
        servers.start_all()
        gone = await ready(servers, "old")
        assert gone.state is ServerState.STOPPED
        assert "start it where it belongs" in gone.detail
        refusal = await waited(servers, "old", ask())
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "stopped"
        await stranger.run()
        await seen.until("old", ServerState.READY)
        await stranger.end()
        await seen.until("old", ServerState.STOPPED, times=2)
        assert [death.server for death in seen.deaths] == ["old"]


async def test_one_that_answers_no_more_is_left_running_and_not_used(
    tmp_path: Path, seen: Seen, stranger: Stranger
) -> None:
    await stranger.run()
    async with pool(tmp_path, seen, adopted(stranger), probe_timeout_s=0.1) as servers:
        servers.ensure_started("old")
        await seen.until("old", ServerState.READY)
        await become(stranger.url, "silent")
        await seen.until("old", ServerState.STOPPED)
        assert isinstance(servers.lease("old", ask()), LeaseRefusal)
    assert stranger.process is not None
    assert stranger.process.returncode is None


async def test_taking_over_needs_to_know_how_to_start_it_again(
    tmp_path: Path, seen: Seen, stranger: Stranger
) -> None:
    await stranger.run()
    async with pool(tmp_path, seen, adopted(stranger), spec("ready")) as servers:
        servers.start_all()
        await seen.until("old", ServerState.READY)
        with pytest.raises(FreeholdError, match="nothing says how to start it again"):
            servers.take_over("old")
        with pytest.raises(FreeholdError, match="ours already"):
            servers.take_over("ready")


async def test_one_taken_over_runs_on_and_is_ours_to_restart(
    tmp_path: Path, seen: Seen, stranger: Stranger
) -> None:
    await stranger.run()
    known = adopted(stranger, engine="standin", model="ready")
    async with pool(tmp_path, seen, known) as servers:
        servers.start_all()
        lease = await leased(servers, "old")
        servers.take_over("old")
        assert servers.view("old").ours
        servers.release(lease)
        assert stranger.process is not None
        assert stranger.process.returncode is None
        await asyncio.wait_for(servers.restart("old"), BOUND_S)
        assert await asyncio.wait_for(stranger.process.wait(), BOUND_S) is not None
        again = await leased(servers, "old")
        assert again.base_url != stranger.url
        servers.release(again)
