"""The cache of this house: its folder, its salt, and the embedding model that compares questions.

Embeddings are asked of our own port, like any client's call: so they wait for a server that loads, keep to
budgets and leave receipts, under the agent `freehold-cache`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import msgspec

from freehold.cache.answers import Answers
from freehold.cache.disk import AnswerDisk
from freehold.cache.vectors import Embedder, Vector, WordVectors, normalised
from freehold.core.clock import Clock
from freehold.core.config_cache import CacheConfig
from freehold.core.errors import ConfigError
from freehold.core.home import expand_user
from freehold.core.listen import Listen

AGENT = "freehold-cache"
KEY_FILE = "cache.key"
_SALT_BYTES = 32
_TIMEOUT_S = 2.0
"""A question is not held up for longer; its own model answers it then."""
_REST_S = 15.0
"""After a failure the embedding model is left alone for so long."""
_ANSWER_BYTES = 4 * 1024 * 1024


class HouseCache:
    """Owns the answers of a house and all that they need; an async context, entered on the loop."""

    def __init__(self, config: CacheConfig, home: Path, base: Path, clock: Clock) -> None:
        """`base`: what a relative folder in the configuration is relative to."""
        self.config = config
        self._home = home
        self._base = base
        self._clock = clock
        self._disk: AnswerDisk | None = None
        self._asker: HouseEmbedder | None = None
        self.answers: Answers | None = None
        """None where the configuration keeps no answers."""

    @property
    def accepted(self) -> Mapping[str, str]:
        """SHA-256 (hex) and name of the key under which the house calls itself; for `Access.keys`, where keys
        are needed at all."""
        return {} if self._asker is None else {hashlib.sha256(self._asker.key.encode()).hexdigest(): AGENT}

    def use_port(self, port: int, host: str = "127.0.0.1") -> None:
        """The port is open: embeddings can be asked for."""
        if self._asker is not None:
            self._asker.url = Listen(host, port).url

    async def __aenter__(self) -> HouseCache:
        """Raises ConfigError when the folder cannot be used."""
        config = self.config
        if not config.answers:
            return self
        loop = asyncio.get_running_loop()
        exact, semantic = config.exact, config.semantic
        if exact is not None and exact.disk is not None:
            folder = self._base / expand_user(exact.disk, os.environ)
            try:
                self._disk = AnswerDisk(
                    folder, most_bytes=exact.disk_bytes, deliver=loop.call_soon_threadsafe
                )
            except OSError as cause:
                message = f"the folder {folder} cannot hold answers: {cause.strerror}"
                raise ConfigError(message, key="cache.exact.disk") from None
        embedder: Embedder | None = None
        if semantic is not None and semantic.embeddings is not None:
            embedder = self._asker = HouseEmbedder(semantic.embeddings, self._clock)
        elif semantic is not None:
            embedder = WordVectors()
        salt = secrets.token_bytes(_SALT_BYTES) if self._disk is None else salt_of(self._home)
        self.answers = Answers(config, salt=salt, embedder=embedder, disk=self._disk)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asker is not None:
            await self._asker.close()
        if self._disk is not None:
            await asyncio.to_thread(self._disk.close)

    async def at_hand(self) -> None:
        """Returns when it is known what lies on disk."""
        if self._disk is not None:
            known = asyncio.Event()
            self._disk.after(known.set)
            await known.wait()

    async def retire(self) -> None:
        """No call looks here any more: let those that still search find something, then end."""
        if self._disk is not None:
            await asyncio.to_thread(self._disk.close)
            self._disk = None
        if self._asker is not None:
            await self._asker.quiet()


def salt_of(home: Path) -> bytes:
    """The salt of this home, made at first use; answers on disk are found by it again."""
    folder = home / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / KEY_FILE
    with contextlib.suppress(FileNotFoundError):
        found = path.read_bytes()
        if len(found) == _SALT_BYTES:
            return found
    made = secrets.token_bytes(_SALT_BYTES)
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(made)
    part.replace(path)
    return made


class HouseEmbedder:
    """Vectors from an embedding model, asked for over our own port. Implements `vectors.Embedder`."""

    meaning = True
    threshold = 0.9

    def __init__(self, model: str, clock: Clock) -> None:
        self.key = secrets.token_urlsafe(32)
        self.url = ""
        """Empty until the port is open; then nothing can be asked yet."""
        self._model = model
        self._clock = clock
        self._rest_until_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def embed(self, text: str, then: Callable[[Vector | None], None]) -> Callable[[], object]:
        if not self.url or self._clock.monotonic_s() < self._rest_until_s:
            then(None)
            return _nothing
        task = asyncio.get_running_loop().create_task(self._embed(text, then), name="embedding")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task.cancel

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def quiet(self) -> None:
        """Let what is under way end; bounded, because each question is."""
        await asyncio.sleep(0)
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _embed(self, text: str, then: Callable[[Vector | None], None]) -> None:
        body = msgspec.json.encode({"model": self._model, "input": text, "encoding_format": "float"})
        found: Vector | None = None
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                found = vector_in(await asyncio.to_thread(self._post, body))
        except (OSError, http.client.HTTPException):  # TimeoutError is an OSError
            found = None
        if found is None:
            self._rest_until_s = self._clock.monotonic_s() + _REST_S
        then(found)

    def _post(self, body: bytes) -> bytes:
        """In a thread: the answer's body, empty when it is an error."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self.key}",
            "x-freehold-agent": AGENT,
        }
        try:
            connection.request("POST", "/v1/embeddings", body, headers)
            answer = connection.getresponse()
            read = answer.read(_ANSWER_BYTES)
            return read if answer.status == 200 else b""
        finally:
            connection.close()


class _Embedding(msgspec.Struct):
    embedding: list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


def vector_in(body: bytes) -> Vector | None:
    """The vector in an answer of `/v1/embeddings`; None when there is none that can be used."""
    try:
        found = msgspec.json.decode(body, type=_Embeddings)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    vector = normalised(found.data[0].embedding) if len(found.data) == 1 else ()
    return vector if any(vector) else None


def _nothing() -> None:
    """There is nothing to cancel."""
