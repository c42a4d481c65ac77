"""What the configuration may say about money, and how its mistakes are told."""

from __future__ import annotations

import pytest

from freehold.core.config import Config
from freehold.core.config_build import build_config
from freehold.core.config_diff import differences
from freehold.core.config_prices import PriceConfig
from freehold.core.config_source import parse_document
from freehold.core.errors import ConfigError

PROVIDER = "providers: {box: {base_url: http://127.0.0.1:9/v1}}\ndiscover: false\n"


def parsed(text: str) -> tuple[Config | None, list[ConfigError]]:
    return build_config(parse_document(PROVIDER + text, "f.yaml", {}), "freehold.yaml")


def read(text: str) -> Config:
    config, problems = parsed(text)
    assert config is not None, problems
    return config


def problems(text: str) -> list[str]:
    config, found = parsed(text)
    assert config is None
    return [str(error) for error in found]


def test_prices_are_read_as_they_are_written() -> None:
    config = read("prices: {box/m: {input: 0.1, output: 3, per_call: 0}}")
    assert config.prices == {"box/m": PriceConfig(input=0.1, output=3.0, per_call=0.0)}
    assert config.prices["box/m"].stated == {"input": 0.1, "output": 3.0, "per_call": 0.0}


def test_a_lifetime_may_be_said_in_years_and_a_tariff_by_the_hour() -> None:
    hours = ", ".join(["0.2"] * 8 + ["0.4"] * 16)
    config = read(
        f"energy: {{tariff_per_kwh_usd: [{hours}], busy_watts: 4, hardware: {{price_usd: 9, lifetime: 4y}}}}"
    )
    assert config.energy.hardware and config.energy.hardware.lifetime_s == 4 * 365 * 86_400
    assert isinstance(config.energy.tariff_per_kwh_usd, tuple)
    assert config.energy.stated
    assert not read("energy: {idle_watts: 5}").energy.stated


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prices: {m: {input: 1}}", "name the provider too"),
        ("prices: {box/m: {}}", "names no price"),
        ("prices: {box/m: {input: 0.0000000001}}", "more than 9 decimals"),
        ("prices: {box/m: {inptu: 1}}", "unknown key"),
        ("prices: {box/m: {input: -1}}", "at least 0"),
        ("energy: {tariff_per_kwh_usd: [0.1, 0.2], busy_watts: 1}", "has 2 numbers"),
        ("energy: {tariff_per_kwh_usd: 0.3}", "busy_watts"),
        ("energy: {time_zone: Mars/Olympus}", "no time zone"),
        ("energy: {hardware: {price_usd: 10, lifetime: 1h}}", "a day at least"),
        ("energy: {hardware: {price_usd: 10, resale_usd: 20}}", "more than the machine cost"),
        ("subscriptions: [{usd_per_month: 5}]", "either a provider or a server"),
        ("subscriptions: [{provider: box, server: q, usd_per_month: 5}]", "either a provider or a server"),
        ("subscriptions: [{provider: nobody, usd_per_month: 5}]", "there is no provider 'nobody'"),
        ("subscriptions: [{provider: box, cap_usd: 5}]", "costs nothing"),
        ("limits: {human_reserve: 1.5}", "at most 1"),
    ],
)
def test_mistakes_are_told_with_their_key(text: str, told: str) -> None:
    (message,) = problems(text)
    assert told in message and text.partition(":")[0] in message


def test_two_subscriptions_for_one_account_are_a_mistake() -> None:
    (message,) = problems(
        "subscriptions: [{provider: box, usd_per_month: 5}, {provider: box, usd_per_month: 6}]"
    )
    assert "same as subscriptions[0]" in message


def test_a_changed_price_is_in_force_at_once() -> None:
    changes = differences(read(""), read("prices: {box/m: {input: 1}}"))
    assert [(change.key, change.effect) for change in changes] == [("prices", "at once")]
