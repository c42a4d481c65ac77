"""Leases on real processes: who gets a slot, who waits, who is refused, and what a death does to them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from freehold.core.servers import Lease, LeaseRefusal, ServerState
from tests.supervisor.pools import BOUND_S, Seen, ask, leased, pool, ready, spec, waited


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_all_who_wait_join_one_load_and_no_more_go_than_there_are_slots(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("slow", slots=2)) as servers:
        assert servers.lease("slow", ask()) is None
        assert servers.view("slow").state is ServerState.STOPPED
        futures = [asyncio.ensure_future(waited(servers, "slow", ask())) for _ in range(3)]
        first, second = [await future for future in futures[:2]]
        assert (servers.load("slow").in_flight, servers.load("slow").queued) == (2, 1)
        assert isinstance(first, Lease)
        assert first.base_url == servers.view("slow").base_url
        servers.release(first)
        assert isinstance(second, Lease)
        assert isinstance(await futures[2], Lease)
    assert seen.states("slow").count(ServerState.STARTING) == 1


async def test_a_free_slot_of_a_ready_server_is_taken_at_once(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        first = await leased(servers, "ready")
        assert servers.lease("ready", ask()) is None
        servers.release(first)
        second = servers.lease("ready", ask())
        assert isinstance(second, Lease)
        servers.release(second)
        servers.release(second)  # harmless
        assert servers.load("ready").in_flight == 0
        assert servers.load("ready").last_used_s is not None


async def test_calls_of_a_server_that_cannot_start_are_told_why(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("refuses")) as servers:
        refusal = await waited(servers, "refuses", ask())
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "failed"
        assert "I never start" in refusal.message
        at_once = servers.lease("refuses", ask())
        assert isinstance(at_once, LeaseRefusal)
        assert (await waited(servers, "refuses", ask())).code == "failed"  # type: ignore[union-attr]


async def test_waits_are_bounded_in_number_and_time(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1, max_queue=1)) as servers:
        held = await leased(servers, "ready")
        short = asyncio.ensure_future(waited(servers, "ready", ask(max_wait_s=0.05)))
        full = await waited(servers, "ready", ask())
        assert isinstance(full, LeaseRefusal)
        assert full.code == "queue_full"
        late = await short
        assert isinstance(late, LeaseRefusal)
        assert late.code == "waited_too_long"
        servers.release(held)


async def test_one_that_leaves_the_queue_is_never_called_and_holds_no_slot(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        held = await leased(servers, "ready")
        told: list[object] = []
        leave_in_time = servers.wait("ready", ask(), told.append)
        leave_late = servers.wait("ready", ask(), told.append)
        leave_in_time()
        servers.release(held)  # grants the slot to the other, who is not told yet
        leave_late()
        again = await leased(servers, "ready")
        assert told == []
        assert servers.load("ready").in_flight == 1
        servers.release(again)


async def test_a_queue_that_everybody_left_starts_nothing(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready")) as servers:
        servers.wait("ready", ask(), lambda _answer: None)()
        await seen.until("ready", ServerState.STOPPED)
        assert servers.view("ready").pid is None


async def test_leases_of_a_dead_server_are_forgotten_and_its_queue_waits_for_the_next_process(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        held = await leased(servers, "ready", b"the deadly question")
        waiting = asyncio.ensure_future(waited(servers, "ready", ask()))
        await asyncio.sleep(0)
        pid = servers.view("ready").pid
        assert pid is not None
        os.kill(pid, signal.SIGSEGV)
        lease = await waiting
        assert isinstance(lease, Lease)
        assert lease.base_url != held.base_url
        servers.release(held, failed=True)  # its caller sees the broken connection only now
        assert servers.load("ready").in_flight == 1
        assert seen.deaths[0].in_flight == (hashlib.sha256(b"the deadly question").hexdigest(),)
        servers.release(lease)


async def test_a_call_that_breaks_before_the_death_is_seen_stands_in_the_certificate(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready")) as servers:
        lease = await leased(servers, "ready", b"deadly")
        pid = servers.view("ready").pid
        assert pid is not None
        os.kill(pid, signal.SIGSEGV)
        servers.release(lease, failed=True)
        await seen.when(lambda: bool(seen.deaths))
        assert seen.deaths[0].in_flight == (hashlib.sha256(b"deadly").hexdigest(),)


async def test_a_request_under_way_at_two_deaths_is_refused_until_a_person_forgives(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready")) as servers:
        for times in (1, 2):
            await leased(servers, "ready", b"deadly")
            pid = servers.view("ready").pid
            assert pid is not None
            os.kill(pid, signal.SIGSEGV)
            await seen.when(lambda: len(seen.deaths) == times)  # noqa: B023
        refused = servers.lease("ready", ask(b"deadly"))
        assert isinstance(refused, LeaseRefusal)
        assert refused.code == "quarantined"
        assert (await waited(servers, "ready", ask(b"deadly"))).code == "quarantined"  # type: ignore[union-attr]
        servers.release(await leased(servers, "ready", b"harmless"))
        servers.start("ready")
        servers.release(await leased(servers, "ready", b"deadly"))


async def test_the_certificate_is_told_before_anything_follows(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("refuses")) as servers:
        servers.ensure_started("refuses")
        await ready(servers, "refuses")
        assert len(seen.deaths) == 2
        starts_and_ends = [
            one.state.value if hasattr(one, "state") else "death"
            for one in seen.order
            if not hasattr(one, "state") or one.state in ("starting", "failed")  # type: ignore[union-attr]
        ]
        assert [s for n, s in enumerate(starts_and_ends) if n == 0 or s != starts_and_ends[n - 1]] == [
            *("starting", "death", "starting", "death", "failed")
        ]
        assert servers.certificates("refuses") == tuple(reversed(seen.deaths))
        assert seen.deaths[-1].sentence in servers.view("refuses").detail


async def test_stopping_waits_for_calls_in_flight_and_refuses_those_that_wait(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        held = await leased(servers, "ready")
        waiting = asyncio.ensure_future(waited(servers, "ready", ask()))
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(servers.stop("ready", "for a walk"))
        draining = await seen.until("ready", ServerState.DRAINING)
        assert draining.detail == "for a walk"
        refusal = await waiting
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "stopped"
        servers.release(held)
        await asyncio.wait_for(stopping, BOUND_S)
        assert servers.view("ready").state is ServerState.STOPPED
        assert seen.deaths[0].cause == "asked-by-us"
        assert seen.deaths[0].ordered


async def test_a_drain_has_an_end(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", drain_timeout_s=0.05)) as servers:
        await leased(servers, "ready")
        async with asyncio.timeout(BOUND_S):
            await servers.stop("ready")
        assert servers.load("ready").in_flight == 0


async def test_calls_that_wait_stay_in_the_queue_over_a_restart(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        held = await leased(servers, "ready")
        waiting = asyncio.ensure_future(waited(servers, "ready", ask()))
        await asyncio.sleep(0)
        restarting = asyncio.ensure_future(servers.restart("ready"))
        await seen.until("ready", ServerState.DRAINING)
        servers.release(held)
        await asyncio.wait_for(restarting, BOUND_S)
        lease = await waiting
        assert isinstance(lease, Lease)
        assert lease.base_url != held.base_url
        servers.release(lease)
        assert servers.view("ready").restarts == 0  # nothing died


async def test_a_server_configured_otherwise_is_restarted_with_its_queue(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        held = await leased(servers, "ready")
        waiting = asyncio.ensure_future(waited(servers, "ready", ask()))
        await asyncio.sleep(0)
        replacing = asyncio.ensure_future(servers.replace(spec("ready", slots=3)))
        await seen.until("ready", ServerState.DRAINING)
        servers.release(held)
        await asyncio.wait_for(replacing, BOUND_S)
        assert isinstance(await waiting, Lease)
        assert servers.view("ready").slots == 3
        assert seen.states("ready").count(ServerState.STARTING) == 2


async def test_one_whose_life_alone_is_configured_otherwise_goes_on_running(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready")) as servers:
        servers.ensure_started("ready")
        pid = (await ready(servers, "ready")).pid
        await servers.replace(spec("ready", priority=10, pin=True))
        view = servers.view("ready")
        assert (view.pid, view.priority, view.pin) == (pid, 10, True)


async def test_a_removed_server_is_gone_with_its_process(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready")) as servers:
        lease = await leased(servers, "ready")
        servers.release(lease)
        pid = servers.view("ready").pid
        await servers.remove("ready")
        with pytest.raises(KeyError):
            servers.view("ready")
        assert pid is not None
        assert not psutil.pid_exists(pid)
        servers.release(lease)  # harmless


async def test_how_long_a_call_would_wait_is_known_from_the_second_load_on(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:
        assert servers.estimated_wait_s("ready") is None
        held = await leased(servers, "ready")
        servers.release(held)
        assert servers.estimated_wait_s("ready") == 0.0
        await servers.stop("ready")
        wait_s = servers.estimated_wait_s("ready")
        assert wait_s is not None
        assert wait_s > 0
    async with pool(tmp_path, seen, spec("ready", slots=1)) as servers:  # and over a restart of Freehold
        assert servers.estimated_wait_s("ready") == pytest.approx(wait_s)
