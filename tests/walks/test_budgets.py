"""A budget is never passed: not by many calls at once, not by those that are cut, not over a kill."""

from __future__ import annotations

import csv
import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import MODELS, House, provider
from tests.talk import PATHS, asking, error_of
from tests.walks.priced import ask, house_with, priced
from tests.wire import ClosedError, request_bytes

USD = 10**9
SIZES = {"m0": 50, "m1": 200, "m2": 1000}
"""Model -> the most tokens that its calls allow."""
SMALL = "m0"
LEFT, CUT = 0, -1
CAP = {"budgets": [{"scope": "all", "limit_usd": 1.0, "window": "total"}]}


@pytest.fixture
def upstream():
    with Standin(MODELS[:4]) as standin:
        yield standin


def spent(house: House) -> int:
    return sum(receipt.cost_nanos for receipt in house.receipts())


def shown(house: House) -> dict[str, Any]:
    """How the house itself says that its one budget stands."""
    told = house.run("budgets", "--home", str(house.home), "--json")
    assert told.returncode == 0, told.stderr
    (budget,) = json.loads(told.stdout)
    return budget


class Crowd:
    """Clients that call until the budget is used up; some leave in the middle."""

    def __init__(self, house: House, clients: int) -> None:
        self.house = house
        self.statuses: Counter[int] = Counter()
        self._clients = clients
        self._lock = threading.Lock()

    def run(self, calls: int) -> None:
        with ThreadPoolExecutor(self._clients) as pool:
            list(pool.map(self._call, range(calls)))

    def _call(self, number: int) -> None:
        chance = random.Random(number)
        model, most = chance.choice(tuple(SIZES.items()))
        text = "x" * chance.randrange(100, 4000)
        body = asking("chat", f"alpha/{model}", text, stream=number % 2 == 0, max_tokens=most)
        status = LEFT
        try:
            with self.house.wire() as wire:
                wire.socket.settimeout(60)  # some wait for what others give back
                wire.send(request_bytes(PATHS["chat"], body))
                if number % 5:
                    status = wire.answer().status
                else:
                    wire.head()  # and gone before the answer is whole
        except (OSError, ClosedError):
            status = CUT
        finally:
            with self._lock:
                self.statuses[status] += 1


def by_size(upstream: Standin) -> None:
    """Each model says nearly as much as its calls allow it."""
    for model, most in SIZES.items():
        upstream.by_model[model] = Behaviour(input_tokens=90, pieces=("word ",) * (most - most // 10))


def test_five_hundred_calls_at_once_never_spend_more_than_there_is_and_nearly_all_of_it(
    tmp_path: Path, upstream: Standin
) -> None:
    by_size(upstream)
    house = house_with(tmp_path, upstream, prices=priced(upstream, input_usd=1.0, output_usd=20.0), **CAP)
    try:
        crowd = Crowd(house, 500)
        crowd.run(700)
        assert spent(house) <= USD
        while ask(house, f"alpha/{SMALL}", max_tokens=SIZES[SMALL]).status == 200:
            assert spent(house) <= USD
        assert house.stop() == 0
        assert 0.95 * USD <= spent(house) <= USD, f"{spent(house) / USD:.3f} of the cap: {crowd.statuses}"
        assert set(crowd.statuses) <= {200, 402, 429, LEFT}
        assert (shown(house)["spent_nanos"], shown(house)["held_nanos"]) == (spent(house), 0)
    finally:
        house.stop()


def test_after_a_kill_nothing_is_held_and_the_budget_still_holds(tmp_path: Path, upstream: Standin) -> None:
    by_size(upstream)
    house = house_with(tmp_path, upstream, prices=priced(upstream, input_usd=1.0, output_usd=20.0), **CAP)
    crowd = Crowd(house, 100)
    clients = threading.Thread(target=crowd.run, args=(300,))
    try:
        clients.start()
        upstream.wait_for(60)
        house.kill()
        clients.join()
        told = shown(house)
        house.restart()
        after = shown(house)
        assert after["held_nanos"] == 0
        assert after["spent_nanos"] == spent(house)
        assert after["spent_nanos"] + after["expired_nanos"] <= USD
        assert told["spent_nanos"] <= after["spent_nanos"] + after["expired_nanos"]
        Crowd(house, 50).run(200)
        assert house.stop() == 0
        done = shown(house)
        assert done["held_nanos"] == 0
        assert done["spent_nanos"] + done["expired_nanos"] <= USD
        assert house.run("receipts", "verify", "--home", str(house.home)).returncode == 0
    finally:
        house.stop()


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_who_is_refused_hears_which_budget_and_is_not_to_try_again(
    tmp_path: Path, upstream: Standin, dialect: str
) -> None:
    budgets = [{"scope": "agent:writer", "limit_usd": 0.000001, "window": "month"}]
    house = house_with(tmp_path, upstream, budgets=budgets)
    try:
        answer = ask(house, dialect=dialect, headers={"x-freehold-agent": "writer"}, max_tokens=50)
        error = error_of(dialect, answer)
        assert answer.status == 402, "no SDK repeats it"
        assert error["type"] == "billing_error"
        assert "agent:writer per month" in error["message"]
        assert answer.header("retry-after") is None
        if dialect == "chat":
            assert error["code"] == "budget_exhausted"
        assert upstream.seen == []
        assert house.receipt().outcome == "refused"
        assert ask(house, max_tokens=50).status == 200, "others have other purses"
    finally:
        house.stop()


def test_what_has_no_price_is_refused_under_a_hard_limit_with_words_that_help(
    tmp_path: Path, upstream: Standin
) -> None:
    house = house_with(tmp_path, upstream, prices={}, **CAP)
    try:
        answer = ask(house)
        assert (answer.status, answer.json()["error"]["code"]) == (402, "budget_price_unknown")
        assert "ceiling_usd_per_call" in answer.json()["error"]["message"]
    finally:
        house.stop()


def test_a_call_that_does_not_fit_goes_to_a_cheaper_place_where_that_is_wanted(
    tmp_path: Path, upstream: Standin
) -> None:
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(upstream), "home": provider(upstream)},
            "prices": priced(upstream) | priced(upstream, "home", 0.0, 0.0),
            "tiers": {"local": ["home/m0"], "premium": ["alpha/m0"]},
            "budgets": [{"scope": "all", "limit_usd": 0.0001, "on_limit": "degrade"}],
        },
    )
    try:
        answer = ask(house, max_tokens=50)
        assert answer.status == 200
        assert answer.header("x-freehold-deployment") == "home/m0"
        assert "alpha/m0 is over the budget" in (answer.header("x-freehold-route") or "")
    finally:
        house.stop()


def test_a_paid_answer_that_was_not_good_enough_counts_also_where_our_own_server_gives_the_better_one(
    tmp_path: Path, upstream: Standin
) -> None:
    upstream.by_model["m0"] = Behaviour(pieces=("I'm sorry, but I cannot help with that request. ",) * 4)
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(upstream, models=["m0"])},
            "prices": priced(upstream),
            "servers": {"own": {"adopt": upstream.url, "model": "m1", "health": "/v1/models"}},
            "tiers": {"balanced": ["alpha/m0"], "premium": ["own"]},
            "routing": {"explore": 0, "tasks": {"chat": "balanced"}},
            "budgets": [{"scope": "provider:alpha", "limit_usd": 1.0, "window": "total"}],
        },
    )
    try:
        said = {"x-freehold-task": "chat"}
        answer = ask(house, "auto", "How do I sharpen a knife?", headers=said, max_tokens=500)
        assert (answer.status, answer.header("x-freehold-deployment")) == (200, "own")
        receipt = house.receipt()
        paid, own = receipt.attempts
        assert (paid.deployment, own.deployment, receipt.provider) == ("alpha/m0", "own", "")
        assert paid.cost_nanos == receipt.cost_nanos == 11 * 3_000 + 4 * 15_000
        assert (paid.usage.input_total, paid.usage.output_total) == (11, 4)
        assert shown(house)["spent_nanos"] == paid.cost_nanos
        house.stop()
        assert shown(house)["spent_nanos"] == paid.cost_nanos, "from the state folder"
        house.restart()
        assert shown(house)["spent_nanos"] == paid.cost_nanos, "and again in force"
        told = json.loads(house.run("costs", "--by", "provider", "--json", "--home", str(house.home)).stdout)
        assert {row["name"]: sum(row["cost_nanos"].values()) for row in told} == {
            "alpha": paid.cost_nanos,
            "": 0,
        }
        assert house.run("receipts", "verify", "--home", str(house.home)).returncode == 0
        focus = tmp_path / "charges.csv"
        assert house.run("costs", "--focus", str(focus), "--month", "this").returncode == 0
        charges = list(csv.DictReader(focus.read_text().splitlines()))
        billed = {row["x_Deployment"]: row["BilledCost"] for row in charges}
        assert billed == {"alpha/m0": "0.000093", "own": "0"}, "one row for each who was paid"
    finally:
        house.stop()


def test_electricity_of_our_own_machine_is_no_matter_of_budgets_before_and_after_a_start(
    tmp_path: Path, upstream: Standin
) -> None:
    """Its cost is on receipts; what budgets count is what others are paid."""
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(upstream)},
            "prices": priced(upstream),
            "servers": {"own": {"adopt": upstream.url, "model": "m1", "health": "/v1/models"}},
            "energy": {"tariff_per_kwh_usd": 1000, "busy_watts": 1000},
            "budgets": [{"scope": "all", "limit_usd": 1.0, "window": "total"}],
        },
    )
    try:
        upstream.default = Behaviour(delay_head_s=0.02)
        assert ask(house, "own").status == 200
        assert ask(house, "alpha/m0", max_tokens=10).status == 200
        own, paid = sorted(house.receipts(), key=lambda receipt: receipt.provider)
        assert own.cost_nanos > 0 < paid.cost_nanos
        assert shown(house)["spent_nanos"] == paid.cost_nanos
        house.stop()
        assert shown(house)["spent_nanos"] == paid.cost_nanos, "from the state folder"
        house.restart()
        assert shown(house)["spent_nanos"] == paid.cost_nanos, "and again in force"
    finally:
        house.stop()


@pytest.mark.parametrize("energy", [{}, {"tariff_per_kwh_usd": 1000, "busy_watts": 1000}])
def test_what_a_provider_is_paid_after_a_server_of_ours_failed_is_counted_beside_its_power(
    tmp_path: Path, upstream: Standin, energy: dict[str, Any]
) -> None:
    upstream.by_model["m1"] = Behaviour(status=500, delay_head_s=0.02)
    house = House(
        tmp_path,
        {
            "providers": {"alpha": provider(upstream, models=["m0"])},
            "prices": priced(upstream),
            "servers": {"own": {"adopt": upstream.url, "model": "m1", "health": "/v1/models"}},
            "models": {"both": ["own", "alpha/m0"]},
            "energy": energy,
            "budgets": [{"scope": "all", "limit_usd": 1.0, "window": "total"}],
        },
    )
    try:
        assert ask(house, "alpha/m0", max_tokens=10).status == 200
        price = house.receipt().cost_nanos
        assert ask(house, "both", max_tokens=10).header("x-freehold-deployment") == "alpha/m0"
        receipt = house.receipt()
        power, paid = receipt.attempts
        assert (power.deployment, paid.deployment) == ("own", "alpha/m0")
        assert (power.cost_nanos > 0) == bool(energy)
        assert receipt.cost_nanos == power.cost_nanos + price
        assert shown(house)["spent_nanos"] == 2 * price
        house.kill()
        house.restart()
        assert shown(house)["spent_nanos"] == 2 * price
        told = json.loads(house.run("costs", "--by", "provider", "--json", "--home", str(house.home)).stdout)
        by_provider = {row["name"]: sum(row["cost_nanos"].values()) for row in told}
        assert by_provider["alpha"] == 2 * price
        assert sum(by_provider.values()) == 2 * price + power.cost_nanos
    finally:
        house.stop()
