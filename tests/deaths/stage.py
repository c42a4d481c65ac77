"""A stage for deaths: the whole pool, the machine's own evidence, and a server that dies as it is told.

Everything is real: processes, signals, cgroups, disks, ports. What this machine does not let us see is asked
of the certificate itself (`sees`), so that a story can say what it must be able to tell.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.adapters.engines.model_files import read_model_file
from freehold.adapters.host.cages import HostCages
from freehold.adapters.host.witness import HostWitness
from freehold.core.deaths import Certificate, HostEvidence, Observation, Subject
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import (
    Engine,
    Launch,
    Lease,
    LeaseAsk,
    LeaseRefusal,
    RestartRules,
    ServerSpec,
    ServerState,
    ServerView,
)
from freehold.supervisor.liveness import LiveRules
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.settings import PoolSettings

BOUND_S = 60.0
NAME = "glm"
QUICK = LiveRules(probe_every_s=0.1, retry_every_s=0.05, deep_every_s=600.0)
ONE_TOKEN = json.dumps({"prompt": "x", "n_predict": 1}).encode()


TOLD: list[tuple[str, str, int, str]] = []
"""Of every death on a stage: the story, the cause that was found, its confidence, the sentence."""


class UnrulyEngine:
    """`spec.args` are the flags of `freehold.testing.unruly`; `spec.model` is the file that it maps;
    `spec.command` is run instead, where there is one."""

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        argv = spec.command or (sys.executable, "-m", "freehold.testing.unruly", "--port", str(port))
        model = ("--model", spec.model) if spec.model and not spec.command else ()
        return Launch(
            argv=(*argv, *model, *spec.args),
            env={"PATH": "/usr/bin:/bin"},
            program=Path(argv[0]).name,
            probe_path="/completion",
            probe_body=ONE_TOKEN,
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        return None


Alteration = Callable[[Subject, HostEvidence], HostEvidence]


class Altered:
    """A witness whose evidence is changed before it is handed on: lines that were recorded elsewhere."""

    def __init__(self, witness: HostWitness, change: Alteration) -> None:
        self._witness = witness
        self._change = change

    def watch(self, subject: Subject) -> Observation:
        return _AlteredObservation(self._witness.watch(subject), subject, self._change)


class _AlteredObservation:
    def __init__(
        self,
        real: Observation,
        subject: Subject,
        change: Alteration,
    ) -> None:
        self._real, self._subject, self._change = real, subject, change

    def collect(self) -> HostEvidence:
        return self._change(self._subject, self._real.collect())

    def close(self) -> None:
        self._real.close()


class Stage:
    """One pool with one server of name `glm`. A block: leaving it ends everything."""

    def __init__(
        self, home: Path, *flags: str, alter: Alteration | None = None, found: bool = False, **changes: Any
    ) -> None:
        """`found`: goes on with what an earlier Freehold left there, instead of starting one. `alter`:
        changes what the machine told. `changes`: fields of the specification, or of the pool's settings."""
        fields = ServerSpec.__struct_fields__
        asked = {name: value for name, value in changes.items() if name in fields}
        given: dict[str, Any] = {
            "name": NAME,
            "engine": "unruly",
            "args": flags,
            "restart": RestartRules(tries=1, tries_unready=1, first_delay_s=0.01),
            "stop_timeout_s": 2.0,
        }
        self.spec = ServerSpec(**(given | asked))
        self._found = found
        self.cages = HostCages(home)
        self.witness = HostWitness(
            state_folder=home / "servers", cages=self.cages, model_check=read_model_file
        )
        settings: dict[str, Any] = {
            "home": home,
            "live": QUICK,
            "evidence_s": 30.0,
            "witness": Altered(self.witness, alter) if alter else self.witness,
            "cages": self.cages,
        }
        self.settings = settings | {name: value for name, value in changes.items() if name not in fields}
        self.views: list[ServerView] = []
        self.deaths: list[Certificate] = []
        self._came = asyncio.Event()
        self.pool = self._new_pool()

    def _new_pool(self) -> ServerPool:
        engines: Mapping[str, Engine] = {"unruly": UnrulyEngine(), "llama.cpp": LlamaCpp(os.environ)}
        return ServerPool(
            [self.spec], engines, PoolSettings(**self.settings), on_change=self._changed, on_death=self._died
        )

    async def __aenter__(self) -> Self:
        await self.pool.__aenter__()
        if self._found:
            await self.pool.adopt_running()
        else:
            self.pool.start(NAME)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.pool.__aexit__(kind, error, trace)
        finally:
            self.witness.close()
            if not self.settings.get("keep_servers"):
                self.cages.remove(NAME)

    def _changed(self, view: ServerView) -> None:
        self.views.append(view)
        self._came.set()

    def _died(self, certificate: Certificate) -> None:
        self.deaths.append(certificate)
        story = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::")[2].removesuffix(" (call)")
        TOLD.append((story, certificate.cause, certificate.confidence, certificate.sentence))
        self._came.set()

    async def when(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not holds():
                self._came.clear()
                await self._came.wait()

    async def pid(self) -> int:
        """The engine's own, as soon as it runs."""
        await self.when(lambda: any(view.pid for view in self.views))
        return next(view.pid for view in reversed(self.views) if view.pid)

    async def ready(self, times: int = 1) -> ServerView:
        """Fails at once when it dies instead."""
        await self.when(lambda: bool(self._readies() >= times or len(self.deaths) >= times))
        assert self._readies() >= times, self.deaths[-1]
        return next(view for view in reversed(self.views) if view.state is ServerState.READY)

    def _readies(self) -> int:
        states = [view.state for view in self.views]
        pairs = zip([None, *states], states, strict=False)
        return sum(now is ServerState.READY and before is not now for before, now in pairs)

    async def death(self, number: int = 1) -> Certificate:
        """The certificate of the first, second, ... death."""
        await self.when(lambda: len(self.deaths) >= number)
        return self.deaths[number - 1]

    async def lease(self, body: bytes = b"{}") -> Lease | LeaseRefusal:
        ask = LeaseAsk("call", "caller", body)
        found = self.pool.lease(NAME, ask)
        if found is not None:
            return found
        future: asyncio.Future[Lease | LeaseRefusal] = asyncio.get_running_loop().create_future()
        self.pool.wait(NAME, ask, future.set_result)
        return await asyncio.wait_for(future, BOUND_S)

    async def call(self, text: str = "hello") -> bytes:
        """One call through a lease: the answer's bytes, as far as it came."""
        body = msgspec.json.encode({"messages": [{"role": "user", "content": text}], "stream": True})
        lease = await self.lease(body)
        assert isinstance(lease, Lease), lease
        answer, failed = b"", True
        try:
            answer = await post(lease.base_url, body)
            failed = b"[DONE]" not in answer
        finally:
            self.pool.release(lease, failed=failed)
        return answer


async def post(base_url: str, body: bytes) -> bytes:
    """What came back until the connection was closed, however it was."""
    port = int(base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    answer = bytearray()
    try:
        writer.write(head.encode() + body)
        async with asyncio.timeout(BOUND_S):
            while chunk := await reader.read(65_536):
                answer += chunk
    except ConnectionError:
        pass
    finally:
        writer.close()
    return bytes(answer)


async def stranger(command: str) -> None:
    """Somebody else on this machine does something; the kernel calls him `sh`."""
    process = await asyncio.create_subprocess_exec(shutil.which("sh") or "/bin/sh", "-c", command)
    assert await process.wait() == 0


def sees(certificate: Certificate, what: str) -> bool:
    """Whether this machine let us look at `what`."""
    return not any(clue.source == "not seen" and clue.text.startswith(what) for clue in certificate.evidence)


def text(certificate: Certificate, source: str) -> str:
    """All evidence of one source."""
    return "\n".join(clue.text for clue in certificate.evidence if clue.source == source)
