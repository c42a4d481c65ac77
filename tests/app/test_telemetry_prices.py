"""What others' calls cost: by our table where an address says whose price it is, else as told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from freehold.app.telemetry_prices import charge_of, provider_at
from freehold.core.catalog import Provider
from freehold.core.observed import Observed
from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.overrides import parse_overrides

NOW_MS = 1_767_225_702_000
BOOK = PriceBook.empty(parse_overrides({"openai/m": {"input": "1", "output": "2"}}))
COST = 100 * 1_000 + 10 * 2_000
SEEN = Observed(
    kind="call",
    provider="openai",
    model="m-2026",
    model_asked="m",
    usage=Usage(fresh_in=100, visible_out=10),
    usage_raw="{}",
    started_ms=NOW_MS,
)
HERE = {"openai": Provider(name="openai", dialect="openai", base_url="https://api.openai.com/v1")}


def charge(**facts: Any):
    found = charge_of(msgspec.structs.replace(SEEN, **facts), BOOK, HERE)
    return found.nanos, found.state, found.provider


def test_a_price_holds_where_the_address_says_whose_it_is_and_is_an_estimate_elsewhere():
    assert charge() == (COST, "estimated", "openai")
    priced = PriceBook.empty(parse_overrides({"mine/m": {"input": "1", "output": "2"}}))
    mine = {"mine": Provider(name="mine", dialect="openai", base_url="http://10.0.0.5:9000/v1", price_as="x")}
    seen = msgspec.structs.replace(SEEN, address="10.0.0.5:9000")
    assert charge_of(seen, priced, mine).state == "computed"
    assert charge_of(seen, priced, mine).provider == "mine"


def test_what_our_table_does_not_know_costs_what_the_exporter_says():
    assert charge(model="z", model_asked="z", stated_nanos=77) == (77, "estimated", "openai")
    assert charge(model="z", model_asked="z") == (0, "unknown", "openai")


def test_sums_of_many_calls_cost_what_the_exporter_says():
    assert charge(of_many=True, stated_nanos=77) == (77, "estimated", "openai")
    assert charge(of_many=True, address="api.openai.com") == (COST, "estimated", "openai")


def test_our_own_hardware_is_free():
    mine = {"o": Provider(name="o", dialect="openai", base_url="http://127.0.0.1:11434/v1", price_as="local")}
    seen = msgspec.structs.replace(SEEN, address="localhost:11434", stated_nanos=99)
    assert charge_of(seen, BOOK, mine).state == "free"


@pytest.mark.parametrize(
    ("host", "address"), [("localhost", "127.0.0.1"), ("127.0.0.1", "localhost"), ("[::1]",) * 2]
)
def test_on_this_machine_a_host_without_a_port_is_nobodys_address(host: str, address: str) -> None:
    mine = {"o": Provider(name="o", dialect="openai", base_url=f"http://{host}:11434/v1", price_as="local")}
    assert provider_at(address, mine) is None
    assert provider_at(f"{address}:11434", mine) is mine["o"]


def test_a_failed_call_without_counts_costs_nothing():
    assert charge(error="RateLimitError", usage_raw="", usage=Usage()) == (0, "free", "openai")
    assert charge(usage_raw="", usage=Usage()) == (0, "unknown", "openai")
