"""Stories of `freehold status` and `freehold models`: they ask a running Freehold over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from freehold.cli.exits import Exit
from freehold.core.progress import RUN_FILE
from freehold.web.control import LedgerView, ModelView, PlaceView, ServerView, StatusView
from tests.cli.answering import Running8400, answering
from tests.cli.conftest import Freehold

STATUS = StatusView(
    version="1",
    url="http://127.0.0.1:8400",
    pid=7,
    started_ms=1,
    uptime_s=90_000,
    home="/state",
    config_file=None,
    key_needed=True,
    discovery="running",
    models=2,
    servers=1,
    servers_ready=1,
    calls=1_234,
    in_flight=1,
    memory_bytes=50_000_000,
    ledger=LedgerView(entries=10, signed=7, projected=7),
)
SERVER = ServerView(name="qwen", engine="llama.cpp", model="/q.gguf", state="ready", context=4096, slots=4)
LOCAL = PlaceView(deployment="qwen", model_id="qwen", server="qwen", state="available")
CLOUD = PlaceView(deployment="openai/gpt-5", model_id="gpt-5", provider="openai", state="resting")
MODELS = [
    ModelView(name="fast", kind="alias", places=(LOCAL, CLOUD)),
    ModelView(name="openai/gpt-5", kind="model", places=(CLOUD,)),
]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running8400]:
    """A server that `run.json` in the state folder points to."""
    with answering(tmp_path / "home") as server:
        server.answers = {
            "/api/v1/status": (200, msgspec.json.encode(STATUS)),
            "/api/v1/servers": (200, msgspec.json.encode([SERVER])),
            "/api/v1/models": (200, msgspec.json.encode(MODELS)),
        }
        yield server


def test_status_shows_the_whole_at_a_glance(freehold: Freehold, running: Running8400) -> None:
    out = freehold("status").out
    for words in (
        "1 d 1 h",
        "50.0 MB",
        "2, still looking",
        "1,234 ended, 1 in flight",
        "10, 3 not signed yet",
    ):
        assert words in out
    assert "/q.gguf" in out
    seen = freehold("status", "--json").json
    assert seen["status"]["pid"] == 7
    assert seen["servers"][0]["name"] == "qwen"


def test_models_say_where_each_runs(freehold: Freehold, running: Running8400) -> None:
    lines = freehold("models").out.splitlines()
    assert "qwen, then openai/gpt-5" in lines[1]
    assert "available, resting" in lines[1]
    assert "provider openai" in lines[2]
    assert [model["name"] for model in freehold("models", "--json").json] == ["fast", "openai/gpt-5"]


def test_no_models_is_said_with_what_to_do(freehold: Freehold, running: Running8400) -> None:
    running.answers["/api/v1/models"] = (200, b"[]")
    assert "freehold doctor" in freehold("models").out


def test_the_key_comes_from_the_environment(
    freehold: Freehold, running: Running8400, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_KEY", "fh-1")
    freehold("models", "--url", running.url)
    assert running.keys == ["Bearer fh-1"]


@pytest.mark.parametrize(
    ("status", "body", "exit_status", "said"),
    [
        (401, b'{"error":{"message":"no"}}', Exit.FAILED, "set FREEHOLD_KEY"),
        (500, b'{"error":{"message":"broken"}}', Exit.FAILED, "answered 500: broken"),
        (404, b"<html>", Exit.FAILED, "it may not be Freehold"),
        (200, b"<html>", Exit.NOT_RUNNING, "is not this version of Freehold"),
    ],
)
def test_other_answers_are_explained(
    freehold: Freehold, running: Running8400, status: int, body: bytes, exit_status: int, said: str
) -> None:
    running.answers["/api/v1/models"] = (status, body)
    ran = freehold("models")
    assert ran.exit == exit_status
    assert said in ran.err


def test_nobody_there_is_its_own_exit_status(freehold: Freehold, tmp_path: Path) -> None:
    assert freehold("models").exit == Exit.NOT_RUNNING
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / RUN_FILE).write_text('{"url": "http://127.0.0.1:1", "pid": 1, "started_ms": 1}')
    ran = freehold("models")
    assert ran.exit == Exit.NOT_RUNNING
    assert "no Freehold answers at http://127.0.0.1:1" in ran.err
    assert freehold("models", "--url", "ftp://x").exit == Exit.FAILED


def test_the_last_words_of_a_failed_server_stand_below_the_table(
    freehold: Freehold, running: Running8400
) -> None:
    failed = msgspec.structs.replace(SERVER, state="failed", detail="Ended with exit code 1. Out of memory.")
    running.answers["/api/v1/servers"] = (200, msgspec.json.encode([SERVER, failed]))
    assert freehold("status").out.endswith("\nqwen: Ended with exit code 1. Out of memory.\n")
