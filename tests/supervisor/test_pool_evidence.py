"""What the machine is asked when a server ends, in which order, and what happens when it does not answer."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from freehold.core.deaths import HostEvidence, Observation, Subject
from freehold.core.servers import ServerState
from tests.supervisor.pools import Seen, pool, ready, spec


class RecordingHost:
    """Witness and cages that write down what they are asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.subjects: list[Subject] = []
        self.answering = threading.Event()
        self.answering.set()

    # Witness, and its one Observation

    def watch(self, subject: Subject) -> Observation:
        self.subjects.append(subject)
        self.calls.append("watch")
        return self

    def collect(self) -> HostEvidence:
        self.answering.wait(10)
        self.calls.append("collect")
        return HostEvidence(ram_free_bytes=1)

    def close(self) -> None:
        self.calls.append("close")

    # Cages

    def make(self, server: str, ram_limit_bytes: int | None) -> tuple[str, ...]:
        self.calls.append(f"make {server} {ram_limit_bytes}")
        return ()

    def kill(self, server: str) -> bool:
        self.calls.append(f"kill {server}")
        return True

    def remove(self, server: str) -> None:
        self.calls.append(f"remove {server}")


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_evidence_is_collected_before_the_cage_goes_and_before_the_next_start(
    tmp_path: Path, seen: Seen
) -> None:
    host = RecordingHost()
    caged = spec("ready", ram_limit_bytes=2**30)
    async with pool(tmp_path, seen, caged, witness=host, cages=host) as servers:
        servers.ensure_started("ready")
        first = await ready(servers, "ready")
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await seen.until("ready", ServerState.READY, times=2)
        once = [f"make ready {2**30}", "watch", "collect", "kill ready", "remove ready", "close"]
        assert host.calls == [*once, *once[:2]]
        subject = host.subjects[0]
        assert (subject.server, subject.pid, subject.cage) == ("ready", first.pid, "ready")
        assert first.base_url is not None
        assert first.base_url.endswith(f":{subject.port}")


async def test_an_end_that_we_ordered_needs_no_evidence(tmp_path: Path, seen: Seen) -> None:
    host = RecordingHost()
    async with pool(tmp_path, seen, spec("ready"), witness=host) as servers:
        servers.ensure_started("ready")
        await ready(servers, "ready")
    assert host.calls == ["watch", "close"]
    assert seen.deaths[0].cause == "asked-by-us"


async def test_a_machine_that_does_not_tell_in_time_delays_no_restart(tmp_path: Path, seen: Seen) -> None:
    host = RecordingHost()
    host.answering.clear()
    async with pool(tmp_path, seen, spec("ready"), witness=host, evidence_s=0.05) as servers:
        servers.ensure_started("ready")
        first = await ready(servers, "ready")
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await seen.until("ready", ServerState.READY, times=2)
        assert seen.deaths[0].pid == first.pid
        host.answering.set()


async def test_an_engine_that_loads_with_the_first_call_is_ready_after_it(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("lazy")) as servers:
        servers.ensure_started("lazy")
        assert (await ready(servers, "lazy")).state is ServerState.READY
    assert seen.states("lazy")[:3] == [ServerState.STARTING, ServerState.LOADING, ServerState.READY]


async def test_one_that_cannot_load_with_its_first_call_fails_with_the_reason_it_gave(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("lazy-broken")) as servers:
        servers.ensure_started("lazy-broken")
        view = await ready(servers, "lazy-broken")
        assert view.state is ServerState.FAILED
        assert "did not load the model: no such model" in view.detail
