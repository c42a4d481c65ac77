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
from freehold.app.to_the_end import to_the_end
from freehold.app.whole_file import replace_file
from freehold.core.clock import Clock
from freehold.core.config_prices import EnergyConfig
from freehold.costs.local import EnergyRules, EnergySums, LocalMeter, rules_of
from freehold.costs.own_tokens import OwnTokens, Seen, TokenCosts
from freehold.costs.windows import label

ENERGY_FILE = "energy.json"
SAMPLE_S = 5.0
LONGEST_MS = 120_000
"""Samples come much oftener: after more than this the machine slept, or its clock was set."""
KEEP_EVERY = 6
"""Samples between two writings."""
KEPT_DAYS = 800
TOKENS_FILE = "energy-tokens.json"

Days = dict[str, EnergySums]


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens have cost by server, under the energy rules with that SHA-256."""

    rules: str
    seen: dict[str, Seen]


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
            self.meter = LocalMeter(rules, zone, now_ms, LONGEST_MS)
            self.meter.tokens = _kept_tokens(self._home, rules)
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
                    await to_the_end(self._write, self._summed(), self._tokens())
                await asyncio.sleep(SAMPLE_S)
        finally:
            self._write(self._summed(), self._tokens())

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

    def _tokens(self) -> bytes:
        assert self.meter is not None
        return msgspec.json.encode(_Tokens(rules=self.meter.snapshot, seen=self.meter.tokens.seen))

    def _write(self, sums: bytes, tokens: bytes) -> None:
        with contextlib.suppress(OSError):
            replace_file(self._home / ENERGY_FILE, sums)
            replace_file(self._home / TOKENS_FILE, tokens)


def kept_energy(home: Path) -> Days:
    """The sums by day (UTC), `2026-11-21`; none when there are none that can be read."""
    try:
        return msgspec.json.decode((home / ENERGY_FILE).read_bytes(), type=Days)
    except (OSError, msgspec.MsgspecError):
        return {}


def own_tokens(home: Path, config: EnergyConfig, server: str) -> OwnTokens | None:
    """What tokens of a server have cost lately, as far as a state folder tells and these rules hold."""
    rules = rules_of(config)
    return None if rules is None else _kept_tokens(home, rules).of(server)


def _kept_tokens(home: Path, rules: EnergyRules) -> TokenCosts:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode((home / TOKENS_FILE).read_bytes(), type=_Tokens)
        if kept.rules == rules.digest:
            return TokenCosts(kept.seen)
    return TokenCosts()
