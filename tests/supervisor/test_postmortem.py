"""Every cause is found from the evidence that is there, and no more is claimed than it proves."""

from __future__ import annotations

import signal
from typing import Any

import msgspec
import pytest

from freehold.core.deaths import (
    Certificate,
    CgroupDelta,
    DeathFacts,
    DiskSeen,
    ExitFacts,
    HostEvidence,
    KernelLine,
    ModelSeen,
    Order,
    PortOwner,
    SignalSeen,
)
from freehold.supervisor.postmortem import certify

PID = 4242
START_MS = 1_790_000_000_000
DIED_MS = START_MS + 90_000
MIB = 1024**2

MEMCG_LINES = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/freehold/glm,"
    f"task_memcg=/freehold/glm,task=llama-server,pid={PID},uid=1000",
    f"Memory cgroup out of memory: Killed process {PID} (llama-server) total-vm:912340kB, anon-rss:61200kB, "
    "file-rss:12kB, shmem-rss:0kB, UID:1000 pgtables:320kB oom_score_adj:0",
)
GLOBAL_LINES = (
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    f"task_memcg=/user.slice,task=llama-server,pid={PID},uid=1000",
    f"Out of memory: Killed process {PID} (llama-server) total-vm:99912340kB, anon-rss:60001200kB",
)
SEGFAULT = f"llama-server[{PID}]: segfault at 0 ip 00007f3 sp 00007ffd error 4 in libggml-base.so[7f3a0+9000]"
TRAP = f"traps: llama-server[{PID}] trap invalid opcode ip:55d4 sp:7ffd error:0 in libggml-cpu.so[55d0+4000]"
XID = f"NVRM: Xid (PCI:0000:01:00): 79, pid={PID}, name=llama-server, GPU has fallen off the bus."


def facts(
    how: int | signal.Signals, *lines: str, ready: bool = True, host: HostEvidence | None = None, **more: Any
) -> DeathFacts:
    """`how`: a signal, or an exit code as a plain number."""
    by_signal = isinstance(how, signal.Signals)
    end = ExitFacts(
        signal=int(how) if by_signal else None, code=None if by_signal else int(how), died_ms=DIED_MS
    )
    known: dict[str, Any] = {
        "server": "glm",
        "engine": "llama.cpp",
        "program": "llama-server",
        "pid": PID,
        "started_ms": START_MS,
        "was_ready": ready,
        "ready_ms": START_MS + 2_000 if ready else None,
        "exit": end,
        "last_lines": lines,
        "host": host or HostEvidence(),
    }
    return DeathFacts(**(known | more))


def kernel(*lines: str, at_ms: int = DIED_MS - 20, **more: Any) -> HostEvidence:
    return HostEvidence(kernel=tuple(KernelLine(at_ms=at_ms, text=line) for line in lines), **more)


def sent(number: int, comm: str, *, ago_ms: int = 30, pid: int = 999, kernel: bool = False) -> SignalSeen:
    return SignalSeen(
        at_ms=DIED_MS - ago_ms, signal=number, sender_pid=pid, sender_comm=comm, from_kernel=kernel
    )


def ordered(number: int = signal.SIGTERM, *, ago_ms: int = 40, reason: str = "idle for 15 min") -> Order:
    return Order(at_ms=DIED_MS - ago_ms, signal=number, reason=reason)


def seen(*senders: SignalSeen, **more: Any) -> HostEvidence:
    return HostEvidence(senders=senders, **more)


FULL = CgroupDelta(oom=3, oom_kill=1, at_limit=36, peak_bytes=60 * MIB, limit_bytes=60 * MIB)
NOTHING = CgroupDelta(peak_bytes=30 * MIB, limit_bytes=60 * MIB)
KILL, TERM, HUP, ABRT = signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT
SEGV, BUS, ILL, XCPU = signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGXCPU
CUT = ModelSeen(path="/m/glm.gguf", size_bytes=10 * MIB, expected_bytes=40 * MIB)
NO_ROOM = DiskSeen(path="/cache", free_bytes=0, total_bytes=4 * MIB)
PROVEN, LIKELY = range(90, 101), range(50, 90)

CASES: dict[str, tuple[DeathFacts, str, range]] = {
    "cgroup counter and SIGKILL": (facts(KILL, host=HostEvidence(cgroup=FULL)), "oom-cgroup", PROVEN),
    "cgroup counter, and its keeper swept up the rest before anyone watched": (
        facts(KILL, host=HostEvidence(cgroup=FULL, senders=(sent(9, "freehold-keeper"),))),
        "oom-cgroup",
        PROVEN,
    ),
    "cgroup by the kernel's line": (facts(KILL, host=kernel(*MEMCG_LINES)), "oom-cgroup", PROVEN),
    "cgroup shared with others": (
        facts(KILL, host=HostEvidence(cgroup=msgspec.structs.replace(FULL, shared=True))),
        "oom-cgroup",
        LIKELY,
    ),
    "cgroup shared, but the kernel was seen": (
        facts(KILL, host=seen(sent(9, "", kernel=True), cgroup=msgspec.structs.replace(FULL, shared=True))),
        "oom-cgroup",
        PROVEN,
    ),
    "a child of it was killed for memory": (
        facts(1, "worker died", host=HostEvidence(cgroup=FULL)),
        "oom-cgroup",
        LIKELY,
    ),
    "killed from above its own group": (
        facts(KILL, host=HostEvidence(cgroup=CgroupDelta(oom_kill=1, limit_bytes=60 * MIB))),
        "oom-global",
        LIKELY,
    ),
    "the machine's memory": (facts(KILL, host=kernel(*GLOBAL_LINES)), "oom-global", PROVEN),
    "the machine's memory, in a container": (
        facts(KILL, host=kernel(*(line.replace(str(PID), "77") for line in GLOBAL_LINES))),
        "oom-global",
        LIKELY,
    ),
    "memory refused": (facts(1, "std::bad_alloc", ready=False), "oom-global", LIKELY),
    "earlyoom seen sending": (facts(TERM, host=seen(sent(15, "earlyoom"))), "userspace-oom", PROVEN),
    "systemd-oomd by its journal": (
        facts(KILL, host=HostEvidence(userspace_oom=(f"Killed /user.slice/glm, pid {PID}",))),
        "userspace-oom",
        PROVEN,
    ),
    "kill -9 by a stranger": (facts(KILL, host=seen(sent(9, "bash"))), "killed-by", PROVEN),
    "SIGTERM by a stranger, answered well": (facts(0, host=seen(sent(15, "systemd"))), "killed-by", PROVEN),
    "SIGTERM by nobody seen": (facts(TERM), "killed-by", LIKELY),
    "SIGKILL, everything looked at": (
        facts(KILL, host=kernel(cgroup=NOTHING)),
        "killed-by",
        LIKELY,
    ),
    "soft limit of processor time": (facts(XCPU, host=seen(sent(24, "", kernel=True))), "killed-by", PROVEN),
    "hard limit of processor time": (facts(KILL, host=seen(sent(9, "", kernel=True))), "killed-by", LIKELY),
    "a clean end nobody asked for": (
        facts(0, "srv operator(): cleaning up before exit..."),
        "killed-by",
        LIKELY,
    ),
    "the terminal was closed": (facts(HUP), "hangup", PROVEN),
    "SIGHUP told by a shell": (facts(129), "hangup", LIKELY),
    "GGML_ASSERT": (facts(ABRT, "ggml.c:3085: GGML_ASSERT(a != NULL) failed"), "assert", PROVEN),
    "abort without a word": (facts(ABRT), "assert", LIKELY),
    "abort, seen from itself": (facts(ABRT, host=seen(sent(6, "llama-server", pid=PID))), "assert", PROVEN),
    "an uncaught C++ exception": (
        facts(ABRT, "terminate called after throwing an instance of 'std::runtime_error'"),
        "assert",
        PROVEN,
    ),
    "kill -ABRT by a stranger": (facts(ABRT, host=seen(sent(6, "bash"))), "killed-by", PROVEN),
    "CUDA out of memory at load": (
        facts(1, "cudaMalloc failed: out of memory", "failed to load model", ready=False),
        "gpu-oom",
        PROVEN,
    ),
    "PyTorch out of memory": (
        facts(1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"),
        "gpu-oom",
        PROVEN,
    ),
    "vLLM finds no room for its cache": (
        facts(1, "ValueError: No available memory for the cache blocks. Try ...", ready=False),
        "gpu-oom",
        PROVEN,
    ),
    "an Xid with its pid": (facts(ABRT, host=kernel(XID)), "gpu-fault", PROVEN),
    "an Xid and the engine's words": (
        facts(
            ABRT,
            "CUDA error: unspecified launch failure",
            host=kernel("NVRM: Xid (PCI:0000:01:00): 62, 2dd8 00000000"),
        ),
        "gpu-fault",
        PROVEN,
    ),
    "the engine's words alone": (
        facts(ABRT, "CUDA error: an illegal memory access was encountered"),
        "gpu-fault",
        LIKELY,
    ),
    "amdgpu hangs": (
        facts(ABRT, "HIP error: unspecified launch failure", host=kernel("amdgpu: ring comp_1.0.0 timeout")),
        "gpu-fault",
        PROVEN,
    ),
    "an Xid of another process": (
        facts(1, "KeyError: 'x'", host=kernel(XID.replace(f"pid={PID}", "pid=1"))),
        "unknown",
        range(1),
    ),
    "Xid only in its own output": (
        facts(1, "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."),
        "unknown",
        range(1),
    ),
    "a crash the kernel noted": (facts(SEGV, host=kernel(SEGFAULT)), "segfault", PROVEN),
    "a crash seen as the kernel's signal": (
        facts(SEGV, host=seen(sent(11, "", kernel=True))),
        "segfault",
        PROVEN,
    ),
    "a crash": (facts(SEGV), "segfault", LIKELY),
    "kill -SEGV by a stranger": (facts(SEGV, host=seen(sent(11, "bash"))), "killed-by", PROVEN),
    "broken memory": (
        facts(
            BUS,
            host=kernel(f"Memory failure: 0x1: Killing llama-server:{PID} due to hardware memory corruption"),
        ),
        "segfault",
        PROVEN,
    ),
    "port taken, owner known": (
        facts(
            1,
            "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080",
            ready=False,
            host=HostEvidence(port_owner=PortOwner(port=8080, pid=7, command="python -m http.server")),
        ),
        "port-taken",
        PROVEN,
    ),
    "port taken, in Python's words": (
        facts(1, "OSError: [Errno 98] error while attempting to bind: address already in use", ready=False),
        "port-taken",
        LIKELY,
    ),
    "a library is missing": (
        facts(127, "x: error while loading shared libraries: libfoo.so.1: cannot open shared", ready=False),
        "missing-library",
        PROVEN,
    ),
    "a module is missing": (
        facts(1, "ModuleNotFoundError: No module named 'vllm'", ready=False),
        "missing-library",
        PROVEN,
    ),
    "no such program": (
        facts(127, "cannot run llama-server: No such file or directory", ready=False),
        "missing-library",
        PROVEN,
    ),
    "not executable": (
        facts(126, "cannot run /opt/llama-server: Permission denied", ready=False),
        "missing-library",
        PROVEN,
    ),
    "127 without a word": (facts(127, ready=False), "missing-library", LIKELY),
    "a cut model, by its header": (
        facts(
            1,
            "llama_model_load_from_file_impl: failed to load model",
            ready=False,
            host=HostEvidence(model=CUT),
        ),
        "bad-model",
        PROVEN,
    ),
    "a model cut while it was mapped": (facts(BUS, host=HostEvidence(model=CUT)), "bad-model", PROVEN),
    "no GGUF": (
        facts(1, "gguf_init_from_file_impl: invalid magic characters: '<!DO', expected 'GGUF'", ready=False),
        "bad-model",
        PROVEN,
    ),
    "an unknown architecture": (
        facts(1, "error loading model: unknown model architecture: 'brandnew'", ready=False),
        "bad-model",
        PROVEN,
    ),
    "an unknown flag": (facts(1, "error: invalid argument: --frob", ready=False), "bad-flag", PROVEN),
    "argparse": (facts(2, "serve: error: unrecognized arguments: --frob", ready=False), "bad-flag", PROVEN),
    "no space, and no space indeed": (
        facts(1, "write failed: No space left on device", host=HostEvidence(disks=(NO_ROOM,))),
        "disk-full",
        PROVEN,
    ),
    "no space, in its words": (facts(1, "write failed: No space left on device"), "disk-full", LIKELY),
    "the wrong processor": (facts(ILL, ready=False, host=kernel(TRAP)), "cpu-unsupported", PROVEN),
    "SIGILL after an hour of work": (facts(ILL), "cpu-unsupported", LIKELY),
    "hung, and ended by us": (
        facts(KILL, hung="3 probes without an answer", orders=(ordered(9, reason="hung"),)),
        "hung",
        PROVEN,
    ),
    "its keeper was killed": (
        facts(0, exit=ExitFacts(died_ms=DIED_MS, keeper_lost=True)),
        "parent-died",
        LIKELY,
    ),
    "its keeper's death was seen": (
        facts(
            0,
            exit=ExitFacts(died_ms=DIED_MS, keeper_lost=True),
            host=seen(sent(9, "python3.11")),
        ),
        "parent-died",
        PROVEN,
    ),
    "its keeper was told to end": (
        facts(0, orders=(ordered(reason="its keeper was told to end (SIGTERM)"),)),
        "parent-died",
        PROVEN,
    ),
    "asked by us": (facts(0, orders=(ordered(),)), "asked-by-us", PROVEN),
    "asked by us, and we were seen": (
        facts(TERM, orders=(ordered(),), host=seen(sent(15, "freehold"))),
        "asked-by-us",
        PROVEN,
    ),
    "asked by us, and it crashed over it": (
        facts(SEGV, orders=(ordered(),), host=kernel(SEGFAULT)),
        "asked-by-us",
        LIKELY,
    ),
    "another signal came before ours": (
        facts(TERM, orders=(ordered(ago_ms=500),), host=seen(sent(15, "pkill", ago_ms=5_000))),
        "killed-by",
        LIKELY,
    ),
    "the machine was restarted": (
        facts(0, exit=ExitFacts(died_ms=DIED_MS, keeper_lost=True), host=HostEvidence(rebooted=True)),
        "host-reboot",
        PROVEN,
    ),
    "code 1 and nothing else": (facts(1), "unknown", range(1)),
    "SIGKILL and nobody could look": (facts(KILL), "unknown", range(1)),
    "a riddle of its author's": (facts(1, "KeyError: 'rope_scaling'", ready=False), "unknown", range(1)),
    "old words, other end": (
        facts(KILL, "CUDA error: out of memory", "error: invalid argument: x"),
        "unknown",
        range(1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_the_one_that_the_evidence_tells(name: str) -> None:
    death, cause, confidence = CASES[name]
    found = certify(death)
    told = f"{found.cause} ({found.confidence}): {found.sentence}; others: {found.others}"
    assert found.cause == cause, told
    assert found.confidence in confidence, told
    assert found.sentence.endswith((".", "…")) or found.cause == "unknown"
    assert found.next
    assert bool(found.proof) == (found.confidence < 90 and found.cause != "asked-by-us"), told
    assert found.ordered == (found.cause == "asked-by-us")
    assert "{" not in found.sentence + found.next


def sentence(*arguments: Any, **more: Any) -> str:
    return certify(facts(*arguments, **more)).sentence


def test_sentences_name_what_a_tired_person_needs() -> None:
    assert sentence(KILL, host=HostEvidence(cgroup=FULL)) == (
        "Killed by the kernel: its memory group reached 60 MiB."
    )
    assert sentence(KILL, host=seen(sent(9, "bash"))) == "SIGKILL sent by bash (pid 999) ended it."
    assert "--frob" in sentence(1, "error: invalid argument: --frob", ready=False)
    assert "libfoo.so.1" in sentence(
        127, "x: error while loading shared libraries: libfoo.so.1: cannot open", ready=False
    )
    assert "10 MiB of 40 MiB" in sentence(
        1, "failed to load model", ready=False, host=HostEvidence(model=CUT)
    )
    assert "Xid 79" in sentence(ABRT, host=kernel(XID))
    assert "KeyError" in sentence(1, "KeyError: 'rope_scaling'")
    assert "idle for 15 min" in sentence(0, orders=(ordered(),))
    assert "libggml-base.so" in sentence(SEGV, host=kernel(SEGFAULT))


def test_what_could_not_be_looked_at_is_told_and_would_prove_it() -> None:
    blind = HostEvidence(blind={"signals": "needs root or CAP_PERFMON"})
    found = certify(facts(1, host=blind))
    assert found.cause == "unknown"
    assert "CAP_PERFMON" in found.proof
    assert any(clue.source == "not seen" for clue in found.evidence)


def test_evidence_tells_the_life_the_end_and_the_last_words() -> None:
    found = certify(facts(SEGV, "slot 1 | processing", in_flight=("aa" * 32,), host=kernel(SEGFAULT)))
    texts = {clue.source: clue.text for clue in found.evidence}
    assert texts["kernel log"] == SEGFAULT
    assert texts["output"] == "slot 1 | processing"
    assert texts["life"] == "ready after 2.0 s, died after 90 s"
    assert texts["calls"] == "1 call in flight"
    assert found.in_flight == ("aa" * 32,)


def test_start_errors_are_no_cause_once_it_was_ready() -> None:
    assert certify(facts(1, "error: invalid argument: --frob", ready=True)).cause == "unknown"


def test_words_long_before_the_end_weigh_less() -> None:
    talk = tuple(f"slot {number}" for number in range(40))
    near = certify(facts(1, *talk, "write failed: No space left on device"))
    far = certify(facts(1, "write failed: No space left on device", *talk))
    assert near.cause == far.cause == "disk-full"
    assert far.confidence < near.confidence


def test_two_proofs_that_contradict_each_other_prove_nothing() -> None:
    both = HostEvidence(cgroup=FULL, senders=(sent(9, "bash"),))
    found: Certificate = certify(facts(KILL, host=both))
    assert found.cause == "killed-by" and found.others[0].startswith("oom-cgroup")
    shaken = certify(facts(ABRT, "ggml.c:1: GGML_ASSERT(x) failed", host=kernel(XID)))
    assert shaken.cause == "gpu-fault" and shaken.confidence < 90
