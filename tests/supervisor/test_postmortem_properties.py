"""Whatever is known of a death, the verdict keeps its promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.deaths import (
    Cause,
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
    ProbeSeen,
    SignalSeen,
)
from freehold.core.memory import MemoryUse
from freehold.supervisor.postmortem import certify
from freehold.supervisor.postmortem.markers import MARKERS
from tests.growth import LINEAR, cpu_s, growth
from tests.supervisor.test_postmortem import CASES, DIED_MS, PID, PROVEN, SEGFAULT, START_MS, XID
from tests.supervisor.test_postmortem import GLOBAL_LINES as GLOBAL
from tests.supervisor.test_postmortem import MEMCG_LINES as MEMCG

times = st.integers(START_MS, DIED_MS + 5_000) | st.just(0)
signals = st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9, 11, 15, 24, 31]) | st.integers(1, 64)
codes = st.sampled_from([0, 1, 2, 126, 127, 129, 137, 139]) | st.integers(0, 255)
pids = st.sampled_from([PID, 1, 999])
WORDS = (
    "GGML_ASSERT(x) failed", "CUDA error: out of memory", "error: invalid argument: --x",
    "couldn't bind HTTP server socket", "failed to load model", "No space left on device",
    "x: error while loading shared libraries: liba.so: cannot", "NVRM: Xid (PCI:0): 79, lost",
    "CUDA error: unspecified launch failure", "cleaning up before exit", "std::bad_alloc",
    "cannot run x: No such file or directory", "Illegal instruction",
)  # fmt: skip
lines = st.lists(st.sampled_from(WORDS) | st.text(max_size=40), max_size=12).map(tuple)
kernel_texts = st.sampled_from([*MEMCG, *GLOBAL, SEGFAULT, XID, "usb 1-1: reset"]) | st.text(max_size=80)
counts = st.integers(0, 3)
sizes = st.none() | st.integers(0, 2**40)
exits = (
    st.builds(ExitFacts, code=codes, died_ms=times)
    | st.builds(
        ExitFacts, signal=signals, died_ms=times, core_dumped=st.booleans(), cpu_s=st.none() | st.just(2.5)
    )
    | st.builds(ExitFacts, keeper_lost=st.just(True), died_ms=times)
    | st.builds(ExitFacts)
)
senders = st.builds(
    SignalSeen,
    at_ms=times,
    signal=signals,
    sender_pid=pids,
    sender_comm=st.sampled_from(["bash", "earlyoom", "python3.11", ""]),
    from_kernel=st.booleans(),
)

hosts = st.builds(
    HostEvidence,
    senders=st.none() | st.lists(senders, max_size=3).map(tuple),
    cgroup=st.none()
    | st.builds(
        CgroupDelta,
        oom=counts,
        oom_kill=counts,
        at_limit=counts,
        peak_bytes=sizes,
        limit_bytes=sizes,
        shared=st.booleans(),
    ),
    kernel=st.none() | st.lists(st.builds(KernelLine, at_ms=times, text=kernel_texts), max_size=4).map(tuple),
    userspace_oom=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    memory_pressure_avg10=st.none() | st.floats(0, 100),
    port_owner=st.none() | st.builds(PortOwner, port=st.just(80), pid=st.none() | pids, command=st.none()),
    disks=st.lists(
        st.builds(DiskSeen, path=st.just("/x"), free_bytes=st.integers(0, 2**40), total_bytes=st.just(2**41)),
        max_size=2,
    ).map(tuple),
    model=st.none()
    | st.builds(ModelSeen, path=st.just("/m"), exists=st.booleans(), size_bytes=sizes, expected_bytes=sizes),
    rebooted=st.booleans(),
    blind=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=2),
)
orders = st.builds(Order, at_ms=times, signal=signals, reason=st.text(max_size=10))
deaths = st.builds(
    DeathFacts,
    server=st.just("glm"),
    engine=st.just("llama.cpp"),
    pid=st.none() | pids,
    started_ms=st.just(START_MS),
    was_ready=st.booleans(),
    ready_ms=st.none() | times,
    exit=exits,
    orders=st.lists(orders, max_size=2).map(tuple),
    hung=st.sampled_from(["", "", "3 probes without an answer"]),
    last_lines=lines,
    memory=st.lists(
        st.builds(MemoryUse, at_ms=times, anon_bytes=st.integers(0, 2**40), rss_bytes=counts), max_size=3
    ).map(tuple),
    in_flight=st.lists(st.just("ab" * 32), max_size=2).map(tuple),
    host=hosts,
)


def check_promises(found: Certificate, death: DeathFacts) -> None:
    assert found.cause in get_args(Cause)
    assert 0 <= found.confidence <= 99
    assert isinstance(found.confidence, int)
    assert found.sentence and found.next
    assert found.cause != "unknown" or found.confidence == 0
    assert found.cause == "unknown" or found.confidence > 20
    assert found.confidence >= 90 or found.proof or found.cause == "asked-by-us"
    assert len(found.evidence) <= 40
    assert all(len(clue.text) <= 400 for clue in found.evidence)
    assert found.server == death.server and found.in_flight == death.in_flight
    assert msgspec.json.decode(msgspec.json.encode(found), type=Certificate) == found


@given(deaths)
def test_any_facts_lead_to_a_certificate(death: DeathFacts) -> None:
    check_promises(certify(death), death)


@given(deaths, orders)
def test_our_own_order_is_the_cause_unless_another_signal_came_first(death: DeathFacts, order: Order) -> None:
    first_ms = min((seen.at_ms for seen in death.host.senders or ()), default=DIED_MS)
    died = msgspec.structs.replace(death.exit, died_ms=DIED_MS)
    order = msgspec.structs.replace(order, at_ms=min(first_ms, DIED_MS))
    found = certify(msgspec.structs.replace(death, exit=died, orders=(order,), hung=""))
    assert found.cause == "asked-by-us" and found.ordered


@given(deaths)
def test_without_hard_evidence_nothing_is_proven(death: DeathFacts) -> None:
    bare = msgspec.structs.replace(death, host=HostEvidence(), orders=(), hung="", last_lines=())
    found = certify(bare)
    assert found.confidence < 90 or (found.cause == "hangup" and death.exit.signal == 1)


@given(deaths, st.sampled_from([9, 15, 2, 10]))
def test_words_are_never_the_cause_when_a_stranger_was_seen_to_kill(death: DeathFacts, number: int) -> None:
    seen = SignalSeen(at_ms=DIED_MS - 10, signal=number, sender_pid=77, sender_comm="bash")
    told = msgspec.structs.replace(
        death,
        exit=ExitFacts(signal=number, died_ms=DIED_MS),
        orders=(),
        hung="",
        host=HostEvidence(senders=(seen,)),
    )
    found = certify(told)
    assert found.cause == "killed-by" and found.confidence >= 90


NOISE: tuple[dict[str, Any], ...] = (
    {"changes": ("the GPU driver is now 580.1, was 575.2",)},
    {"disks": (DiskSeen(path="/data", free_bytes=2**35, total_bytes=2**36),)},
    {"model": ModelSeen(path="/m/glm.gguf", size_bytes=100, expected_bytes=100)},
    {"ram_free_bytes": 2**33, "memory_pressure_avg10": 1.0},
    {"blind": {"signals": "needs root"}},
)
OTHER_LINES = tuple(
    KernelLine(
        at_ms=DIED_MS - 60_000,
        text=line.replace(f"pid={PID}", "pid=31").replace(str(PID), "31").replace("llama-server", "other"),
    )
    for line in (XID, SEGFAULT, *GLOBAL)
)
OTHER_WORDS = ("slot 1 | 120 tokens", "GET /health 200", "warning: no GPU layers", "loaded meta data")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2] == PROVEN])
def test_unrelated_evidence_never_raises_a_wrong_cause_above_the_right_one(name: str) -> None:
    death, cause, _ = CASES[name]
    whole = certify(death)
    noisy = [msgspec.structs.replace(death, host=_with(death.host, more)) for more in NOISE]
    kernel = (*OTHER_LINES, *(death.host.kernel or ()))
    noisy += [
        msgspec.structs.replace(death, host=_with(death.host, {"kernel": kernel})),
        msgspec.structs.replace(death, last_lines=(*OTHER_WORDS, *death.last_lines)),
        msgspec.structs.replace(death, probes=(ProbeSeen(at_ms=DIED_MS - 900, result="ready", took_ms=3),)),
        msgspec.structs.replace(death, in_flight=("cd" * 32,)),
    ]
    for one in noisy:
        found = certify(one)
        assert found.cause == cause, (found.cause, found.others)
        assert found.confidence >= min(whole.confidence, 85)


@given(st.lists(st.sampled_from(MARKERS), max_size=3), st.booleans())
def test_a_marker_alone_never_names_a_cause_that_is_not_its_own(markers: list[Any], ready: bool) -> None:
    causes = {marker.cause for marker in markers}
    hostless = DeathFacts(
        server="glm",
        engine="vllm",
        started_ms=START_MS,
        was_ready=ready,
        exit=ExitFacts(code=1, died_ms=DIED_MS),
        last_lines=tuple(word for word in WORDS if any(marker.pattern.search(word) for marker in markers)),
    )
    spoken = {
        marker.cause for word in hostless.last_lines for marker in MARKERS if marker.pattern.search(word)
    }
    assert certify(hostless).cause in causes | spoken | {"unknown"}


def _with(host: HostEvidence, more: dict[str, Any]) -> HostEvidence:
    absent = {name: value for name, value in more.items() if name == "kernel" or not getattr(host, name)}
    return msgspec.structs.replace(host, **absent)


@pytest.mark.parametrize(
    "piece", ["tensor ", "a", "x.cpp:1: ", "CUDA error: ", "error loading model: ", "/a/b.c:", "cannot run "]
)
def test_long_lines_of_hostile_output_take_no_longer_than_their_length_deserves(piece: str) -> None:
    """The verdict is made on the event loop."""

    def judging(size: int) -> Callable[[], object]:
        death = DeathFacts(
            server="glm",
            engine="vllm",
            started_ms=START_MS,
            exit=ExitFacts(code=1, died_ms=DIED_MS),
            last_lines=(piece * (size // len(piece)),) * 60,
        )
        return lambda: certify(death)

    assert growth(judging, 5_000) < LINEAR
    assert cpu_s(judging(20_000)) < 0.5
