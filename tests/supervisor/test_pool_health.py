"""Servers that were ready and stop working: found, ended and restarted; slow ones are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.core.servers import ServerState
from freehold.supervisor.liveness import LiveRules
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.watch import Watch
from tests.supervisor.engines import become
from tests.supervisor.pools import QUICK, Seen, leased, pool, ready, spec


@pytest.fixture
def seen() -> Seen:
    return Seen()


def _watch(servers: ServerPool, name: str) -> Watch:
    return servers._servers[name].life.running.watch  # type: ignore[union-attr]


async def _until(holds: Callable[[], bool]) -> None:
    """Probes tell nobody."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("mode", "probe_timeout_s", "words"),
    [
        ("silent", 0.2, "it took the connection and did not answer, 3 times in a row"),
        ("busy", 0.2, "it took the connection and did not answer, 3 times in a row"),
        ("broken", 5.0, "its health endpoint answered with an error, 3 times in a row"),
    ],
)
async def test_an_idle_server_that_does_not_answer_is_ended_and_restarted(
    tmp_path: Path, seen: Seen, mode: str, probe_timeout_s: float, words: str
) -> None:
    hanging = spec("ready", stop_timeout_s=0.2)
    async with pool(tmp_path, seen, hanging, probe_timeout_s=probe_timeout_s) as servers:
        servers.ensure_started("ready")
        first = await ready(servers, "ready")
        await become(first.base_url, mode)
        await seen.until("ready", ServerState.READY, times=2)
        (death,) = seen.deaths
        assert death.cause == "hung"
        assert not death.ordered
        assert words in death.sentence or any(words in clue.text for clue in death.evidence)
        assert servers.view("ready").restarts == 1


async def test_one_that_answers_health_and_generates_nothing_is_found_by_asking_for_a_token(
    tmp_path: Path, seen: Seen
) -> None:
    live = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=0.05)
    async with pool(tmp_path, seen, spec("ready"), live=live, deep_timeout_s=0.1) as servers:
        servers.ensure_started("ready")
        first = await ready(servers, "ready")
        await become(first.base_url, "mute")
        await seen.until("ready", ServerState.READY, times=2)
        assert seen.deaths[0].cause == "hung"


async def test_one_that_could_generate_and_now_only_answers_errors_is_restarted(
    tmp_path: Path, seen: Seen
) -> None:
    live = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=0.05)
    async with pool(tmp_path, seen, spec("ready"), live=live, deep_timeout_s=5) as servers:
        servers.ensure_started("ready")
        first = await ready(servers, "ready")
        await _until(lambda: _watch(servers, "ready")._has_generated)
        await become(first.base_url, "failing")
        await seen.until("ready", ServerState.READY, times=2)
        (death,) = seen.deaths
        assert death.cause == "hung"
        assert "it had generated before, and now answered only with errors, 3 times in a row" in str(death)


async def test_one_that_never_could_generate_is_left_alone(tmp_path: Path, seen: Seen) -> None:
    live = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=0.05)
    async with pool(tmp_path, seen, spec("failing"), live=live, deep_timeout_s=5) as servers:
        servers.ensure_started("failing")
        await ready(servers, "failing")
        await _until(lambda: len(_watch(servers, "failing").seen) >= 12)
        assert not seen.deaths


async def test_a_call_that_breaks_makes_it_look_at_once(tmp_path: Path, seen: Seen) -> None:
    live = LiveRules(probe_every_s=600, retry_every_s=0.02, deep_every_s=600)
    async with pool(tmp_path, seen, spec("ready"), live=live, deep_timeout_s=0.1) as servers:
        lease = await leased(servers, "ready")
        await become(lease.base_url, "mute")
        servers.release(lease, failed=True)
        await seen.until("ready", ServerState.READY, times=2)
        assert seen.deaths[0].cause == "hung"


async def test_a_stalled_call_on_a_server_that_does_nothing_is_a_hang(tmp_path: Path, seen: Seen) -> None:
    stalling = spec("ready", stall_timeout_s=0.1)
    async with pool(tmp_path, seen, stalling, probe_timeout_s=0.05) as servers:
        lease = await leased(servers, "ready")
        await become(lease.base_url, "silent")
        await seen.until("ready", ServerState.READY, times=2)
        assert seen.deaths[0].cause == "hung"
        assert len(seen.deaths[0].in_flight) == 1
        servers.release(lease, failed=True)


async def test_a_slow_server_under_a_call_is_left_alone_as_long_as_it_computes(
    tmp_path: Path, seen: Seen
) -> None:
    stalling = spec("ready", stall_timeout_s=0.05)
    async with pool(tmp_path, seen, stalling, probe_timeout_s=0.05) as servers:
        lease = await leased(servers, "ready")
        await become(lease.base_url, "busy")
        await _until(lambda: len(_watch(servers, "ready").seen) >= 12)
        assert servers.view("ready").state is ServerState.READY
        servers.release(lease)  # idle now: then it is a hang
        await seen.until("ready", ServerState.READY, times=2)


async def test_a_call_that_is_heard_of_keeps_its_server_whatever_the_probes_say(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", stall_timeout_s=600), probe_timeout_s=0.05) as servers:
        lease = await leased(servers, "ready")
        other = await leased(servers, "ready")
        await become(lease.base_url, "silent")
        servers.release(other, failed=True)
        await _until(lambda: len(_watch(servers, "ready").seen) >= 6)
        assert servers.view("ready").state is ServerState.READY
        servers.release(lease)


async def test_probes_of_a_healthy_idle_server_disturb_nobody(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready"), live=QUICK) as servers:
        servers.ensure_started("ready")
        view = await ready(servers, "ready")
        await _until(lambda: len(_watch(servers, "ready").seen) >= 8)
        assert servers.view("ready").pid == view.pid
        assert seen.deaths == []
