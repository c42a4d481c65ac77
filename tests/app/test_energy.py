"""What the machine costs, day by day, across restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.app import energy as energy_module
from freehold.app.energy import HouseEnergy, kept_energy
from freehold.core.config_prices import EnergyConfig
from tests.app.held_up import HeldUp

CONFIG = EnergyConfig(tariff_per_kwh_usd=0.36, busy_watts=1000, idle_watts=100)
NOON_MS = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000 + 43_200_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOON_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


async def live(home: Path, clock: Clock, seconds: int, watts: float | None = None) -> None:
    """A house that runs one call, then idles for as long."""
    energy = HouseEnergy(CONFIG, home, clock, lambda: watts)
    await energy.sample()
    keeping = asyncio.create_task(energy.keep())
    await asyncio.sleep(0)
    assert energy.meter is not None
    mark = energy.meter.enter(clock.ms)
    clock.ms += seconds * 1000
    energy.meter.leave(mark, clock.ms)
    clock.ms += seconds * 1000
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_sums_of_a_day_go_on_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    await live(tmp_path, clock, 10)
    await live(tmp_path, clock, 20)
    (sums,) = kept_energy(tmp_path).values()
    assert sums.busy_nanos == 30 * 100_000
    assert sums.idle_nanos == 30 * 10_000
    assert (sums.busy_ms, sums.idle_ms, sums.calls) == (30_000, 30_000, 2)
    assert [path.name[:7] for path in (tmp_path / "prices").iterdir()] == ["energy-"]


async def test_a_machine_that_measures_itself_is_believed(tmp_path: Path) -> None:
    await live(tmp_path, Clock(), 10, watts=300.0)
    (sums,) = kept_energy(tmp_path).values()
    assert sums.busy_nanos == 10 * 30_000


async def test_the_night_that_a_machine_slept_through_is_not_idle_time(tmp_path: Path) -> None:
    clock = Clock()
    energy = HouseEnergy(CONFIG, tmp_path, clock, lambda: None)
    for passed_ms in (0, 5_000, 8 * 3_600_000):
        clock.ms += passed_ms
        await energy.sample()
    assert energy.meter is not None
    assert energy.meter.take_sums(clock.ms).idle_ms == 5_000


async def test_a_house_without_costs_keeps_nothing(tmp_path: Path) -> None:
    energy = HouseEnergy(EnergyConfig(), tmp_path, Clock(), lambda: None)
    await energy.keep()
    assert energy.meter is None
    assert kept_energy(tmp_path) == {}


async def test_the_last_sums_are_not_overtaken_by_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy_module, "KEEP_EVERY", 1)
    replace_file, clock = HeldUp(energy_module.replace_file), Clock()
    monkeypatch.setattr(energy_module, "replace_file", replace_file)
    energy = HouseEnergy(CONFIG, tmp_path, clock, lambda: None)
    keeping = asyncio.create_task(energy.keep())
    await asyncio.to_thread(replace_file.begun.wait, 60)
    assert energy.meter is not None
    mark = energy.meter.enter(clock.ms)
    clock.ms += 10_000
    energy.meter.leave(mark, clock.ms)
    keeping.cancel()
    await asyncio.sleep(0)
    replace_file.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await asyncio.to_thread(replace_file.ended.wait, 60)
    assert [sums.calls for sums in kept_energy(tmp_path).values()] == [1]
