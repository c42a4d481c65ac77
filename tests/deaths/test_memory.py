"""Servers that want more memory than there is: real limits where we may set some, else recorded lines."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from freehold.core.deaths import Certificate, CgroupDelta, HostEvidence, KernelLine, Subject
from tests.deaths.stage import Alteration, Stage, sees, stranger

MIB = 1024**2
LIMIT = 80 * MIB
PROVEN = 90


def caged(stage: Stage) -> None:
    """Skips where this machine lets us make no cgroup."""
    if stage.cages.folder("glm") is None:
        pytest.skip(stage.cages.blind or "no memory cgroups here")


@pytest.mark.parametrize(
    "flags",
    [("--die-after", "1-calls", "--how", "oom:4096"), ("--load-mib", "4096")],
    ids=["in a call", "while it loads"],
)
async def test_the_kernel_kills_it_at_its_limit(tmp_path: Path, flags: tuple[str, ...]) -> None:
    async with Stage(tmp_path, *flags, ram_limit_bytes=LIMIT) as stage:
        await stage.pid()
        caged(stage)
        if "--how" in flags:
            await stage.ready()
            await stage.call()
        found = await stage.death()
    assert found.cause == "oom-cgroup" and found.confidence >= PROVEN, found
    assert "80 MiB" in found.sentence and "servers.glm.memory" in found.next


async def test_a_stranger_kills_what_has_a_limit_and_it_is_not_taken_for_memory(tmp_path: Path) -> None:
    async with Stage(tmp_path, ram_limit_bytes=LIMIT) as stage:
        await stage.ready()
        caged(stage)
        await stranger(f"kill -KILL {await stage.pid()}")
        found = await stage.death()
    assert not found.cause.startswith("oom"), found
    assert found.cause == "killed-by" or not sees(found, "signals")


async def recorded(folder: Path, change: Alteration, *flags: str) -> Certificate:
    """It is killed for real; the machine's words about it were recorded elsewhere."""
    async with Stage(folder, *flags, alter=change) as stage:
        await stage.ready()
        await stage.call()
        return await stage.death()


KILLED = ("--die-after", "1-calls", "--how", "kill")


async def test_the_whole_machine_was_full(tmp_path: Path) -> None:
    def full(subject: Subject, seen: HostEvidence) -> HostEvidence:
        texts = (
            "python3 invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0",
            "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
            f"task_memcg=/user.slice,task=python3,pid={subject.pid},uid=1000",
            f"Out of memory: Killed process {subject.pid} (python3) total-vm:9123040kB, anon-rss:8012344kB",
        )
        lines = tuple(KernelLine(at_ms=subject.started_ms + 5, text=text) for text in texts)
        return msgspec.structs.replace(seen, kernel=lines, senders=None)

    found = await recorded(tmp_path, full, *KILLED)
    assert found.cause == "oom-global" and found.confidence >= PROVEN, found
    assert "7.6 GiB" in found.sentence


async def test_a_memory_guard_was_at_work(tmp_path: Path) -> None:
    def guarded(subject: Subject, seen: HostEvidence) -> HostEvidence:
        line = f'earlyoom[512]: sending SIGKILL to process {subject.pid} uid 1000 "python3": badness 801'
        return msgspec.structs.replace(
            seen, userspace_oom=(line,), senders=None, memory_pressure_avg10=61.0, cgroup=None
        )

    found = await recorded(tmp_path, guarded, *KILLED)
    assert found.cause == "userspace-oom" and found.confidence >= PROVEN, found


async def test_a_cgroup_that_others_share_does_not_prove_it(tmp_path: Path) -> None:
    def shared(subject: Subject, seen: HostEvidence) -> HostEvidence:
        delta = CgroupDelta(oom=1, oom_kill=1, at_limit=4, limit_bytes=LIMIT, shared=True)
        return msgspec.structs.replace(seen, cgroup=delta, senders=None, kernel=())

    found = await recorded(tmp_path, shared, *KILLED)
    assert found.cause == "oom-cgroup" and 50 <= found.confidence < PROVEN, found


async def test_a_sigkill_that_nobody_could_see_is_not_explained(tmp_path: Path) -> None:
    def blind(subject: Subject, seen: HostEvidence) -> HostEvidence:
        return HostEvidence(blind={"signals": "not as this user", "kernel log": "not as this user"})

    found = await recorded(tmp_path, blind, *KILLED)
    assert found.cause == "unknown" and "signals" in found.proof, found


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
async def test_the_machine_was_restarted_meanwhile(tmp_path: Path) -> None:
    def rebooted(subject: Subject, seen: HostEvidence) -> HostEvidence:
        return msgspec.structs.replace(seen, rebooted=True, changes=("another boot",), senders=None)

    found = await recorded(tmp_path, rebooted, *KILLED)
    assert found.cause == "host-reboot", found
    assert 50 <= found.confidence < PROVEN
