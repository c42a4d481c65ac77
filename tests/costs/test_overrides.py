"""Prices written by hand become exact integers, and mistakes are named by their path."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.costs.overrides import RateOverride, parse_overrides


def test_numbers_and_strings_are_taken_as_they_are_written() -> None:
    parsed = parse_overrides(
        {"acme/big": {"input": 0.1, "output": "0.3", "cache_read": 1, "per_call": "0.000000001"}}
    )
    assert parsed == {
        "acme/big": RateOverride(input=100_000_000, output=300_000_000, cache_read=10**9, per_call=1)
    }


def test_a_model_id_may_have_slashes_of_its_own() -> None:
    assert "openrouter/google/gemini" in parse_overrides({"openrouter/google/gemini": {"input": 1}})


@pytest.mark.parametrize(
    "value", [-1, "-0.1", "free", "", None, True, "NaN", "inf", "0.0000000001", 1e10, [1]]
)
def test_what_is_not_an_amount_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides({"acme/big": {"input": value}})
    assert caught.value.key == "prices.acme/big.input"


def test_a_misspelt_price_has_a_near_miss() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides({"acme/big": {"cache_reed": 1}})
    assert caught.value.nearest == "cache_read"


@pytest.mark.parametrize("raw", [{}, 3, "cheap", None, [1]])
def test_an_entry_without_prices_is_refused(raw: object) -> None:
    with pytest.raises(ConfigError, match="wants prices such as"):
        parse_overrides({"acme/big": raw})


@pytest.mark.parametrize("name", ["big", "/big", "acme/"])
def test_a_name_without_its_provider_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name the provider too"):
        parse_overrides({name: {"input": 1}})


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_every_amount_of_nine_decimals_is_exact(amount: Decimal) -> None:
    parsed = parse_overrides({"a/b": {"input": str(amount)}})["a/b"]
    assert parsed.input is not None
    assert Decimal(parsed.input) == amount * 10**9
