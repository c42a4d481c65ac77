"""Stories of `freehold servers` and `freehold top --json`: they ask and order a running Freehold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.cli.exits import Exit
from freehold.cli.top_view import memory_line
from freehold.core.deaths import Certificate, Clue
from freehold.core.memory import GpuMemory, MachineMemory
from freehold.core.progress import RUN_FILE, Running
from freehold.receipts.deaths import death_receipt
from freehold.receipts.ledger import Ledger
from freehold.web.control import (
    CallView,
    CostReport,
    LogView,
    ServerGpu,
    ServerMemory,
    ServerSpeed,
    ServerView,
)
from tests.cli.answering import Running8400
from tests.cli.conftest import Freehold
from tests.cli.ledgers import FixedClock
from tests.cli.test_status import STATUS

GIB = 1024**3
BUSY = ServerView(
    name="qwen",
    engine="llama.cpp",
    model="/q.gguf",
    state="ready",
    context=4096,
    slots=4,
    in_flight=3,
    queued=2,
    restarts=1,
    loads=2,
    memory=ServerMemory(
        planned_ram_bytes=GIB,
        planned_vram_bytes=8 * GIB,
        measured_ram_bytes=GIB // 2,
        gpus=(ServerGpu(gpu=0, planned_bytes=8 * GIB, measured_bytes=7 * GIB),),
    ),
    speed=ServerSpeed(calls=9, tokens_in_per_s=120.4, tokens_out_per_s=33.3, first_token_p50_ms=87),
)
IDLE = ServerView(
    name="voice",
    engine="command",
    model="",
    state="failed",
    context=0,
    slots=1,
    ours=False,
    detail="Killed by the kernel.",
)
MACHINE = MachineMemory(ram_total_bytes=64 * GIB, ram_free_bytes=48 * GIB)
DEATH = Certificate(
    server="qwen",
    started_ms=1_000,
    died_ms=61_000,
    cause="oom-cgroup",
    confidence=97,
    sentence="Killed by the kernel: its memory group reached 60 MiB.",
    next="Raise servers.qwen.memory.limit.",
    evidence=(Clue(source="cgroup", text="oom_kill went from 0 to 1"),),
    ready=True,
    in_flight=("a" * 64,),
)
CALL = CallView(id="rcp-12345678", model="qwen\x1b[2J", state="answering", started_ms=1, agent="codex")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running8400]:
    with Running8400() as server:
        server.answers = {
            "/api/v1/status": (200, msgspec.json.encode(STATUS)),
            "/api/v1/servers": (200, msgspec.json.encode([BUSY, IDLE])),
            "/api/v1/machine": (200, msgspec.json.encode(MACHINE)),
            "/api/v1/calls": (200, msgspec.json.encode([CALL])),
            "/api/v1/servers/qwen/restart": (200, msgspec.json.encode(BUSY)),
            "/api/v1/servers/qwen/deaths?limit=3": (200, msgspec.json.encode([DEATH])),
            "/api/v1/servers/voice/deaths?limit=3": (200, b"[]"),
            "/api/v1/servers/qwen/log?lines=2": (
                200,
                msgspec.json.encode(LogView(lines=["load \x1b[2J", "ready"], next=77)),
            ),
        }
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        (tmp_path / "home").mkdir()
        note = Running(url=server.url, pid=7, started_ms=1)
        (tmp_path / "home" / RUN_FILE).write_bytes(msgspec.json.encode(note))
        yield server
        server.shutdown()
        thread.join()


def test_the_list_shows_slots_queue_memory_and_speed(freehold: Freehold, running: Running8400) -> None:
    result = freehold("servers", "list")
    row = next(line for line in result.out.splitlines() if line.startswith("qwen"))
    for shown in ("ready", "3/4", "512 MiB of 1.0 GiB", "7.0 GiB of 8.0 GiB", "120", "33", "87 ms"):
        assert shown in row
    assert "command (adopted)" in result.out
    assert "voice: Killed by the kernel." in result.out


def test_the_list_is_json_for_programs(freehold: Freehold, running: Running8400) -> None:
    assert msgspec.json.decode(freehold("servers", "list", "--json").out, type=list[ServerView]) == [
        BUSY,
        IDLE,
    ]


def test_an_order_is_posted_and_its_outcome_told(freehold: Freehold, running: Running8400) -> None:
    result = freehold("servers", "restart", "qwen")
    assert (result.exit, result.out.strip()) == (Exit.OK, "qwen: ready")
    assert running.asked[-1] == "POST /api/v1/servers/qwen/restart"


def test_an_order_to_an_unknown_server_fails_with_freeholds_words(
    freehold: Freehold, running: Running8400
) -> None:
    result = freehold("servers", "stop", "a/b")
    assert result.exit == Exit.FAILED
    assert "there is no such thing" in result.err
    assert running.asked[-1] == "POST /api/v1/servers/a%2Fb/stop"


def test_why_says_cause_evidence_and_what_to_do(freehold: Freehold, running: Running8400) -> None:
    out = freehold("servers", "why", "qwen").out
    assert out.startswith("Killed by the kernel: its memory group reached 60 MiB.\n")
    assert "oom-cgroup, proven (97 %)" in out
    assert "cgroup: oom_kill went from 0 to 1" in out
    assert "next      Raise servers.qwen.memory.limit." in out
    assert "60 s after its start" in out
    assert freehold("servers", "why", "voice").out.strip() == "voice has never died."


def test_why_is_json_for_programs(freehold: Freehold, running: Running8400) -> None:
    found = msgspec.json.decode(freehold("servers", "why", "qwen", "--json").out)
    assert found[0]["cause"] == "oom-cgroup"
    assert {"confidence", "evidence", "next"} <= set(found[0])


def test_logs_cannot_steer_the_terminal(freehold: Freehold, running: Running8400) -> None:
    out = freehold("servers", "logs", "qwen", "-n", "2").out
    assert out.splitlines()[1] == "ready"
    assert "\x1b" not in out


def test_top_is_one_look_for_programs(freehold: Freehold, running: Running8400) -> None:
    report = CostReport(by="model", since_ms=1, until_ms=None, rows=[])
    body = msgspec.json.encode(report)

    class Any24h(dict[str, tuple[int, bytes]]):
        def get(self, key: str, default: object = None) -> object:  # the path names the moment
            return (200, body) if key.startswith("/api/v1/costs?by=model") else super().get(key, default)

    running.answers = Any24h(running.answers)
    seen = msgspec.json.decode(freehold("top", "--json").out)
    assert [server["name"] for server in seen["servers"]] == ["qwen", "voice"]
    assert seen["calls"][0]["agent"] == "codex"


def test_the_machines_memory_is_drawn_with_its_figures() -> None:
    gpu = GpuMemory(index=1, total_bytes=24 * GIB, free_bytes=0)
    line = memory_line(msgspec.structs.replace(MACHINE, gpus=(gpu,)))
    assert line == "RAM ███░░░░░░░░░ 16.0 GiB of 64.0 GiB   GPU 1 ████████████ 24.0 GiB of 24.0 GiB"


def test_why_of_a_name_that_nobody_has_names_those_that_died(freehold: Freehold, tmp_path: Path) -> None:
    death = Certificate(
        server="qwen", died_ms=1, cause="hangup", confidence=95, sentence="It was hung up.", next="Nothing."
    )
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        ledger.append(death_receipt(death, "d1", 1))
    told = freehold("servers", "why", "qwem").out
    assert told == "qwem has never died. The ledger has deaths of qwen.\n"
