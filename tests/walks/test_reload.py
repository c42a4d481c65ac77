"""A section of the file is changed while calls are under way: it is in force, and no call is dropped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import INPUT_USD, ask, priced

ENERGY = {"tariff_per_kwh_usd": 0.3, "busy_watts": 400, "idle_watts": 50}


@pytest.fixture
def upstream() -> Iterator[Standin]:
    with Standin(("m", "n")) as standin:
        yield standin


class Files:
    """A house whose file is written anew."""

    def __init__(self, folder: Path, upstream: Standin, **config: Any) -> None:
        self.base = {"providers": {"alpha": provider(upstream)}, "prices": priced(upstream)}
        self.house = House(folder, self.base | config)

    def change(self, **config: Any) -> dict[str, str]:
        """Write the file, have it read, and say what became of each change."""
        self.house.write_config(self.base | config)
        with self.house.wire() as wire:
            answer = wire.call("/api/v1/config/reload", {})
        assert answer.status == 200, answer.body
        plan = json.loads(answer.body)
        assert not plan["problems"], plan
        assert {change["effect"] for change in plan["changes"]} == {"at once"}
        return {change["key"]: change["outcome"] for change in plan["changes"]}

    def get(self, path: str) -> Any:
        with self.house.wire() as wire:
            return json.loads(wire.call(path).body)


@pytest.fixture
def files(tmp_path: Path, upstream: Standin) -> Iterator[Files]:
    made = Files(tmp_path, upstream)
    yield made
    made.house.stop()


def budget(limit_usd: float, **more: Any) -> dict[str, Any]:
    return {"scope": "all", "limit_usd": limit_usd, "window": "total"} | more


def test_a_first_budget_knows_what_was_spent_and_binds_the_next_call(files: Files) -> None:
    assert ask(files.house, "alpha/m", max_tokens=10).status == 200
    spent = files.house.receipt().cost_nanos
    assert files.change(budgets=[budget(0.000001)]) == {"budgets": "done"}
    (row,) = files.get("/api/v1/budgets")
    assert (row["spent_nanos"], row["limit_nanos"]) == (spent, 1000)
    assert ask(files.house, "alpha/m", max_tokens=10).status == 402
    assert files.change(budgets=[budget(1.0)]) == {"budgets": "done"}
    assert ask(files.house, "alpha/m", max_tokens=10).status == 200
    assert files.change() == {"budgets": "done"}
    assert files.get("/api/v1/budgets") == []
    assert ask(files.house, "alpha/m", max_tokens=10).status == 200
    assert files.change(budgets=[budget(1.0)]) == {"budgets": "done"}
    (row,) = files.get("/api/v1/budgets")
    assert row["spent_nanos"] == sum(each.cost_nanos for each in files.house.receipts())
    assert row["held_nanos"] == 0


def test_a_call_under_way_is_settled_in_the_book_that_is_in_force(files: Files, upstream: Standin) -> None:
    upstream.default = Behaviour(hold_head="g")
    caller = threading.Thread(target=ask, args=(files.house, "alpha/m"), kwargs={"max_tokens": 10})
    caller.start()
    upstream.wait_for(1)
    assert files.change(budgets=[budget(1.0)]) == {"budgets": "done"}
    assert files.change(budgets=[budget(2.0), budget(1.0, scope="provider:alpha")]) == {"budgets": "done"}
    upstream.gate("g").open()
    caller.join(10)
    (receipt,) = files.house.wait_receipts(1)
    assert receipt.outcome == "ok"
    rows = files.get("/api/v1/budgets")
    assert [(row["spent_nanos"], row["held_nanos"]) for row in rows] == [(receipt.cost_nanos, 0)] * 2


def test_prices_count_from_the_next_call_on(files: Files, upstream: Standin) -> None:
    first = ask(files.house, "alpha/m", max_tokens=10)
    before = files.house.receipt()
    assert first.status == 200
    dearer = priced(upstream, input_usd=INPUT_USD * 10, output_usd=150.0)
    assert files.change(prices=dearer) == {"prices": "done"}
    ask(files.house, "alpha/m", max_tokens=10)
    after = files.house.receipt()
    assert after.cost_nanos == 10 * before.cost_nanos
    assert after.price_snapshot != before.price_snapshot


@pytest.mark.parametrize("budgets", [[], [budget(1.0)]])
def test_a_call_under_way_is_paid_at_the_prices_of_its_start(
    files: Files, upstream: Standin, budgets: list[dict[str, Any]]
) -> None:
    if budgets:
        files.change(budgets=budgets)
    ask(files.house, "alpha/m", max_tokens=10)
    before = files.house.receipt()
    upstream.default = Behaviour(hold_head="g")
    caller = threading.Thread(target=ask, args=(files.house, "alpha/m"), kwargs={"max_tokens": 10})
    caller.start()
    upstream.wait_for(2)
    dearer = priced(upstream, input_usd=INPUT_USD * 100, output_usd=1500.0)
    assert files.change(budgets=budgets, prices=dearer) == {"prices": "done"}
    upstream.gate("g").open()
    caller.join(10)
    (receipt,) = files.house.wait_receipts(1)
    assert (receipt.cost_nanos, receipt.price_snapshot) == (before.cost_nanos, before.price_snapshot)
    assert before.price_snapshot


def test_a_price_that_is_said_while_a_call_is_under_way_is_better_than_none(
    files: Files, upstream: Standin
) -> None:
    files.change(prices={})
    upstream.default = Behaviour(hold_head="g")
    caller = threading.Thread(target=ask, args=(files.house, "alpha/m"), kwargs={"max_tokens": 10})
    caller.start()
    upstream.wait_for(1)
    assert files.change() == {"prices": "done"}
    upstream.gate("g").open()
    caller.join(10)
    (receipt,) = files.house.wait_receipts(1)
    assert receipt.cost_state == "computed" and receipt.cost_nanos > 0


def test_answers_are_kept_from_now_on_and_no_more_after_that(files: Files, upstream: Standin) -> None:
    def twice() -> list[str]:
        for _ in range(2):
            assert ask(files.house, "alpha/m", "the same").status == 200
        return [receipt.cached for receipt in files.house.new_receipts()]

    assert twice() == ["", ""]
    assert files.change(cache={"exact": {"disk": "kept"}}) == {"cache": "done"}
    assert twice() == ["", "exact"]
    assert files.change(cache={"exact": {"disk": "kept", "ttl": "2h"}}) == {"cache": "done"}
    assert twice() == ["exact", "exact"], "what lies on disk is found again"
    assert files.change() == {"cache": "done"}
    assert twice() == ["", ""]


def test_a_folder_that_cannot_be_is_told_and_the_cache_goes_on_as_it_was(files: Files) -> None:
    assert files.change(cache={"exact": {}}) == {"cache": "done"}
    (files.house.folder / "file").write_text("in the way")
    assert files.change(cache={"exact": {"disk": "file/kept"}}) == {"cache": "failed"}
    for _ in range(2):
        ask(files.house, "alpha/m", "still kept")
    assert [receipt.cached for receipt in files.house.new_receipts()] == ["", "exact"]


def test_nobody_who_calls_meanwhile_notices(files: Files, upstream: Standin) -> None:
    upstream.default = Behaviour(delay_head_s=0.02)
    ways: list[dict[str, Any]] = [
        {"budgets": [budget(5.0)], "cache": {"exact": {"disk": "kept"}}},
        {"budgets": [budget(6.0), budget(5.0, scope="agent:*")], "energy": ENERGY},
        {"cache": {"exact": {"disk": "kept", "entries": 5}}, "limits": {"human_reserve": 0.2}},
        {"budgets": [budget(7.0, window="24h")], "prices": priced(upstream, input_usd=1.0)},
    ]
    over = threading.Event()

    def call(number: int) -> list[int]:
        statuses: list[int] = []
        while not over.is_set():
            text = f"question {len(statuses) % 3} of {number}"
            statuses.append(ask(files.house, "alpha/m", text, max_tokens=10).status)
        return statuses

    with ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(call, number) for number in range(8)]
        try:
            for way in [*ways, *ways]:
                assert set(files.change(**way).values()) == {"done"}
        finally:
            over.set()
        statuses = {status for each in calls for status in each.result(30)}
    assert statuses == {200}
    (row,) = files.get("/api/v1/budgets")
    receipts = files.house.receipts()
    assert row["spent_nanos"] == sum(each.cost_nanos for each in receipts)
    assert (row["held_nanos"], row["expired_nanos"]) == (0, 0)


@pytest.mark.parametrize(("coalesce", "asked"), [(False, 2), (True, 1)])
def test_whether_equal_calls_share_one_answer_follows_the_file(
    files: Files, upstream: Standin, coalesce: bool, asked: int
) -> None:
    files.change(routing={"coalesce": not coalesce, "explore": 0})
    assert files.change(routing={"coalesce": coalesce, "explore": 0}) == {"routing": "done"}
    upstream.default = Behaviour(hold_head="g")
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(ask, files.house, "alpha/m", "equal", temperature=0) for _ in range(2)]
        while len(files.get("/api/v1/calls")) < 2:
            assert not any(call.done() for call in calls)
        upstream.wait_for(asked)
        upstream.gate("g").open()
        assert [call.result(10).status for call in calls] == [200, 200]
    assert len(upstream.seen) == asked


def test_the_reserve_for_people_and_energy_and_flat_costs_follow(files: Files, upstream: Standin) -> None:
    changed = files.change(
        limits={"human_reserve": 0.3},
        energy=ENERGY,
        subscriptions=[{"provider": "alpha", "usd_per_month": 20}],
        routing={"explore": 0.5},
    )
    assert changed == {"limits": "done", "energy": "done", "subscriptions": "done", "routing": "done"}
    assert files.change(energy={"tariff_per_kwh_usd": 0.4, "busy_watts": 400}) == {
        "limits": "done",
        "energy": "done",
        "subscriptions": "done",
        "routing": "done",
    }
    assert files.change() == {"energy": "done"}
    assert len(list((files.house.home / "prices").glob("energy-*.json"))) == 2
