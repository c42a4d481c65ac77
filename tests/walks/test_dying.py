"""A model server that dies under a call: the client hears which one, and what killed it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.house import STOP_S, House
from tests.talk import PATHS, asking
from tests.wire import request_bytes

SLOW = [
    sys.executable,
    "-m",
    "freehold.testing.unruly",
    "--port",
    "{port}",
    "--token-s",
    "0.05",
    "--tokens",
    "400",
]


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_the_last_event_says_who_died_and_why(tmp_path: Path, dialect: str) -> None:
    house = House(tmp_path, {"servers": {"big": {"command": SLOW, "start": "always"}}})
    try:
        with house.wire() as wire:
            deadline = time.monotonic() + STOP_S
            view = wire.call("/api/v1/servers/big").json()
            while view["state"] != "ready":
                assert time.monotonic() < deadline
                view = wire.call("/api/v1/servers/big").json()
            wire.send(request_bytes(PATHS[dialect], asking(dialect, "big", stream=True)))
            events = wire.events(wire.head())
            assert next(events)
            os.kill(view["pid"], signal.SIGKILL)
            last = b"".join(events)
        assert b"error" in last
        assert b"the model server 'big' died under this call" in last
        assert b"SIGKILL" in last or b"signal 9" in last or b"killed" in last, last[-600:]
        (receipt,) = [one for one in house.wait_receipts(1) if one.kind == "call"]
        assert receipt.outcome == "truncated"
        assert receipt.error.startswith("the model server 'big' died")
    finally:
        house.stop()
