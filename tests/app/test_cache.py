"""The cache of a house: its folder, its salt, and embeddings over the house's own port."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from freehold.app import cache as cache_module
from freehold.app.cache import AGENT, HouseCache, HouseEmbedder, salt_of, vector_in
from freehold.cache.answers import Hit, Ticket
from freehold.cache.vectors import Vector
from freehold.core.config_cache import CacheConfig, ExactCacheConfig, SemanticCacheConfig
from freehold.core.errors import ConfigError
from tests.cache.asking import ask, chat, chat_answer, said
from tests.supervisor.keeping import until


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s


class Port:
    """An `/v1/embeddings` on loopback that says the same of every text, or fails."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                port.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(port.status)
                self.end_headers()
                self.wfile.write(b'{"data":[{"embedding":[3,4]}]}')

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = HTTPServer((host, 0), Handler)
        self.number = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    """It is waited for however slow this machine is."""
    monkeypatch.setattr(cache_module, "_TIMEOUT_S", 60.0)
    opened = Port()
    yield opened
    opened.close()


def house(tmp_path: Path, config: CacheConfig, clock: Clock | None = None) -> HouseCache:
    return HouseCache(config, tmp_path / "home", tmp_path, clock or Clock())


async def test_nothing_is_made_where_nothing_is_configured(tmp_path: Path) -> None:
    async with house(tmp_path, CacheConfig()) as cache:
        assert cache.answers is None
        assert cache.accepted == {}
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_answers_on_disk_are_found_after_a_restart(tmp_path: Path) -> None:
    config = CacheConfig(exact=ExactCacheConfig(disk="answers"))
    clock = Clock()
    clock.s = 4_000_000_000.0  # far from now, so that nothing is too old
    async with house(tmp_path, config, clock) as cache:
        assert cache.answers is not None
        ticket = cache.answers.look(ask(chat()), clock.now_ms())
        assert isinstance(ticket, Ticket)
        cache.answers.keep(ticket, said(chat_answer()), clock.now_ms())
    async with house(tmp_path, config, clock) as cache:
        assert cache.answers is not None
        answers = cache.answers
        await until(lambda: answers.counts().on_disk > 0)
        waiting = cache.answers.look(ask(chat()), clock.now_ms())
        assert isinstance(waiting, Ticket)
        got: asyncio.Future[Hit | None] = asyncio.get_running_loop().create_future()
        cache.answers.wait(waiting, clock.now_ms(), got.set_result)
        found = await got
        assert found is not None
        assert found.stored.body == chat_answer()


async def test_a_folder_that_is_a_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "answers").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot hold answers"):
        async with house(tmp_path, CacheConfig(exact=ExactCacheConfig(disk="answers"))):
            pass


def test_the_salt_is_made_once_and_private(tmp_path: Path) -> None:
    salt = salt_of(tmp_path)
    assert salt_of(tmp_path) == salt
    assert len(salt) == 32
    assert stat.S_IMODE((tmp_path / "keys" / "cache.key").stat().st_mode) == 0o600
    assert salt_of(tmp_path / "other") != salt


async def embedded(embedder: HouseEmbedder, text: str) -> Vector | None:
    got: asyncio.Future[Vector | None] = asyncio.get_running_loop().create_future()
    embedder.embed(text, got.set_result)
    return await got


async def keep_one(cache: HouseCache) -> None:
    """Until its question can be found by meaning."""
    answers = cache.answers
    assert answers is not None
    ticket = answers.look(ask(chat("How do I reset my password?")), 0)
    assert isinstance(ticket, Ticket)
    answers.keep(ticket, said(chat_answer()), 0)
    await until(lambda: answers.counts().questions > 0)


async def test_embeddings_are_asked_of_our_own_port_with_our_own_key(tmp_path: Path, port: Port) -> None:
    config = CacheConfig(semantic=SemanticCacheConfig(models=("fast",), embeddings="nomic"))
    async with house(tmp_path, config) as cache:
        cache.use_port(port.number)
        await keep_one(cache)
        path, headers, body = port.requests[0]
        assert path == "/v1/embeddings"
        assert body == {"model": "nomic", "input": "How do I reset my password?", "encoding_format": "float"}
        assert headers["x-freehold-agent"] == AGENT
        key = headers["authorization"].removeprefix("Bearer ")
        assert cache.accepted == {hashlib.sha256(key.encode()).hexdigest(): AGENT}


async def test_a_cache_that_is_replaced_answers_those_who_search_and_takes_nothing_of_theirs_elsewhere(
    tmp_path: Path, port: Port
) -> None:
    config = CacheConfig(
        exact=ExactCacheConfig(disk="answers"),
        semantic=SemanticCacheConfig(models=("fast",), embeddings="nomic"),
    )
    clock = Clock()
    clock.s = 4_000_000_000.0
    async with house(tmp_path, config, clock) as before:
        before.use_port(port.number)
        assert before.answers is not None
        asked = ask(chat("How do I reset my password?"))
        ticket = before.answers.look(asked, clock.now_ms())
        assert isinstance(ticket, Ticket)
        before.answers.keep(ticket, said(chat_answer()), clock.now_ms())
        other = before.answers.look(ask(chat("Where do I find my password?")), clock.now_ms())
        assert isinstance(other, Ticket)
        heard: list[Hit | None] = []
        before.answers.wait(other, clock.now_ms(), heard.append)
        await before.retire()
        assert len(heard) == 1, "nobody waits for ever"
        async with house(tmp_path, config, clock) as after:
            await after.at_hand()
            assert after.answers is not None
            assert after.answers.counts().on_disk == 1
            assert after.answers.keep(other, said(chat_answer()), clock.now_ms()) != ""
            assert after.answers.counts().entries == 0


async def test_a_house_on_another_address_asks_there(tmp_path: Path) -> None:
    config = CacheConfig(semantic=SemanticCacheConfig(models=("fast",), embeddings="nomic"))
    other = Port("127.0.0.2")
    try:
        async with house(tmp_path, config) as cache:
            cache.use_port(other.number, "127.0.0.2")
            await keep_one(cache)
    finally:
        other.close()


async def test_vectors_have_length_one(port: Port) -> None:
    embedder = HouseEmbedder("nomic", Clock())
    embedder.url = f"http://127.0.0.1:{port.number}"
    assert await embedded(embedder, "x") == (0.6, 0.8)


async def test_a_model_that_fails_is_left_alone_for_a_while(port: Port) -> None:
    clock = Clock()
    embedder = HouseEmbedder("nomic", clock)
    embedder.url = f"http://127.0.0.1:{port.number}"
    port.status = 503
    assert await embedded(embedder, "x") is None
    port.status = 200
    assert await embedded(embedder, "x") is None
    assert len(port.requests) == 1
    clock.s += 60
    assert await embedded(embedder, "x") == (0.6, 0.8)


async def test_before_the_port_is_open_nothing_is_asked() -> None:
    assert await embedded(HouseEmbedder("nomic", Clock()), "x") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"embedding":[]}]}',
        b'{"data":[{"embedding":[0,0]}]}',
        b'{"data":[{"embedding":"AAAA"}]}',
    ],
)
def test_what_is_no_vector_is_none(body: bytes) -> None:
    assert vector_in(body) is None
