"""What the port `core.servers.ModelServers` promises, told as stories that every implementation must pass.

A subclass says in `stage` how its servers are had: `ready` (two slots, a queue of three) gets ready when it
is asked to run, `refuses` fails when it is.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ModelServers, ServerState

BOUND_S = 10.0


def ask(call: str = "call", caller: str = "caller", **said: Any) -> LeaseAsk:
    return LeaseAsk(call, caller, b"{}", **said)


class Waiting:
    """One call in a queue."""

    def __init__(self, servers: ModelServers, name: str, wanted: LeaseAsk) -> None:
        self.answers: list[Lease | LeaseRefusal] = []
        self._told = asyncio.Event()
        self.leave = servers.wait(name, wanted, self._tell)
        assert not self.answers, "told from within the call"

    def _tell(self, answer: Lease | LeaseRefusal) -> None:
        self.answers.append(answer)
        self._told.set()

    async def answer(self) -> Lease | LeaseRefusal:
        async with asyncio.timeout(BOUND_S):
            await self._told.wait()
        (answer,) = self.answers
        return answer

    async def lease(self) -> Lease:
        answer = await self.answer()
        assert isinstance(answer, Lease)
        return answer


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class ModelServersContract:
    """Subclass as `Test...` and fill `stage`."""

    def stage(self) -> AbstractAsyncContextManager[ModelServers]:
        raise NotImplementedError

    async def let_pass(self, servers: ModelServers, seconds: float) -> None:
        """At least so much time."""
        del servers
        await asyncio.sleep(seconds)

    @pytest.fixture
    async def servers(self):
        async with self.stage() as servers:
            yield servers

    async def two_slots(self, servers: ModelServers) -> tuple[Lease, Lease]:
        return await Waiting(servers, "ready", ask("1")).lease(), await Waiting(
            servers, "ready", ask("2")
        ).lease()

    async def test_a_name_that_nobody_has_is_a_key_error(self, servers):
        for asked in (servers.view, servers.load, servers.estimated_wait_s, servers.ensure_started):
            with pytest.raises(KeyError):
                asked("nobody")
        with pytest.raises(KeyError):
            servers.lease("nobody", ask())

    async def test_asking_for_a_slot_at_once_starts_nothing(self, servers):
        assert servers.lease("ready", ask()) is None
        await turns()
        assert servers.view("ready").state is ServerState.STOPPED

    async def test_waiting_starts_the_server_and_is_answered_with_a_slot(self, servers):
        lease = await Waiting(servers, "ready", ask("one", "somebody")).lease()
        assert (lease.server, lease.call_id, lease.caller) == ("ready", "one", "somebody")
        view = servers.view("ready")
        assert (view.state, view.base_url) == (ServerState.READY, lease.base_url)
        assert servers.load("ready").in_flight == 1
        servers.release(lease)
        assert servers.load("ready").in_flight == 0

    async def test_there_are_never_more_leases_than_slots(self, servers):
        first, second = await self.two_slots(servers)
        assert servers.lease("ready", ask("3")) is None
        waiting = Waiting(servers, "ready", ask("3"))
        await turns()
        assert waiting.answers == []
        servers.release(second)
        third = await waiting.lease()
        assert third.call_id == "3"
        assert servers.load("ready").in_flight == 2
        servers.release(first)
        servers.release(third)
        assert isinstance(servers.lease("ready", ask("4")), Lease)

    async def test_nobody_passes_those_who_wait(self, servers):
        first, _ = await self.two_slots(servers)
        waiting = Waiting(servers, "ready", ask("waits"))
        servers.release(first)
        taken = servers.lease("ready", ask("comes later"))
        assert (await waiting.lease()).call_id == "waits"
        assert taken is None

    async def test_callers_take_turns_and_a_smaller_priority_goes_first(self, servers):
        first, second = await self.two_slots(servers)
        order: list[str] = []
        wanted = (ask("a1", "a"), ask("a2", "a"), ask("urgent", "b", priority=1))
        waiting = [Waiting(servers, "ready", one) for one in wanted]
        servers.release(first)
        for _ in range(3):
            await asyncio.wait(
                [asyncio.ensure_future(one._told.wait()) for one in waiting], return_when="FIRST_COMPLETED"
            )
            (told,) = [one for one in waiting if one.answers]
            waiting.remove(told)
            lease = await told.lease()
            order.append(lease.call_id)
            servers.release(lease)
        assert order == ["urgent", "a1", "a2"]
        servers.release(second)

    async def test_who_left_the_queue_is_never_told_and_holds_no_slot(self, servers):
        first, _ = await self.two_slots(servers)
        left, stays = Waiting(servers, "ready", ask("left")), Waiting(servers, "ready", ask("stays"))
        left.leave()
        servers.release(first)
        assert (await stays.lease()).call_id == "stays"
        assert left.answers == []
        left.leave()

    async def test_who_leaves_between_its_turn_and_its_answer_holds_no_slot(self, servers):
        first, second = await self.two_slots(servers)
        left = Waiting(servers, "ready", ask("left"))
        servers.release(first)
        left.leave()
        await turns()
        assert left.answers == []
        servers.release(second)
        assert servers.load("ready").in_flight == 0

    async def test_the_queue_is_bounded(self, servers):
        await self.two_slots(servers)
        waiting = [Waiting(servers, "ready", ask(str(number))) for number in range(4)]
        refusal = await waiting[-1].answer()
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "queue_full"
        assert [one.answers for one in waiting[:-1]] == [[], [], []]
        assert servers.load("ready").queued == 3

    async def test_a_wait_is_as_long_as_the_call_says(self, servers):
        first, _ = await self.two_slots(servers)
        short, long = Waiting(servers, "ready", ask(max_wait_s=0.05)), Waiting(servers, "ready", ask())
        await self.let_pass(servers, 0.06)
        refusal = await short.answer()
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "waited_too_long"
        assert long.answers == []
        servers.release(first)
        await long.lease()

    async def test_a_server_that_cannot_run_says_so_to_all(self, servers):
        waiting = [Waiting(servers, "refuses", ask(str(number))) for number in range(3)]
        for one in waiting:
            refusal = await one.answer()
            assert isinstance(refusal, LeaseRefusal)
            assert refusal.code == "failed"
            assert "refuses" in refusal.message
        assert servers.view("refuses").state is ServerState.FAILED
        at_once = servers.lease("refuses", ask())
        assert isinstance(at_once, LeaseRefusal)
        later = await Waiting(servers, "refuses", ask()).answer()
        assert isinstance(later, LeaseRefusal)

    async def test_a_wait_is_expected_only_where_there_is_one(self, servers):
        first, second = await self.two_slots(servers)
        servers.release(first)
        assert servers.estimated_wait_s("ready") == 0.0
        servers.release(second)

    async def test_who_waits_for_the_state_is_told_once_and_later(self, servers):
        views: list[Any] = []
        servers.when_ready("ready", views.append)
        servers.when_ready("ready", views.append)()
        servers.ensure_started("ready")
        await Waiting(servers, "ready", ask()).lease()
        await turns()
        assert [view.state for view in views] == [ServerState.READY]
