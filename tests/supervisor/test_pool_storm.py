"""A storm of calls and kills: every call that waits gets exactly one answer, and no slot is used twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

import psutil
import pytest

from freehold.core.servers import Lease, LeaseRefusal, RestartRules, ServerState
from freehold.supervisor.pool import ServerPool
from tests.supervisor.pools import Seen, ask, pool, spec

_CALLERS, _CALLS = 40, 6


class Storm:
    """Callers that use servers at random, while somebody kills them."""

    def __init__(self, servers: ServerPool, names: list[str], seed: int) -> None:
        self.answers: list[Lease | LeaseRefusal] = []
        self.most_in_flight = 0
        self._servers = servers
        self._names = names
        self._chance = random.Random(seed)

    async def caller(self) -> None:
        for _ in range(_CALLS):
            name = self._chance.choice(self._names)
            asked = ask(self._chance.randbytes(8))  # no two alike: else they are quarantined
            answer = self._servers.lease(name, asked)
            if answer is None:
                future: asyncio.Future[Lease | LeaseRefusal] = asyncio.get_running_loop().create_future()
                leave = self._servers.wait(name, asked, future.set_result)
                if self._chance.random() < 0.1:
                    leave()
                    continue
                answer = await future
            self.answers.append(answer)
            if isinstance(answer, Lease):
                self.most_in_flight = max(self.most_in_flight, self._servers.load(name).in_flight)
                await asyncio.sleep(self._chance.random() * 0.01)
                self._servers.release(answer, failed=self._chance.random() < 0.05)

    async def killer(self) -> None:
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL):
            await asyncio.sleep(0.15)
            for view in self._servers.views():
                if view.pid is not None and view.state is ServerState.READY:
                    with contextlib.suppress(ProcessLookupError):  # ended, and nobody has told of it yet
                        os.kill(view.pid, number)
                    break
            await self._servers.restart(self._chance.choice(self._names))


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_call_ends_in_one_answer_and_nothing_is_left(tmp_path: Path, seed: int) -> None:
    seen = Seen()
    rules = RestartRules(tries=100, tries_unready=100, first_delay_s=0.01, longest_delay_s=0.02)
    names = ["a", "b"]
    specs = [spec("ready", name=name, slots=3, restart=rules) for name in names]
    async with pool(tmp_path, seen, *specs) as servers:
        storm = Storm(servers, names, seed)
        async with asyncio.timeout(30):
            await asyncio.gather(storm.killer(), *(storm.caller() for _ in range(_CALLERS)))
        assert [answer for answer in storm.answers if not isinstance(answer, Lease)] == []
        assert len(storm.answers) > _CALLERS * _CALLS / 2
        assert storm.most_in_flight <= 3
        assert [(servers.load(name).in_flight, servers.load(name).queued) for name in names] == [(0, 0)] * 2
    assert not [view.pid for view in seen.views if view.pid is not None and psutil.pid_exists(view.pid)]
    started = sum(state is ServerState.STARTING for name in names for state in seen.states(name))
    assert len(seen.deaths) == started
