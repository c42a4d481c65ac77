"""Servers that end themselves: crashes of the kernel's own making, failed checks, words of an engine."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.core.deaths import Certificate, HostEvidence, KernelLine, Subject
from freehold.core.servers import LeaseRefusal, RestartRules, ServerState
from tests.deaths.stage import Stage, sees, text

LIKELY = 50
PROVEN = 90


async def dies(folder: Path, how: str, moment: str = "start", *flags: str, **changes: Any) -> Certificate:
    async with Stage(folder, "--die-after", moment, "--how", how, *flags, **changes) as stage:
        if moment.endswith("calls") or moment.startswith("in-call"):
            await stage.ready()
            await stage.call()
        return await stage.death()


async def test_a_segmentation_fault_in_a_call(tmp_path: Path) -> None:
    found = await dies(tmp_path, "segfault", "in-call-1")
    assert found.cause == "segfault", found
    assert found.confidence >= (PROVEN if sees(found, "signals") else LIKELY)
    assert len(found.in_flight) == 1


async def test_a_mapped_file_vanished_under_it(tmp_path: Path) -> None:
    found = await dies(tmp_path, "bus-error", "in-call-1")
    assert found.cause == "segfault" and found.confidence >= LIKELY, found
    assert "SIGBUS" in found.sentence


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no machine code for this one")
async def test_the_wrong_processor(tmp_path: Path) -> None:
    found = await dies(tmp_path, "illegal")
    assert found.cause == "cpu-unsupported" and found.confidence >= LIKELY, found


async def test_an_impossible_calculation(tmp_path: Path) -> None:
    found = await dies(tmp_path, "arithmetic", "1-calls")
    assert found.cause == "segfault" and "SIGFPE" in found.sentence, found


async def test_a_failed_check_names_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path, "--die-after", "2-calls", "--how", "assert", "--chatter", "12") as stage:
        await stage.ready()
        await stage.call()
        await stage.call()
        found = await stage.death()
    assert found.cause == "assert" and found.confidence >= PROVEN, found
    assert "ggml_can_mul_mat" in found.sentence


async def test_an_abort_without_a_word(tmp_path: Path) -> None:
    found = await dies(tmp_path, "abort", "1-calls")
    assert found.cause == "assert", found
    assert found.confidence >= LIKELY


async def test_gpu_memory_is_full(tmp_path: Path) -> None:
    found = await dies(tmp_path, "cuda-oom", "bind")
    assert found.cause == "gpu-oom" and found.confidence >= PROVEN, found
    assert "context" in found.next


async def test_gpu_words_alone_are_no_proof_of_a_fault(tmp_path: Path) -> None:
    found = await dies(tmp_path, "cuda-fault", "1-calls")
    assert found.cause == "gpu-fault" and LIKELY <= found.confidence < PROVEN, found


async def test_an_xid_in_its_own_output_is_nothing_but_words(tmp_path: Path) -> None:
    found = await dies(tmp_path, "xid-words", "1-calls")
    assert found.cause == "unknown" and found.confidence == 0, found


async def test_a_recorded_xid_that_names_it_is_proof(tmp_path: Path) -> None:
    def recorded(subject: Subject, seen: HostEvidence) -> HostEvidence:
        words = (
            f"NVRM: Xid (PCI:0000:01:00): 31, pid={subject.pid}, name=python3, Ch 00000008, intr 10000000."
        )
        line = KernelLine(at_ms=subject.started_ms + 1, text=words)
        return msgspec.structs.replace(seen, kernel=(*(seen.kernel or ()), line))

    found = await dies(tmp_path, "cuda-fault", "1-calls", alter=recorded)
    assert found.cause == "gpu-fault" and found.confidence >= PROVEN, found
    assert "Xid 31" in found.sentence and "bug" in found.next


async def test_a_riddle_stays_one_and_says_what_to_do(tmp_path: Path) -> None:
    found = await dies(tmp_path, "traceback", "1-calls")
    assert found.cause == "unknown" and "KeyError" in found.sentence, found
    assert found.next and found.proof


@pytest.mark.parametrize("moment", ["start", "bind", "ready"])
async def test_an_exit_code_without_a_word(tmp_path: Path, moment: str) -> None:
    found = await dies(tmp_path, "exit:3", moment)
    assert found.cause == "unknown" and "code 3" in found.sentence, found


@pytest.mark.slow
async def test_a_request_that_kills_twice_is_refused_the_third_time(tmp_path: Path) -> None:
    rules = RestartRules(tries=9, first_delay_s=0.01)
    async with Stage(tmp_path, "--poison", "BOOM", "--how", "segfault", restart=rules) as stage:
        for number in (1, 2):
            await stage.ready(number)
            await stage.call("please BOOM now")
            found = await stage.death(number)
            assert found.cause == "segfault"
        body = msgspec.json.encode(
            {"messages": [{"role": "user", "content": "please BOOM now"}], "stream": True}
        )
        assert found.in_flight == (hashlib.sha256(body).hexdigest(),)
        refused = await stage.lease(body)
        assert isinstance(refused, LeaseRefusal) and refused.code == "quarantined", refused
        await stage.ready(3)
        assert b"[DONE]" in await stage.call("something else")
        assert stage.pool.view("glm").state is ServerState.READY


async def test_its_mapped_model_is_cut_while_it_works(tmp_path: Path) -> None:
    from freehold.testing.tiny_model import model_path

    model = tmp_path / "model.gguf"
    model.write_bytes(model_path().read_bytes())
    async with Stage(tmp_path / "home", model=str(model)) as stage:
        await stage.ready()
        assert b"[DONE]" in await stage.call()
        with model.open("r+b") as file:
            file.truncate(model.stat().st_size // 2)
        await stage.call()
        found = await stage.death()
    assert found.cause == "bad-model" and found.confidence >= PROVEN, found
    assert "while it was in use" in found.sentence
    assert "SIGBUS" in text(found, "exit")
