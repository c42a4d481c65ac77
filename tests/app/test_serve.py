"""The life of one Freehold, in this process: it opens, serves, and closes behind itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.app.serve import House
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.progress import Progress
from freehold.gateway.limits import Limits
from freehold.testing.standin import Standin


class Reports:
    """Everything that was reported, and a way to wait for a stage."""

    def __init__(self) -> None:
        self.all: list[Progress] = []
        self._more = asyncio.Event()

    def __call__(self, progress: Progress) -> None:
        self.all.append(progress)
        self._more.set()

    async def stage(self, name: str) -> Progress:
        while not (found := [one for one in self.all if one.stage == name]):
            self._more.clear()
            await self._more.wait()
        return found[-1]


def config(listen: str = "127.0.0.1:0", **sections: Any) -> LoadedConfig:
    return LoadedConfig(msgspec.convert({"listen": listen, **sections}, Config))


def house(loaded: LoadedConfig, home: Path, reports: Reports, *, looking: bool = False) -> House:
    (home / "prices").mkdir(parents=True, exist_ok=True)  # there is a table already: none is made
    return House(loaded, home, reports, Limits(), looking=looking)


@asynccontextmanager
async def living(loaded: LoadedConfig, home: Path) -> AsyncIterator[tuple[Reports, str]]:
    """A Freehold that is ready; ended by the signal that a service manager sends."""
    reports = Reports()
    life = asyncio.create_task(house(loaded, home, reports).live())
    try:
        ready = asyncio.create_task(reports.stage("ready"))
        await asyncio.wait((life, ready), return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), life.exception()
        yield reports, str(ready.result().data["url"])
        os.kill(os.getpid(), signal.SIGTERM)
        await life
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def asked(url: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    host = url.removeprefix("http://")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.rpartition(":")[2]))
    sent = json.dumps(body).encode() if body is not None else b""
    lines = (
        f"{method} {path} HTTP/1.1",
        f"host: {host}",
        "connection: close",
        f"content-length: {len(sent)}",
    )
    writer.write("\r\n".join((*lines, "", "")).encode() + sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest)


def providers(upstream: Standin) -> dict[str, Any]:
    return {"alpha": {"dialect": "openai", "base_url": upstream.url + "/v1", "models": ["m"]}}


async def test_a_life_from_its_first_word_to_its_last(tmp_path):
    with Standin(("m",)) as upstream:
        loaded = config(providers=providers(upstream), models={"smart": ["alpha/m"]})
        async with living(loaded, tmp_path) as (reports, url):
            note = json.loads((tmp_path / "run.json").read_bytes())
            assert (note["url"], note["pid"]) == (url, os.getpid())
            turn = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}
            status, answer = await asked(url, "POST", "/v1/chat/completions", turn)
            assert (status, answer["object"]) == (200, "chat.completion")
            status, models = await asked(url, "GET", "/api/v1/models")
            assert status == 200
            assert {view["name"] for view in models} == {"smart", "alpha/m"}
            status, found = await asked(url, "GET", "/api/v1/status")
            assert (found["calls"], found["in_flight"], found["discovery"]) == (1, 0, "off")
    assert [one.stage for one in reports.all] == ["listening", "ready", "stopping"]
    assert not (tmp_path / "run.json").exists()


async def test_the_table_at_the_end_of_the_start_names_every_model(tmp_path):
    with Standin(("m",)) as upstream:
        async with living(config(providers=providers(upstream)), tmp_path) as (reports, _):
            ready = await reports.stage("ready")
    assert list(ready.data["models"]) == [
        {"name": "alpha/m", "where": "alpha", "state": "", "test_only": False}
    ]


async def test_receipts_of_one_life_are_there_in_the_next(tmp_path):
    with Standin(("m",)) as upstream:
        loaded = config(providers=providers(upstream))
        for life in (1, 2):
            async with living(loaded, tmp_path) as (_, url):
                await asked(url, "POST", "/v1/embeddings", {"model": "m", "input": "x"})
                _, found = await asked(url, "GET", "/api/v1/status")
                assert found["ledger"]["entries"] == life


async def test_an_alias_for_what_is_nowhere_ends_the_start_before_the_port_opens(tmp_path):
    reports = Reports()
    loaded = config(models={"smart": ["nobody/m"]})
    with pytest.raises(ConfigError, match=r"models\.smart\.0.*nobody/m"):
        await house(loaded, tmp_path, reports).live()
    assert reports.all == []


async def test_what_the_looking_around_did_not_find_either_ends_the_house(tmp_path, monkeypatch):
    """Until then it may be found, so the port is open already."""
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    reports = Reports()
    loaded = config(
        models={"smart": ["nobody/m"]}, providers={"a": {"dialect": "openai", "base_url": "http://h/v1"}}
    )
    with pytest.raises(ConfigError, match=r"models\.smart\.0.*nobody/m"):
        await house(loaded, tmp_path, reports, looking=True).live()
    assert reports.all[0].stage == "listening"
    assert not (tmp_path / "run.json").exists()


async def test_a_port_that_is_taken_is_said_to_be_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        loaded = config(
            f"127.0.0.1:{port}", providers={"a": {"dialect": "openai", "base_url": "http://h/v1"}}
        )
        with pytest.raises(FreeholdError, match=f"port {port} on 127.0.0.1 is taken"):
            await house(loaded, tmp_path, Reports()).live()
