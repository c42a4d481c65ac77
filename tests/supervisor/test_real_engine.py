"""The pool with the real engine and the tiny model, on both event loops: served, killed, back, gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.core.servers import ServerSpec, ServerState, ServerView
from freehold.supervisor.liveness import LiveRules
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.settings import PoolSettings
from freehold.testing.tiny_model import MODEL_NAME, model_path, scripts

pytestmark = pytest.mark.engine

Run = Callable[[Coroutine[Any, Any, None]], None]
BOUND_S = 30.0


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


class Watched:
    """A pool of the real engine, with its changes."""

    def __init__(self, folder: Path, *specs: ServerSpec, keep_servers: bool = False) -> None:
        self._changes: asyncio.Queue[ServerView] = asyncio.Queue()
        settings = PoolSettings(
            home=folder,
            keep_servers=keep_servers,
            live=LiveRules(probe_every_s=0.2, retry_every_s=0.1, deep_every_s=0.5),
            probe_timeout_s=1.0,
        )
        engines = {"llama.cpp": LlamaCpp(os.environ)}
        self.pool = ServerPool(specs, engines, settings, on_change=self._changes.put_nowait)

    async def ready(self, name: str) -> ServerView:
        future: asyncio.Future[ServerView] = asyncio.get_running_loop().create_future()
        self.pool.when_ready(name, future.set_result)
        return await asyncio.wait_for(future, BOUND_S)

    async def until(self, state: ServerState) -> ServerView:
        async with asyncio.timeout(BOUND_S):
            while (view := await self._changes.get()).state is not state:
                pass
        return view


def tiny() -> ServerSpec:
    return ServerSpec(name=MODEL_NAME, model=str(model_path()), slots=2, start="always")


def chat(view: ServerView) -> str:
    body = {"model": view.model_id, "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(
        f"{view.base_url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=BOUND_S) as answer:
        text: str = json.load(answer)["choices"][0]["message"]["content"]
    return text


def test_a_real_model_is_served_survives_its_own_death_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        watched = Watched(tmp_path, tiny())
        async with watched.pool:
            watched.pool.start_all()
            first = await watched.ready(MODEL_NAME)
            assert await asyncio.to_thread(chat, first) == scripts.texts()[scripts.DEFAULT]
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            await watched.until(ServerState.BACKOFF)
            second = await watched.ready(MODEL_NAME)
            assert await asyncio.to_thread(chat, second) == scripts.texts()[scripts.DEFAULT]
            (death,) = watched.pool.certificates(MODEL_NAME)
            assert (death.pid, death.ready, death.ordered) == (first.pid, True, False)
        assert second.pid is not None
        assert not psutil.pid_exists(second.pid)

    run(story())


def test_the_engine_is_its_own_session_so_a_closing_terminal_does_not_reach_it(
    run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        watched = Watched(tmp_path, tiny())
        async with watched.pool:
            watched.pool.ensure_started(MODEL_NAME)
            pid = (await watched.ready(MODEL_NAME)).pid
            assert pid is not None
            assert os.getsid(pid) not in (os.getsid(0), 0)

    run(story())


def test_a_cut_model_file_fails_with_the_engines_own_reason(run: Run, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_path().read_bytes()[:1_000_000])

    async def story() -> None:
        watched = Watched(tmp_path, ServerSpec(name="cut", model=str(cut), start="always"), tiny())
        async with watched.pool:
            watched.pool.start_all()
            view = await watched.ready("cut")
            assert view.state is ServerState.FAILED
            assert "cut or damaged" in view.detail
            assert watched.pool.certificates("cut")[0].cause == "bad-model"
            assert (await watched.ready(MODEL_NAME)).state is ServerState.READY  # and harms nobody else

    run(story())


def test_a_halted_engine_is_found_ended_and_replaced(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        watched = Watched(tmp_path, tiny())
        async with watched.pool:
            watched.pool.start_all()
            first = await watched.ready(MODEL_NAME)
            assert first.pid is not None
            os.kill(first.pid, signal.SIGSTOP)
            await watched.until(ServerState.BACKOFF)
            second = await watched.ready(MODEL_NAME)
            assert await asyncio.to_thread(chat, second) == scripts.texts()[scripts.DEFAULT]
            assert watched.pool.certificates(MODEL_NAME)[0].cause == "hung"

    run(story())


def test_an_engine_left_running_serves_the_next_freehold_with_its_model_loaded(
    run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        earlier = Watched(tmp_path, tiny(), keep_servers=True)
        async with earlier.pool:
            earlier.pool.start_all()
            first = await earlier.ready(MODEL_NAME)
        later = Watched(tmp_path, tiny())
        async with later.pool:
            await later.pool.adopt_running()
            second = await later.ready(MODEL_NAME)
            assert (second.pid, second.loads) == (first.pid, 0)
            assert await asyncio.to_thread(chat, second) == scripts.texts()[scripts.DEFAULT]
        assert later.pool.certificates(MODEL_NAME)[0].cause == "asked-by-us"

    run(story())


def test_what_the_engine_says_of_its_memory_is_shown(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        watched = Watched(tmp_path, tiny())
        async with watched.pool:
            watched.pool.start_all()
            await watched.ready(MODEL_NAME)
            async with asyncio.timeout(BOUND_S):
                while (reported := watched.pool.view(MODEL_NAME).reported) is None:
                    await watched.until(ServerState.READY)
            assert reported.source == "measured"
            assert reported.ram_bytes + reported.mapped_bytes > 1_000_000

    run(story())
