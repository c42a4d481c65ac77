"""What providers say that they charged, in their units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.dialects.usage import billed_nanos


@pytest.mark.parametrize(
    ("usage", "nanos"),
    [
        (b'{"cost": 0.00014}', 140_000),
        (b'{"cost": 1e-9}', 1),
        (b'{"cost": 0.1234567890123456789}', 123_456_789),
        (b'{"cost": 0}', 0),
        (b'{"cost": "0.5"}', 500_000_000),
        (b'{"cost": {"total_cost": 0.006}}', 6_000_000),
        (b'{"cost": 0.001, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.02}}', 21_000_000),
        (b'{"cost": 0.02, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.02}}', 20_000_000),
        (b'{"cost_in_usd_ticks": 37756000}', 3_775_600),  # xAI: 10**10 a dollar
        (b'{"cost_in_usd_ticks": 0}', 0),
        (b'{"cost_in_usd_ticks": 15}', 2),
        (b'{"cost_in_usd_ticks": -10}', None),
        (b'{"cost_in_usd_ticks": 1e9999999}', None),
        (b'{"cost_in_usd_ticks": "sNaN"}', None),
        (b'{"cost_in_usd_ticks": [1]}', None),
        (b'{"cost": 0.5, "cost_in_usd_ticks": 37756000}', 500_000_000),
        (b'{"cost": "sNaN", "is_byok": true, "cost_details": {"upstream_inference_cost": 1}}', None),
        (b'{"prompt_tokens": 5}', None),
        (b'{"cost": null}', None),
        (b'{"cost": -1}', None),
        (b'{"cost": 1e999999}', None),
        (b'{"cost": [1]}', None),
        (b'{"cost": "NaN"}', None),
        (b"oops", None),
    ],
)
def test_what_the_provider_says_it_charged(usage: bytes, nanos: int | None) -> None:
    assert billed_nanos(usage) == nanos


@given(st.integers(0, 10**18))
def test_a_bill_in_whole_nanos_is_exact(nanos: int) -> None:
    text = format(Decimal(nanos).scaleb(-9), "f")
    assert billed_nanos(b'{"cost": %s}' % text.encode()) == nanos
