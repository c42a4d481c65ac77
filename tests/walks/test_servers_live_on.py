"""Model servers outlive Freehold's accidents: found again, not loaded again; a death meanwhile is told."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import STOP_S, House
from tests.processes import runs

COMMAND = [sys.executable, "-m", "freehold.testing.unruly", "--port", "{port}"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, {"servers": {"a": {"command": COMMAND, "slots": 2, "start": "always"}}})
    yield house
    house.stop()


def server(house: House, name: str = "a") -> dict[str, Any]:
    with house.wire() as wire:
        found: dict[str, Any] = wire.call(f"/api/v1/servers/{name}").json()
    return found


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STOP_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ready(house: House) -> dict[str, Any]:
    until(lambda: server(house)["state"] == "ready")
    return server(house)


def ask(house: House, **headers: str) -> Any:
    with house.wire() as wire:
        body = {"model": "a", "messages": [{"role": "user", "content": "hi"}]}
        return wire.call("/v1/chat/completions", body, headers=headers)


def test_a_killed_freehold_finds_its_server_again_without_loading_it(house: House) -> None:
    before = ready(house)["pid"]
    house.kill()
    assert runs(before), "the server lives on"
    house.restart()
    after = ready(house)
    assert after["pid"] == before
    assert ask(house).status == 200


def test_a_server_that_died_meanwhile_is_started_and_its_death_told(house: House) -> None:
    before = ready(house)["pid"]
    house.kill()
    os.kill(before, signal.SIGSEGV)
    until(lambda: not runs(before))
    house.restart()
    assert ready(house)["pid"] != before
    told = house.run("servers", "why", "a", "--json")
    assert '"segfault"' in told.stdout, told.stdout


def test_a_server_that_nobody_configures_any_more_is_stopped(house: House) -> None:
    before = ready(house)["pid"]
    house.kill()
    house.write_config({"servers": {"b": {"command": COMMAND}}})
    house.restart()
    until(lambda: not runs(before))


def test_a_hangup_reloads_and_kills_nothing(house: House) -> None:
    before = ready(house)["pid"]
    house.write_config(
        {"servers": {"a": {"command": COMMAND, "slots": 2, "start": "always", "priority": 10}}}
    )
    house.process.send_signal(signal.SIGHUP)
    until(lambda: server(house)["priority"] == 10)
    assert server(house)["pid"] == before


def test_keeping_servers_over_an_orderly_stop(tmp_path: Path) -> None:
    section = {"a": {"command": COMMAND, "start": "always"}}
    house = House(tmp_path, {"keep_servers": True, "servers": section})
    before = ready(house)["pid"]
    assert house.stop() == 0
    assert runs(before)
    house.write_config({"servers": section})
    house.restart()
    assert ready(house)["pid"] == before
    assert house.stop() == 0
    assert not runs(before)


@pytest.mark.slow
def test_a_file_that_changes_is_read_again_by_itself(house: House) -> None:
    ready(house)
    house.write_config({"servers": {"a": {"command": COMMAND, "slots": 3, "start": "always"}}})
    until(lambda: server(house)["slots"] == 3)
    house.write_config({"servers": {"a": {"command": COMMAND, "slots": "many"}}})
    until(lambda: "Nothing was changed" in house.log)
    assert server(house)["slots"] == 3
