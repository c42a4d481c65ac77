"""What a call to a model server of ours costs: electricity while it ran, and the machine's wear.

    cost of a call = integral over its time of (watts x tariff + wear) / calls under way

so whatever the machine costs while it works is borne by the calls that it works for, all of it and once.
What it costs while none is under way is idle, and told apart. Energy is in microjoules (milliwatts x
milliseconds), money in billionths of a nano-USD inside, and in whole nano-USD outside. No clock is here.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from freehold.core.config_budgets import nanos_of
from freehold.core.config_prices import HOURS, EnergyConfig
from freehold.costs.own_tokens import TokenCosts
from freehold.costs.windows import span_at

UJ_PER_KWH = 3_600_000_000_000
FINE = 10**9
"""Parts of a nano-USD that are added up."""


class EnergyRules(msgspec.Struct, frozen=True, kw_only=True):
    """What time and energy cost, in integers: the document that receipts name as their price table."""

    busy_mw: int
    idle_mw: int
    tariff: tuple[int, ...]
    """Nano-USD for a kilowatt-hour, for each hour of the day."""
    time_zone: str
    wear: int
    """Billionths of a nano-USD for each millisecond of the machine's life."""

    def document(self) -> bytes:
        """As it is kept; receipts name its SHA-256."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of it, in hex."""
        return sha256(self.document()).hexdigest()


def rules_of(config: EnergyConfig) -> EnergyRules | None:
    """The rules of a configuration; None where it says no cost, and tokens of our own are free."""
    if not config.stated:
        return None
    tariff = config.tariff_per_kwh_usd
    hours = tariff if isinstance(tariff, tuple) else (tariff or 0.0,) * HOURS
    hardware = config.hardware
    wear = 0
    if hardware is not None:
        lost = nanos_of(hardware.price_usd) - nanos_of(hardware.resale_usd)
        wear = lost * FINE // round(hardware.lifetime_s * 1000)
    return EnergyRules(
        busy_mw=round((config.busy_watts or 0.0) * 1000),
        idle_mw=round((config.idle_watts or 0.0) * 1000),
        tariff=tuple(nanos_of(usd) for usd in hours),
        time_zone=config.time_zone,
        wear=wear,
    )


class Mark(NamedTuple):
    """The sums for one call under way, at one moment."""

    fine: int
    energy_uj: int
    guessed_ms: int


class LocalCost(msgspec.Struct, frozen=True, gc=False):
    """What one call cost. `estimated` when for some of its time the watts were not measured."""

    nanos: int
    state: Literal["computed", "estimated"]
    energy_uj: int


class EnergySums(msgspec.Struct, kw_only=True):
    """What a machine cost in some time. The costs of calls add up to `busy_nanos`, but for rounding each."""

    busy_nanos: int = 0
    idle_nanos: int = 0
    busy_uj: int = 0
    idle_uj: int = 0
    busy_ms: int = 0
    idle_ms: int = 0
    calls: int = 0


class LocalMeter:
    """Counts one machine. Where the clock was set, or the machine slept (a moment before the last one, or
    more than `longest_ms` after it), time goes on from there: nobody knows what was drawn between."""

    def __init__(self, rules: EnergyRules, zone: tzinfo, now_ms: int, longest_ms: int | None = None) -> None:
        self.snapshot = rules.digest
        """What receipts name as the price table."""
        self.tokens = TokenCosts()
        """What calls have cost by these rules, for comparing places."""
        self._rules = rules
        self._zone = zone
        self._longest_ms = longest_ms
        self._now_ms = now_ms
        self._hour_end_ms = now_ms
        """Until when `_tariff` holds."""
        self._tariff = 0
        self._under_way = 0
        self._measured_mw: int | None = None
        self._each = Mark(0, 0, 0)
        """Sums for a call that had been under way from the start."""
        self._busy_fine = self._idle_fine = 0
        self._sums = EnergySums()

    def use(self, rules: EnergyRules, zone: tzinfo, now_ms: int) -> None:
        """Other rules from now on. Calls under way are charged by both, so their cost is estimated."""
        self._advance(now_ms)
        before, self.snapshot = self.snapshot, rules.digest
        if self.snapshot != before:
            self.tokens = TokenCosts()
        self._rules, self._zone = rules, zone
        self._hour_end_ms = now_ms
        self._each = self._each._replace(guessed_ms=self._each.guessed_ms + 1)

    def enter(self, now_ms: int) -> Mark:
        """A call begins; the mark belongs to it until `leave`."""
        self._advance(now_ms)
        self._under_way += 1
        return self._each

    def leave(self, mark: Mark, now_ms: int) -> LocalCost:
        """A call has ended. Once for each mark."""
        self._advance(now_ms)
        self._under_way -= 1
        self._sums.calls += 1
        fine = self._each.fine - mark.fine
        return LocalCost(
            nanos=(fine + FINE // 2) // FINE,
            state="estimated" if self._each.guessed_ms > mark.guessed_ms else "computed",
            energy_uj=self._each.energy_uj - mark.energy_uj,
        )

    def measured(self, watts: float | None, now_ms: int) -> None:
        """What the machine draws from now on; None: it cannot tell any more."""
        self._advance(now_ms)
        self._measured_mw = None if watts is None else max(0, round(watts * 1000))

    def take_sums(self, now_ms: int) -> EnergySums:
        """What came since the last taking. Parts of a nano stay for the next."""
        self._advance(now_ms)
        taken, self._sums = self._sums, EnergySums()
        taken.busy_nanos, self._busy_fine = divmod(self._busy_fine, FINE)
        taken.idle_nanos, self._idle_fine = divmod(self._idle_fine, FINE)
        return taken

    def _advance(self, now_ms: int) -> None:
        passed_ms = now_ms - self._now_ms
        if passed_ms < 0 or (self._longest_ms is not None and passed_ms > self._longest_ms):
            self._now_ms = self._hour_end_ms = now_ms
            self._each = self._each._replace(guessed_ms=self._each.guessed_ms + 1)
        while self._now_ms < now_ms:
            if self._now_ms >= self._hour_end_ms:
                self._begin_hour()
            until_ms = min(now_ms, self._hour_end_ms)
            self._count(until_ms - self._now_ms)
            self._now_ms = until_ms

    def _begin_hour(self) -> None:
        hour = datetime.fromtimestamp(self._now_ms / 1000, self._zone).hour
        self._tariff = self._rules.tariff[hour]
        self._hour_end_ms = span_at("hour", self._now_ms, self._zone).end_ms

    def _count(self, passed_ms: int) -> None:
        """Charge a time in which nothing changed."""
        rules, calls, sums = self._rules, self._under_way, self._sums
        power_mw = self._measured_mw
        guessed = power_mw is None and any(rules.tariff)
        if power_mw is None:
            power_mw = rules.busy_mw if calls else rules.idle_mw
        energy_uj = power_mw * passed_ms
        fine = energy_uj * self._tariff * FINE // UJ_PER_KWH + rules.wear * passed_ms
        if not calls:
            self._idle_fine += fine
            sums.idle_uj += energy_uj
            sums.idle_ms += passed_ms
            return
        self._busy_fine += fine
        sums.busy_uj += energy_uj
        sums.busy_ms += passed_ms
        each = self._each
        self._each = Mark(
            each.fine + fine // calls,
            each.energy_uj + energy_uj // calls,
            each.guessed_ms + (passed_ms if guessed else 0),
        )
