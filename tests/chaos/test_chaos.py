"""Whatever happens to the model servers: one answer or one honest error for each call, and one receipt."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.chaos.storm import Storm, configuration, descriptors, judge, leftovers, settled, summary
from tests.house import House

SECONDS = float(os.environ.get("FREEHOLD_STORM_S", "12"))

ONCE = 4
"""Descriptors that come with the first need of something and stay: few, however long the storm."""


@pytest.mark.slow
def test_a_storm_leaves_no_call_without_its_end_and_nothing_behind(tmp_path: Path) -> None:
    house = House(tmp_path, configuration())
    storm = Storm(house, SECONDS)
    try:
        before = descriptors(house)
        asyncio.run(storm.run())
        after = settled(house, before + ONCE)
        faults = judge(storm)
    finally:
        status = house.stop()
    print(summary(storm))
    assert faults == []
    assert status == 0
    assert after <= before + ONCE, "descriptors were left open"
    assert leftovers(tmp_path, storm.pids) == []
