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
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.server import PoolSettings
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

    def __init__(self, folder: Path, *specs: ServerSpec) -> None:
        self._changes: asyncio.Queue[ServerView] = asyncio.Queue()
        settings = PoolSettings(logs=folder)
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
    return ServerSpec(name=MODEL_NAME, model=str(model_path()), slots=2)


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
            assert "SIGKILL" in (await watched.until(ServerState.BACKOFF)).detail
            second = await watched.ready(MODEL_NAME)
            assert await asyncio.to_thread(chat, second) == scripts.texts()[scripts.DEFAULT]
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
            assert os.getsid(pid) == pid

    run(story())


def test_a_cut_model_file_fails_with_the_engines_own_reason(run: Run, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_path().read_bytes()[:1_000_000])

    async def story() -> None:
        watched = Watched(tmp_path, ServerSpec(name="cut", model=str(cut)), tiny())
        async with watched.pool:
            watched.pool.start_all()
            view = await watched.ready("cut")
            assert view.state is ServerState.FAILED
            assert "exit code 1 before it was ready" in view.detail
            assert "error loading model" in view.detail or "failed" in view.detail
            assert (await watched.ready(MODEL_NAME)).state is ServerState.READY  # and harms nobody else

    run(story())
