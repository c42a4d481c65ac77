"""An agent's hook beside a Freehold that runs, does not run, and runs again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.receipts.entries import Receipt
from freehold.receipts.spool import waiting
from freehold.receipts.tools import ToolUse, tool_of
from tests.house import House

EVENT = {
    "hook_event_name": "PostToolUse",
    "session_id": "s-1",
    "tool_name": "mcp__files__read",
    "tool_input": {"path": "geheim.txt"},
    "tool_response": {"content": "geheim"},
    "duration_ms": 12,
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, {})
    yield house
    house.stop()


def hook(house: House, call: str, **facts: Any) -> None:
    event = json.dumps(EVENT | {"tool_use_id": call} | facts).encode()
    command = [sys.executable, "-m", "freehold", "hook", "post-tool-use", "--agent=claude-code", "--strict"]
    done = subprocess.run(
        command,
        input=event,
        env=os.environ | {"FREEHOLD_HOME": str(house.home)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")


def uses(house: House) -> list[ToolUse]:
    """All that is recorded, and nothing else is."""
    listed = json.loads(
        house.run("receipts", "list", "kind=tool", "--json", "--home", str(house.home)).stdout
    )
    found: list[ToolUse] = []
    for row in reversed(listed):
        shown = house.run("receipts", "show", row["id"], "--json", "--home", str(house.home)).stdout
        assert "geheim" not in shown
        use = tool_of(msgspec.convert(json.loads(shown)["receipt"], Receipt))
        assert use is not None
        found.append(use)
    return found


def test_a_use_that_a_busy_house_did_not_take_is_recorded_while_it_runs(house: House) -> None:
    house.process.suspend()
    try:
        hook(house, "toolu_1")
    finally:
        house.process.resume()
    deadline = time.monotonic() + 20
    while waiting(house.home):
        assert time.monotonic() < deadline, house.log
        time.sleep(0.01)
    house.stop()
    assert [use.call_id for use in uses(house)] == ["toolu_1"]


def test_every_use_has_one_receipt_whenever_it_happened(house: House) -> None:
    with house.wire() as wire:  # its control API is there
        assert wire.call("/api/v1/status").status == 200
    hook(house, "toolu_1")
    house.kill()
    hook(house, "toolu_1")  # told again, and of one that is new
    hook(house, "toolu_2", tool_response={"isError": True})
    house.restart()
    hook(house, "toolu_3")
    deadline = time.monotonic() + 20
    while waiting(house.home):
        assert time.monotonic() < deadline, house.log
        time.sleep(0.01)
    house.stop()
    found = {use.call_id: use for use in uses(house)}
    assert sorted(found) == ["toolu_1", "toolu_2", "toolu_3"]
    assert [found[call].ok for call in sorted(found)] == [True, False, True]
    use = found["toolu_1"]
    assert (use.tool, use.server, use.agent, use.session) == ("read", "files", "claude-code", "s-1")
    assert (use.source, use.duration_us) == ("hook", 12_000)
    assert house.receipts() == []
    assert house.run("receipts", "verify", "--home", str(house.home)).returncode == 0
