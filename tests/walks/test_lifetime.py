"""Starting, stopping and starting again: nothing under way is dropped, nothing written is lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.talk import PATHS, asking
from tests.wire import ClosedError, request_bytes


@pytest.fixture
def house(standin: Standin, tmp_path: Path):
    house = House(tmp_path, {"providers": {"alpha": provider(standin)}})
    yield house
    house.stop()


def refuses(house: House) -> bool:
    try:
        with house.wire() as wire:
            wire.call("/health")
    except (OSError, ClosedError):
        return True
    return False


def test_a_stop_lets_a_stream_end_and_takes_no_new_calls(house, standin):
    standin.script(Behaviour(hold_events="g"))
    ended: list[int] = []
    with house.wire() as idle, house.wire() as busy:
        assert idle.call("/health").status == 200
        busy.send(request_bytes(PATHS["chat"], asking("chat", "alpha/small", stream=True)))
        standin.wait_for(1)
        standin.gate("g").release()
        events = busy.events(busy.head())
        next(events)
        stopping = threading.Thread(target=lambda: ended.append(house.stop()))
        stopping.start()
        while not refuses(house):
            pass
        standin.gate("g").open()
        assert list(events)[-1] == b"data: [DONE]"
        stopping.join()
    assert ended == [0]
    (receipt,) = house.receipts()
    assert receipt.outcome == "ok"


def test_a_stop_does_not_wait_for_idle_connections(house):
    with house.wire() as idle:
        assert idle.call("/health").status == 200
        assert house.stop() == 0
        assert idle.at_end()
    assert not (house.home / "run.json").exists()


def test_receipts_outlive_a_restart_and_no_id_comes_twice(house):
    for _ in range(3):
        with house.wire() as wire:
            for _ in range(5):
                assert wire.call(PATHS["chat"], asking("chat", "alpha/small")).status == 200
        assert house.stop() == 0
        house.restart()
    ids = [receipt.id for receipt in house.receipts()]
    assert len(set(ids)) == 15
    verified = house.run("receipts", "verify", "--home", str(house.home), "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["entries"] == 15


def test_a_second_freehold_on_the_same_home_is_told_who_is_there(house):
    second = house.run("up", "--home", str(house.home), "--listen", "127.0.0.1:0", "--no-discover")
    assert second.returncode != 0
    assert str(house.process.pid) in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr


def test_a_taken_port_is_named(house, tmp_path):
    taken = f"127.0.0.1:{house.port}"
    second = house.run("up", "--home", str(tmp_path / "other"), "--listen", taken, "--no-discover")
    assert second.returncode != 0
    assert str(house.port) in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
