"""Two price tables that differ by more than half a percent are told; smaller differences are not."""

from __future__ import annotations

import pytest

from freehold.core.usage import Usage
from freehold.costs.disputes import Charged, Dispute, Price, differ, disputes

USAGE = Usage(fresh_in=1000)


def charged(model: str, nanos: int) -> Charged:
    return Charged(at_ms=0, provider="openai", model=model, cost_nanos=nanos, usage=USAGE)


def fixed(**prices: int) -> Price:
    return lambda call: prices.get(call.model)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (1000, 1005, False),
        (1000, 1006, True),
        (1006, 1000, True),
        (0, 0, False),
        (0, 1, True),
        (200, 199, False),
    ],
)
def test_half_a_percent_of_the_larger_is_the_border(one: int, other: int, wanted: bool) -> None:
    assert differ(one, other) is wanted


def test_each_source_is_compared_with_the_receipts() -> None:
    calls = [charged("a", 1000), charged("a", 1000), charged("b", 500), charged("c", 7)]
    found = disputes(calls, {"older table": fixed(a=1001, b=1000), "list price": fixed(a=4000, b=500)})
    assert found == (
        Dispute(
            provider="openai", model="a", calls=2, receipts_nanos=2000, source="list price", source_nanos=8000
        ),
        Dispute(
            provider="openai", model="b", calls=1, receipts_nanos=500, source="older table", source_nanos=1000
        ),
    )
    assert [each.ratio for each in found] == [4.0, 2.0]
