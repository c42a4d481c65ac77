"""A model server that someone else runs: found by its port, watched, left alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import psutil
import pytest

from freehold.core.deaths import ExitFacts
from freehold.supervisor.foreign import ForeignProcess, NotOursError
from freehold.testing.standin import refused_port
from tests.processes import runs
from tests.supervisor.keeping import until

_SERVER = """
import signal, socket, subprocess, sys
if sys.argv[1] == "stubborn":
    signal.signal(15, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid, flush=True)
signal.signal(2, lambda *_: sys.exit(7))
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        server.accept()[0].close()
"""


class Stranger:
    """A server that the test runs, as a person would in a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, child: int | None) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.child = child

    @classmethod
    async def run(cls, how: str = "") -> Stranger:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVER, how), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        child = int(await process.stdout.readline()) if how == "stubborn" else None
        return cls(process, int(await process.stdout.readline()), child)


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    server = await Stranger.run()
    yield server
    if server.process.returncode is None:
        server.process.kill()
    await server.process.wait()


async def test_it_is_found_by_its_port(stranger: Stranger) -> None:
    found = await ForeignProcess.adopt(stranger.url)
    assert found.pid == stranger.process.pid
    assert found.port == int(stranger.url.rpartition(":")[2])
    assert "started by someone else" in found.program
    assert abs(found.started_ms / 1000 - psutil.Process(stranger.process.pid).create_time()) < 1
    assert (found.orders(), found.last_lines(), found.output()) == ((), (), [])
    found.leave()


async def test_nobody_there_is_an_error(stranger: Stranger) -> None:
    with refused_port() as port, pytest.raises(ConnectionRefusedError, match="nobody answers"):
        await ForeignProcess.adopt(f"http://127.0.0.1:{port}")


async def test_its_end_is_seen_without_being_its_parent(stranger: Stranger) -> None:
    found = await ForeignProcess.adopt(stranger.url)
    waiting = [asyncio.create_task(found.wait()) for _ in range(2)]
    stranger.process.send_signal(signal.SIGINT)
    one, two = await asyncio.gather(*waiting)
    assert one is two
    assert one.code in (7, None)  # None: the kernel is older than 6.15
    assert one.signal is None
    assert one.died_ms > found.started_ms


async def test_it_is_not_stopped_before_it_was_taken_over(stranger: Stranger) -> None:
    found = await ForeignProcess.adopt(stranger.url)
    with pytest.raises(NotOursError, match="take it over"):
        await found.stop(signal.SIGTERM, 5, "evicted")
    assert stranger.process.returncode is None
    found.take_over()
    facts = await found.stop(signal.SIGTERM, 5, "evicted")
    assert facts.signal in (signal.SIGTERM, None)
    assert await stranger.process.wait() == -signal.SIGTERM
    assert [(order.signal, order.reason) for order in found.orders()] == [(signal.SIGTERM, "evicted")]


async def test_one_that_does_not_listen_is_killed_with_its_children() -> None:
    server = await Stranger.run("stubborn")
    found = await ForeignProcess.adopt(server.url)
    found.take_over()
    await found.stop(signal.SIGTERM, 0.1, "evicted")
    assert await server.process.wait() == -signal.SIGKILL
    assert [order.signal for order in found.orders()] == [signal.SIGTERM, signal.SIGKILL]
    child = server.child
    assert child is not None
    await until(lambda: not runs(child))


async def test_a_process_that_may_not_be_seen_is_watched_by_its_port(stranger: Stranger) -> None:
    found = ForeignProcess(stranger.url, None, look_every_s=0.01)
    waiting = asyncio.create_task(found.wait())
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    stranger.process.kill()
    facts = await waiting
    assert facts == ExitFacts(died_ms=facts.died_ms)
    found.take_over()
    with pytest.raises(NotOursError, match="cannot be seen"):
        await found.stop(signal.SIGTERM, 5, "evicted")
