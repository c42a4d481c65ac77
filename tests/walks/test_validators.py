"""A program of the person's says whether a cheap answer is good: before the client sees it, bounded, and
never in the way."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from freehold.testing.standin.behaviour import ToolCall
from tests.house import STOP_S, House, provider
from tests.processes import runs
from tests.talk import PATHS, asking
from tests.walks.priced import ask, priced
from tests.wire import request_bytes

CHECKER = """
import json, os, pathlib, subprocess, sys, time
told = json.load(sys.stdin)
with open("told.ndjson", "a") as file:
    file.write(json.dumps(told | {"env": sorted(os.environ)}) + "\\n")
words = told["answer"]
if "sleep" in words:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid} .")
    time.sleep(600)
if "leave" in words:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid} .")
    sys.exit(0)
if "noise" in words:
    while True:
        print("x" * 65536)
if "crash" in words:
    sys.exit(3)
if "wrong" in words:
    print("two tests fail\\nand more")
    sys.exit(1)
"""
TASK = {"x-freehold-task": "code"}
WRONG, RIGHT = Behaviour(pieces=("a wrong ", "program")), Behaviour(pieces=("a right ", "program"))


@pytest.fixture
def places() -> Iterator[tuple[Standin, Standin]]:
    with Standin(("m",)) as cheap, Standin(("m",)) as dear:
        dear.default = RIGHT
        yield cheap, dear


def config(places: tuple[Standin, Standin], **routing: Any) -> dict[str, Any]:
    cheap, dear = places
    check = {"command": [sys.executable, "check.py"], "timeout": "20s"}
    return {
        "providers": {"cheap": provider(cheap), "dear": provider(dear)},
        "prices": priced(cheap, "cheap", 0.01, 0.02) | priced(dear, "dear"),
        "tiers": {"local": ["cheap/m"], "premium": ["dear/m"]},
        "routing": {
            "explore": 0,
            "tasks": {"code": "local"},
            "validators": {"code": check},
            "hold_streams": True,
        }
        | routing,
    }


@pytest.fixture
def house(tmp_path: Path, places: tuple[Standin, Standin]) -> Iterator[House]:
    (tmp_path / "check.py").write_text(CHECKER)
    running = House(tmp_path, config(places))
    yield running
    running.stop()


def told(house: House) -> list[dict[str, Any]]:
    path = house.folder / "told.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def outcomes(house: House) -> dict[str, tuple[float, float]]:
    """Trials and chance by place."""
    with house.wire() as wire:
        rows = json.loads(wire.call("/api/v1/outcomes").body)
    return {row["deployment"]: (row["trials"], row["chance"]) for row in rows}


def started(house: House) -> list[int]:
    """The validator and the program that it started, once both run and it has told of them: only then may
    it be ended. Else what it was about to tell is never told."""
    path = house.folder / "pids"
    words = path.read_text().split(" ") if path.exists() else []
    return [int(word) for word in words[:-1]] if words[-1:] == ["."] else []


def gone(house: House) -> bool:
    """Whether everything that the validator started has ended."""
    pids = started(house)
    return len(pids) == 2 and not any(map(runs, pids))


def until(true: Any) -> None:
    deadline = time.monotonic() + STOP_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_a_bad_answer_goes_up_with_the_reason_on_one_receipt(
    house: House, places: tuple[Standin, Standin], dialect: str, stream: bool
) -> None:
    places[0].default = WRONG
    answer = ask(house, "auto", "Write a program", dialect, stream=stream, headers=TASK)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "dear/m")
    assert b"right" in answer.body and b"wrong" not in answer.body
    receipt = house.receipt()
    cheap, dear = receipt.attempts
    assert (cheap.deployment, dear.deployment) == ("cheap/m", "dear/m")
    assert cheap.error == "not good enough: failed the check (two tests fail)"
    assert 0 < cheap.cost_nanos < receipt.cost_nanos
    assert "cheap/m failed the check (two tests fail)" in receipt.route
    assert outcomes(house)["cheap/m"][0] == 1.0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_a_good_answer_is_given_whole_and_counts(
    house: House, places: tuple[Standin, Standin], dialect: str, stream: bool
) -> None:
    places[0].default = RIGHT
    answer = ask(house, "auto", "Write a program", dialect, stream=stream, headers=TASK)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cheap/m")
    assert answer.body.count(b"right") == 1 or dialect == "responses"
    if stream:
        assert {"chat": b"[DONE]", "messages": b"message_stop", "responses": b"response.completed"}[
            dialect
        ] in answer.body
    receipt = house.receipt()
    assert (receipt.outcome, receipt.usage_state, len(receipt.attempts)) == ("ok", "reported", 1)
    assert "cheap/m passed the check" in receipt.route
    trials, chance = outcomes(house)["cheap/m"]
    assert trials == 1.0
    assert chance > 0.76
    (seen,) = told(house)
    assert seen["answer"] == "a right program"
    assert (seen["task"], seen["model"], seen["receipt"]) == ("code", "cheap/m", receipt.id)
    assert seen["messages"][-1] == {"role": "user", "text": "Write a program"}


def test_it_is_told_no_keys(tmp_path: Path, places: tuple[Standin, Standin]) -> None:
    os.environ["MY_SECRET_KEY"] = "sk-secret"  # not one that the house itself is not given
    (tmp_path / "check.py").write_text(CHECKER)
    house = House(tmp_path, config(places))
    try:
        ask(house, "auto", "Write a program", headers=TASK)
        (seen,) = told(house)
        assert "PATH" in seen["env"]
        assert not [name for name in seen["env"] if "KEY" in name]
    finally:
        del os.environ["MY_SECRET_KEY"]
        house.stop()


@pytest.mark.parametrize(
    ("words", "said"),
    [("crash", "ended with status 3"), ("noise", "printed too much")],
)
def test_without_a_verdict_the_answer_is_taken(
    house: House, places: tuple[Standin, Standin], words: str, said: str
) -> None:
    places[0].default = Behaviour(pieces=(words,))
    answer = ask(house, "auto", "Write a program", headers=TASK)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cheap/m")
    assert f"cheap/m was not checked ({said})" in house.receipt().route
    assert "cheap/m" not in outcomes(house)
    assert not places[1].seen


def test_one_that_cannot_be_started_harms_nobody(tmp_path: Path, places: tuple[Standin, Standin]) -> None:
    house = House(tmp_path, config(places, validators={"*": {"command": ["no-such-program"]}}))
    try:
        answer = ask(house, "auto", "Write a program", headers=TASK)
        assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cheap/m")
        assert "was not checked (no-such-program cannot be started" in house.receipt().route
    finally:
        house.stop()


def test_one_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, places: tuple[Standin, Standin]
) -> None:
    (tmp_path / "check.py").write_text(CHECKER)
    check = {"command": [sys.executable, "check.py"], "timeout": "2s"}
    house = House(tmp_path, config(places, validators={"code": check}))
    places[0].default = Behaviour(pieces=("sleep",))
    try:
        deadline = time.monotonic() + STOP_S
        while True:
            answer = ask(house, "auto", "Write a program", headers=TASK)
            assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cheap/m")
            assert "was not checked (no answer within 2 s)" in house.receipt().route
            if started(house):
                break
            assert time.monotonic() < deadline, "on a busy machine it may be ended before it began, once"
        until(lambda: gone(house))
    finally:
        house.stop()


def test_what_it_leaves_behind_is_ended_and_not_waited_for(
    house: House, places: tuple[Standin, Standin]
) -> None:
    places[0].default = Behaviour(pieces=("leave",))
    answer = ask(house, "auto", "Write a program", headers=TASK)
    assert answer.header("x-freehold-deployment") == "cheap/m"
    assert "passed the check" in house.receipt().route
    until(lambda: gone(house))


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_client_leaves_it_is_ended_and_the_answer_is_paid(
    house: House, places: tuple[Standin, Standin], stream: bool
) -> None:
    places[0].default = Behaviour(pieces=("sleep",))
    with house.wire() as wire:
        body = asking("chat", "auto", "Write a program", stream=stream)
        wire.send(request_bytes(PATHS["chat"], body, headers=TASK))
        until(lambda: started(house))
    (receipt,) = house.wait_receipts(1)
    assert (receipt.outcome, receipt.deployment) == ("cancelled", "cheap/m")
    assert receipt.cost_nanos > 0
    until(lambda: gone(house))


def test_when_freehold_ends_nobody_is_left(house: House, places: tuple[Standin, Standin]) -> None:
    places[0].default = Behaviour(pieces=("sleep",))
    with house.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", "auto", "Write"), headers=TASK))
        until(lambda: started(house))
        wire.close()
        assert house.stop() == 0
    until(lambda: gone(house))


def test_other_calls_go_on_meanwhile(house: House, places: tuple[Standin, Standin]) -> None:
    places[0].script(Behaviour(pieces=("sleep",)), Behaviour(pieces=("fine",)))
    with house.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", "auto", "Write"), headers=TASK))
        until(lambda: started(house))
        other = ask(house, "auto", "What is new?", headers={"x-freehold-task": "chat"})
        assert other.status == 200
        assert len(told(house)) == 1


def test_tool_calls_critical_calls_and_other_kinds_are_not_checked(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, _ = places
    tool = {"type": "function", "function": {"name": "buy", "parameters": {"type": "object"}}}
    cheap.script(Behaviour(pieces=(), tool_calls=(ToolCall(name="buy"),)))
    assert ask(house, "auto", "Buy it", tools=[tool], headers=TASK).status == 200
    assert ask(house, "auto", "Write", headers=TASK | {"x-freehold-critical": "1"}).status == 200
    assert ask(house, "auto", "Write", headers={"x-freehold-task": "chat"}).status == 200
    assert told(house) == []


def test_streams_pass_at_once_unless_they_are_to_be_held(
    tmp_path: Path, places: tuple[Standin, Standin]
) -> None:
    (tmp_path / "check.py").write_text(CHECKER)
    house = House(tmp_path, config(places, hold_streams=False))
    places[0].default = WRONG
    try:
        streamed = ask(house, "auto", "Write a program", stream=True, headers=TASK)
        assert streamed.header("x-freehold-deployment") == "cheap/m"
        assert ask(house, "auto", "Write two", headers=TASK).header("x-freehold-deployment") == "dear/m"
        assert len(told(house)) == 1
    finally:
        house.stop()


def test_when_the_step_up_fails_the_checked_answer_comes_back(
    house: House, places: tuple[Standin, Standin]
) -> None:
    cheap, dear = places
    cheap.default, dear.default = WRONG, Behaviour(status=400)
    answer = ask(house, "auto", "Write a program", stream=True, headers=TASK)
    assert (answer.status, answer.header("x-freehold-deployment")) == (200, "cheap/m")
    assert b"wrong" in answer.body and b"[DONE]" in answer.body
    assert "the answer of cheap/m after all" in house.receipt().route


def test_a_reload_puts_a_validator_in_force_and_away_again(
    tmp_path: Path, places: tuple[Standin, Standin]
) -> None:
    (tmp_path / "check.py").write_text(CHECKER)
    places[0].default = WRONG
    house = House(tmp_path, config(places, validators={}))

    def place(text: str) -> str | None:
        return ask(house, "auto", text, headers=TASK).header("x-freehold-deployment")

    try:
        assert place("Write one") == "cheap/m"
        house.write_config(config(places))
        assert house.run("config", "reload").returncode == 0
        assert place("Write two") == "dear/m"
        house.write_config(config(places, validators={}, tasks={"code": "local"}))
        assert house.run("config", "reload").returncode == 0
        assert place("Write three") == "cheap/m"
        assert len(told(house)) == 1
    finally:
        house.stop()
