"""The parts of `freehold.yaml` about money: `prices`, `energy`, `subscriptions`, `limits`, and their rules.

Pure: values in, problems out. What becomes of them is in `costs`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, field

from freehold.core.config_budgets import nanos_of
from freehold.core.config_server_checks import Problem
from freehold.core.config_servers import Duration, Word
from freehold.core.errors import ConfigError

Usd = Annotated[float, Meta(ge=0, le=1e9)]
Watts = Annotated[float, Meta(ge=0, le=1e6)]
Part = Annotated[float, Meta(ge=0, le=1)]

HOURS = 24
YEAR_S = 365 * 86_400.0


class PriceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs you, in place of the list price. US dollars for a million tokens."""

    input: Annotated[Usd | None, Meta(description="Fresh input.")] = None
    output: Annotated[Usd | None, Meta(description="Output, reasoning included.")] = None
    cache_read: Annotated[Usd | None, Meta(description="Input that the provider had in its cache.")] = None
    cache_write_5m: Annotated[Usd | None, Meta(description="Input written to its cache for minutes.")] = None
    cache_write_1h: Annotated[Usd | None, Meta(description="Input written to its cache for an hour.")] = None
    per_call: Annotated[
        Usd | None, Meta(description="For each call, in US dollars. With this alone, tokens cost nothing.")
    ] = None

    @property
    def stated(self) -> dict[str, float]:
        """What was said."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class HardwareConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine that runs model servers, as an expense."""

    price_usd: Annotated[Usd, Meta(description="What it cost, in US dollars.", examples=[3200])]
    lifetime_s: Annotated[Duration, Meta(description="For how long it will serve.", examples=["4y"])] = field(
        name="lifetime", default=4 * YEAR_S
    )
    resale_usd: Annotated[Usd, Meta(description="What it is worth then.")] = 0.0


class EnergyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What tokens of model servers cost: electricity and wear. Without it they are free."""

    tariff_per_kwh_usd: Annotated[
        Usd | tuple[Usd, ...] | None,
        Meta(
            description="US dollars for a kilowatt-hour: one number, or 24, for each hour of the day from "
            "midnight on.",
            examples=[0.31],
        ),
    ] = None
    time_zone: Annotated[
        str, Meta(description="Whose hours the tariff's are.", examples=["Europe/Vienna"])
    ] = "UTC"
    idle_watts: Annotated[
        Watts | None, Meta(description="What the machine draws when no model server works.")
    ] = None
    busy_watts: Annotated[
        Watts | None,
        Meta(description="What it draws while one does. Where the machine can measure itself, that counts."),
    ] = None
    hardware: Annotated[HardwareConfig | None, Meta(description="What the machine cost.")] = None

    @property
    def stated(self) -> bool:
        """Whether tokens of our own have a cost."""
        return self.tariff_per_kwh_usd is not None or self.hardware is not None


class SubscriptionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paid by the month, whatever is used: an account at a provider, or a rented machine."""

    provider: Annotated[Word | None, Meta(description="The provider whose calls it pays for.")] = None
    server: Annotated[Word | None, Meta(description="The model server that runs on the rented machine.")] = (
        None
    )
    usd_per_month: Annotated[Usd, Meta(description="The flat fee, in US dollars.", examples=[100])] = 0.0
    usd_per_hour: Annotated[
        Usd, Meta(description="The rent for each hour in which there were calls.", examples=[0.6])
    ] = 0.0
    cap_usd: Annotated[Usd | None, Meta(description="Never more than this in a month.", examples=[25])] = None

    @property
    def label(self) -> str:
        """`provider claude`, `server qwen`."""
        return f"provider {self.provider}" if self.provider else f"server {self.server}"


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What providers allow is read from their answers; this says how much of it is not for agents."""

    human_reserve: Annotated[
        Part,
        Meta(
            description="Share of a subscription's window (5 hours, a week) that is kept for you: `auto` "
            "goes elsewhere before it is touched."
        ),
    ] = 0.1


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """The sections of the configuration that are checked here, and the names that exist."""

    prices: Mapping[str, PriceConfig]
    energy: EnergyConfig
    subscriptions: Sequence[SubscriptionConfig]
    providers: Collection[str]
    servers: Collection[str]
    discover: bool
    """Names may also come from the machine."""


def price_problems(said: Priced) -> Iterator[Problem]:
    """Every broken rule, in the order of the keys."""
    for name, price in said.prices.items():
        yield from _price(("prices", name), name, price)
    yield from _energy(said.energy)
    yield from _subscriptions(said)


def _price(path: tuple[str, str], name: str, price: PriceConfig) -> Iterator[Problem]:
    if "/" not in name.strip("/"):
        yield Problem(path, "name the provider too: PROVIDER/model-id")
    if not price.stated:
        yield Problem(path, "names no price; write it like {input: 3, output: 15}")
    for key, usd in price.stated.items():
        yield from _decimals((*path, key), usd)


def _energy(energy: EnergyConfig) -> Iterator[Problem]:
    tariff = energy.tariff_per_kwh_usd
    if isinstance(tariff, tuple) and len(tariff) != HOURS:
        yield Problem(("energy", "tariff_per_kwh_usd"), f"has {len(tariff)} numbers; one, or {HOURS} of them")
    if tariff is not None and energy.busy_watts is None:
        yield Problem(("energy", "busy_watts"), "is missing: a tariff needs the watts that it is for")
    if not _is_zone(energy.time_zone):
        words = "is no time zone that this machine knows; write it like Europe/Vienna"
        yield Problem(("energy", "time_zone"), words)
    hardware = energy.hardware
    if hardware is None:
        return
    if hardware.lifetime_s < 86_400:
        yield Problem(("energy", "hardware", "lifetime"), "is a day at least; write it like 4y or 900d")
    if hardware.resale_usd > hardware.price_usd:
        yield Problem(("energy", "hardware", "resale_usd"), "is more than the machine cost")
    yield from _decimals(("energy", "hardware", "price_usd"), hardware.price_usd)


def _subscriptions(said: Priced) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for position, each in enumerate(said.subscriptions):
        path = ("subscriptions", position)
        if (each.provider is None) == (each.server is None):
            yield Problem(path, "names either a provider or a server")
            continue
        first = seen.setdefault(each.label, position)
        if first != position:
            yield Problem(path, f"is for the same as subscriptions[{first}]: {each.label}")
        if not (each.usd_per_month or each.usd_per_hour):
            yield Problem(path, "costs nothing; say usd_per_month or usd_per_hour")
        key, names = ("provider", said.providers) if each.provider else ("server", said.servers)
        name = each.provider or each.server
        if name not in names and not said.discover:
            yield Problem((*path, key), f"there is no {key} '{name}'")
        for money in ("usd_per_month", "usd_per_hour", "cap_usd"):
            yield from _decimals((*path, money), getattr(each, money) or 0.0)


def _decimals(path: tuple[str | int, ...], usd: float) -> Iterator[Problem]:
    try:
        nanos_of(usd)
    except ConfigError as error:
        yield Problem(path, error.message)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not in the table; no name; the name of a folder
        return False
    return True
