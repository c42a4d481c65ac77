"""The pool with real processes of a stand-in engine: every story ends with no process left."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.servers import ServerSpec, ServerState
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.process import free_port, log_path
from tests.supervisor.engines import wait_gone
from tests.supervisor.pools import BOUND_S, Seen, ready, spec
from tests.supervisor.pools import pool as make_pool

Make = Callable[..., ServerPool]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def make(tmp_path: Path, seen: Seen) -> Make:
    def build(*behaviours: str | ServerSpec, **settings: object) -> ServerPool:
        specs = [spec(how) if isinstance(how, str) else how for how in behaviours]
        return make_pool(tmp_path, seen, *specs, **settings)

    return build


async def test_a_server_starts_loads_becomes_ready_and_is_gone_afterwards(make: Make, seen: Seen) -> None:
    async with make("slow") as pool:
        pool.ensure_started("slow")
        view = await ready(pool, "slow")
        assert view.state is ServerState.READY
        assert view.base_url is not None
        assert view.base_url.startswith("http://127.0.0.1:")
        assert view.eta_s is not None
        assert view.pid is not None
    assert seen.states("slow") == [
        ServerState.STARTING,
        ServerState.LOADING,
        ServerState.READY,
        ServerState.STOPPING,
        ServerState.STOPPED,
    ]
    assert not psutil.pid_exists(view.pid)
    assert pool.view("slow").pid is None


async def test_those_that_shall_always_run_start_at_once_and_the_order_of_configuration_is_kept(
    make: Make,
) -> None:
    always = [spec("slow", start="always"), spec("ready", start="always"), spec("stubborn")]
    async with make(*always) as pool:
        pool.start_all()
        assert [view.state for view in pool.views()] == ["starting", "starting", "stopped"]
        await asyncio.gather(ready(pool, "ready"), ready(pool, "slow"))
        assert [view.name for view in pool.views()] == ["slow", "ready", "stubborn"]


async def test_asking_twice_starts_one_process(make: Make, seen: Seen) -> None:
    async with make("ready") as pool:
        pool.ensure_started("ready")
        pool.ensure_started("ready")
        await ready(pool, "ready")
        pool.ensure_started("ready")
    assert seen.states("ready").count(ServerState.STARTING) == 1


async def test_a_killed_server_comes_back_on_its_own_under_another_pid(make: Make, seen: Seen) -> None:
    async with make("ready") as pool:
        pool.ensure_started("ready")
        first = (await ready(pool, "ready")).pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        death = await seen.until("ready", ServerState.BACKOFF)
        assert death.base_url is None
        again = await ready(pool, "ready")
        assert again.state is ServerState.READY
        assert again.pid != first
        assert again.restarts == 1


async def test_one_that_refuses_to_start_fails_with_its_own_words_and_tells_those_who_wait(
    make: Make,
) -> None:
    async with make("refuses") as pool:
        pool.ensure_started("refuses")
        view = await ready(pool, "refuses")
        assert view.state is ServerState.FAILED
        assert "Tried 2 times" in view.detail
        assert "I never start" in view.detail
        assert (await ready(pool, "refuses")).state is ServerState.FAILED  # also those who come later


async def test_a_failed_server_starts_again_only_on_a_persons_order(make: Make, seen: Seen) -> None:
    async with make("refuses") as pool:
        pool.ensure_started("refuses")
        await ready(pool, "refuses")
        pool.ensure_started("refuses")
        assert pool.view("refuses").state is ServerState.FAILED
        pool.start("refuses")
        assert pool.view("refuses").state is ServerState.STARTING
        await seen.until("refuses", ServerState.FAILED, times=2)


async def test_a_server_that_dies_once_while_starting_gets_a_second_chance(make: Make) -> None:
    async with make("second-time-lucky") as pool:
        pool.ensure_started("second-time-lucky")
        assert (await ready(pool, "second-time-lucky")).restarts == 1


async def test_a_taken_port_costs_one_try(make: Make) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        ports = [thief.getsockname()[1]]
        async with make("ready", pick_port=lambda: ports.pop() if ports else free_port()) as pool:
            pool.ensure_started("ready")
            view = await ready(pool, "ready")
            assert view.state is ServerState.READY
            assert view.base_url != f"http://127.0.0.1:{thief.getsockname()[1]}"


async def test_a_missing_program_fails_at_once_and_says_what_to_install(make: Make) -> None:
    async with make("missing") as pool:
        pool.ensure_started("missing")
        view = await ready(pool, "missing")
        assert (view.state, view.detail, view.restarts) == (ServerState.FAILED, "install the stand-in", 0)


async def test_one_that_ignores_the_stop_signal_is_killed_within_the_bound(make: Make) -> None:
    async with make(spec("stubborn", stop_timeout_s=0.05)) as pool:
        pool.ensure_started("stubborn")
        pid = (await ready(pool, "stubborn")).pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_grandchildren_do_not_outlive_their_server(make: Make, tmp_path: Path) -> None:
    async with make("parent") as pool:
        pool.ensure_started("parent")
        pid = (await ready(pool, "parent")).pid
        (child,) = psutil.Process(pid).children(recursive=True)
    await wait_gone(child, BOUND_S)


async def test_one_that_never_becomes_ready_is_ended_and_given_up(make: Make) -> None:
    async with make(spec("never-ready", load_timeout_s=0.05, stop_timeout_s=0.5)) as pool:
        pool.ensure_started("never-ready")
        view = await ready(pool, "never-ready")
        assert view.state is ServerState.FAILED
        assert "not ready after 0.05 s" in view.detail


async def test_leaving_while_it_starts_leaves_nothing_behind(make: Make, seen: Seen) -> None:
    async with make("never-ready") as pool:
        pool.ensure_started("never-ready")
        pid = await seen.process_of("never-ready")
    assert not psutil.pid_exists(pid)
    assert pool.view("never-ready").state is ServerState.STOPPED


async def test_leaving_before_the_process_exists_is_fine(make: Make) -> None:
    async with make("ready") as pool:
        pool.ensure_started("ready")
    assert pool.view("ready").state is ServerState.STOPPED


async def test_an_answer_is_never_given_within_the_question_and_a_cancelled_one_never(make: Make) -> None:
    async with make("ready") as pool:
        pool.ensure_started("ready")
        await ready(pool, "ready")
        answers: list[str] = []
        pool.when_ready("ready", lambda _view: answers.append("kept"))
        pool.when_ready("ready", lambda _view: answers.append("cancelled"))()
        assert answers == []
        await ready(pool, "ready")
        assert answers == ["kept"]


async def test_waiting_for_a_stopped_server_ends_at_once(make: Make) -> None:
    async with make("ready") as pool:
        assert (await ready(pool, "ready")).state is ServerState.STOPPED
        pool.ensure_started("ready")
        await ready(pool, "ready")
        await pool.stop("ready")
        assert (await ready(pool, "ready")).state is ServerState.STOPPED
        pool.ensure_started("ready")
        assert (await ready(pool, "ready")).state is ServerState.READY


async def test_the_engine_sees_the_given_environment_and_nothing_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with make("ready") as pool:
        pool.ensure_started("ready")
        await ready(pool, "ready")
    told = log_path(tmp_path / "logs", "ready").read_text()
    assert "'ALLOWED'" in told
    assert "OPENAI" not in told
    assert "secret" not in told


async def test_a_change_of_state_is_told_after_it_happened(make: Make, seen: Seen) -> None:
    async with make("ready") as pool:
        pool.ensure_started("ready")
        await ready(pool, "ready")
        assert seen.views[-1] == pool.view("ready")


def test_two_servers_of_one_name_or_an_unknown_engine_are_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="two servers are called 'ready'"):
        make("ready", "ready")
    pool = make()
    with pytest.raises(ConfigError, match="no engine 'abacus'"):
        pool.add(ServerSpec(name="x", model="x", engine="abacus"))


async def test_two_pools_do_not_look_after_the_same_servers(make: Make) -> None:
    async with make("ready"):
        with pytest.raises(FreeholdError, match="another Freehold"):
            async with make("ready"):
                pass
