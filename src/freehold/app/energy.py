"""What the machine's own work costs, in a running Freehold: its meter, its watts, and the sums of each day.

`meter` is what the gateway tells of calls; it is None where the configuration names no cost. Sums by day go
to `energy.json` in the state folder: `freehold costs` also tells what the machine cost while nothing ran.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from freehold.adapters.power.watts import Watts
from freehold.app.price_table import keep_document
from freehold.core.clock import Clock
from freehold.core.config_prices import EnergyConfig
from freehold.costs.local import EnergySums, LocalMeter, rules_of
from freehold.costs.windows import label

ENERGY_FILE = "energy.json"
SAMPLE_S = 5.0
KEEP_EVERY = 6
"""Samples between two writings."""
KEPT_DAYS = 800

Days = dict[str, EnergySums]


class HouseEnergy:
    """`read_watts` measures the machine (None: it cannot); it may take milliseconds, so a thread calls it."""

    def __init__(
        self,
        config: EnergyConfig,
        home: Path,
        clock: Clock,
        read_watts: Callable[[], float | None] | None = None,
    ) -> None:
        self._home = home
        self._path = home / ENERGY_FILE
        self._clock = clock
        self._read_watts = read_watts or Watts()
        self.meter: LocalMeter | None = None
        self._days: Days = {}
        self.use(config)

    def use(self, config: EnergyConfig) -> None:
        """What a configuration says from now on."""
        rules = rules_of(config)
        if rules is None:
            return
        zone, now_ms = ZoneInfo(config.time_zone), self._clock.now_ms()
        if self.meter is not None:
            self.meter.use(rules, zone, now_ms)
        else:
            self.meter = LocalMeter(rules, zone, now_ms)
            self._days = kept_energy(self._home)
        with contextlib.suppress(OSError):
            keep_document(self._home / "prices", "energy", rules.document())

    async def keep(self) -> None:
        """Measure, and write the sums now and then, until cancelled; then once more."""
        if self.meter is None:
            return
        try:
            count = 0
            while True:
                await self.sample()
                count += 1
                if count % KEEP_EVERY == 0:
                    await asyncio.to_thread(self._write, self._summed())
                await asyncio.sleep(SAMPLE_S)
        finally:
            self._write(self._summed())

    async def sample(self) -> None:
        """Measure the machine once."""
        watts = await asyncio.to_thread(self._read_watts)
        if self.meter is not None:
            self.meter.measured(watts, self._clock.now_ms())

    def _summed(self) -> bytes:
        """The sums with what came since, under the day (UTC) that it is now."""
        assert self.meter is not None
        now_ms = self._clock.now_ms()
        taken = self.meter.take_sums(now_ms)
        day = self._days.setdefault(label("day", now_ms), EnergySums())
        for name in EnergySums.__struct_fields__:
            setattr(day, name, getattr(day, name) + getattr(taken, name))
        for old in sorted(self._days)[:-KEPT_DAYS]:
            del self._days[old]
        return msgspec.json.encode(self._days, order="sorted")

    def _write(self, document: bytes) -> None:
        part = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            part.write_bytes(document)
            part.replace(self._path)


def kept_energy(home: Path) -> Days:
    """The sums by day (UTC), `2026-11-21`; none when there are none that can be read."""
    try:
        return msgspec.json.decode((home / ENERGY_FILE).read_bytes(), type=Days)
    except (OSError, msgspec.MsgspecError):
        return {}
