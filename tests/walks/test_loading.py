"""A model server that is still loading: the client is held, and sees signs of life in its own dialect.

The engine is real, and stopped in the middle of its start (SIGSTOP) for as long as a story wants.
"""

from __future__ import annotations

import contextlib
import time

import psutil
import pytest

from freehold.testing.tiny_model import model_path
from tests.house import House
from tests.processes import runs
from tests.talk import DIALECTS, PATHS, asking, event_data, event_name
from tests.wire import request_bytes

pytestmark = [pytest.mark.engine, pytest.mark.slow]
LIMITS = {"first_sign_s": 0.1, "sign_of_life_s": 0.1}


class Loading:
    """A house whose only model server was caught while it starts."""

    def __init__(self, folder) -> None:
        servers = {"tiny": {"model": str(model_path()), "start": "always"}}
        self.house = House(folder, {"servers": servers}, limits=LIMITS)
        self._engine = self._catch()

    def _catch(self) -> psutil.Process:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for child in self.house.process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if not any("llamacpp_child" in word for word in child.cmdline()):
                        continue
                    child.suspend()
                    if self._is_ready():  # it was quicker than this test: the next one, then
                        child.kill()
                        continue
                    return child
        raise AssertionError("no engine was started")

    def _is_ready(self) -> bool:
        with self.house.wire() as wire:
            return wire.call("/api/v1/servers/tiny").json()["state"] == "ready"

    def go_on(self) -> None:
        self._engine.resume()

    def die(self) -> None:
        self._engine.kill()


@pytest.fixture
def loading(tmp_path):
    found = Loading(tmp_path)
    yield found
    found.house.stop()


def test_streams_show_life_and_then_answer(loading):
    signs = {"chat": 0, "messages": 0, "responses": 0}
    wires = {dialect: loading.house.wire() for dialect in DIALECTS}
    streams = {}
    for dialect, wire in wires.items():
        wire.socket.settimeout(30)
        wire.send(request_bytes(PATHS[dialect], asking(dialect, "tiny", stream=True)))
        answer = wire.head()
        assert answer.status == 200
        streams[dialect] = wire.events(answer)
    for dialect, stream in streams.items():
        for _ in range(4):  # while nothing at all is loaded
            event = next(stream)
            signs[dialect] += 1
            if dialect == "chat":
                assert event.startswith(b":") or event_data(event)["choices"] is not None
            elif dialect == "messages":
                assert event_name(event) in ("ping", "message_start")
            else:
                assert event_name(event) in ("response.created", "response.in_progress")
    loading.go_on()
    rest = {dialect: list(stream) for dialect, stream in streams.items()}
    assert rest["chat"][-1] == b"data: [DONE]"
    assert event_name(rest["messages"][-1]) == "message_stop"
    assert event_name(rest["responses"][-1]) in ("response.completed", "response.incomplete")
    assert [event_name(event) for event in rest["messages"]].count("message_start") <= 1
    numbers = [event_data(event)["sequence_number"] for event in rest["responses"]]
    assert numbers == sorted(set(numbers))
    for wire in wires.values():
        wire.close()
    receipts = loading.house.wait_receipts(3)
    assert {(receipt.outcome, receipt.server) for receipt in receipts} == {("ok", "tiny")}
    assert {receipt.cost_state for receipt in receipts} == {"free"}


def test_plain_calls_are_held_until_the_model_is_there(loading):
    with loading.house.wire() as wire:
        wire.socket.settimeout(30)
        wire.send(request_bytes(PATHS["chat"], asking("chat", "tiny")))
        assert wire.silent(0.3)
        wire.socket.settimeout(30)
        loading.go_on()
        assert wire.answer().json()["choices"]


def test_a_client_that_leaves_while_the_model_loads_leaves_a_receipt(loading):
    with loading.house.wire() as wire:
        wire.send(request_bytes(PATHS["messages"], asking("messages", "tiny", stream=True)))
        wire.head()
    (receipt,) = loading.house.wait_receipts(1)
    assert receipt.outcome == "cancelled"
    loading.go_on()


def test_the_house_can_be_left_while_a_model_loads(loading):
    assert loading.house.stop() == 0
    assert not runs(loading._engine.pid)
