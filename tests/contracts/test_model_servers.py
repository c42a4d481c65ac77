"""The real pool, with real processes, and the one that the gateway's tests use keep the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerSpec, ServerState
from freehold.supervisor.slots import Slots
from tests.contracts.model_servers import ModelServersContract
from tests.gateway.rooms import Servers
from tests.supervisor.pools import Seen, pool, spec


class SelfStarting(Servers):
    """Starts, or fails to, as soon as it is asked to."""

    def __init__(self) -> None:
        super().__init__("ready", "refuses")
        self.slots["ready"] = Slots(ServerSpec(name="ready", slots=2, max_queue=3))

    def wait(
        self, name: str, ask: LeaseAsk, callback: Callable[[Lease | LeaseRefusal], None]
    ) -> Callable[[], None]:
        leave = super().wait(name, ask, callback)
        if self.states[name] is ServerState.STOPPED:
            state = ServerState.READY if name == "ready" else ServerState.FAILED
            asyncio.get_running_loop().call_soon(self.one_becomes, name, state)
        return leave


class TestTheGatewaysStandIn(ModelServersContract):
    @asynccontextmanager
    async def stage(self):
        yield SelfStarting()

    async def let_pass(self, servers, seconds):
        servers.pass_s(seconds)


class TestThePool(ModelServersContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.home = tmp_path

    @asynccontextmanager
    async def stage(self):
        specs = (spec("ready", slots=2, max_queue=3), spec("refuses"))
        async with pool(self.home, Seen(), *specs) as servers:
            yield servers
