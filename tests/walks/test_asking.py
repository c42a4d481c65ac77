"""What a running house answers about money and choices, over its own port."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from freehold.testing.standin import Behaviour, Standin
from tests.house import House, provider
from tests.walks.priced import ask, priced

BUDGETS = [
    {"scope": "agent:*", "limit_usd": 0.001, "window": "day", "on_limit": "ask"},
    {"scope": "all", "limit_usd": 30, "window": "month"},
]


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[Standin, Standin]]:
    with Standin(("m",)) as cheap, Standin(("m",)) as dear:
        yield cheap, dear


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, places: tuple[Standin, Standin]) -> Iterator[House]:
    cheap, dear = places
    config = {
        "providers": {"cheap": provider(cheap), "dear": provider(dear)},
        "prices": priced(cheap, "cheap", 0.1, 0.4) | priced(dear, "dear"),
        "tiers": {"balanced": ["cheap/m"], "premium": ["dear/m"]},
        "budgets": BUDGETS,
    }
    running = House(tmp_path_factory.mktemp("asking"), config)
    yield running
    running.stop()


def get(house: House, path: str) -> Any:
    with house.wire() as wire:
        answer = wire.call(path)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


def post(house: House, path: str, body: Any, *, as_owner: bool = True) -> tuple[int, Any]:
    key = json.loads((house.home / "run.json").read_bytes())["owner_key"] if as_owner else "guessed"
    with house.wire() as wire:
        answer = wire.call(path, body, headers={"x-freehold-owner": key})
        return answer.status, json.loads(answer.body)


def test_budgets_are_told_as_they_stand(house: House) -> None:
    ask(house, "cheap/m", headers={"x-freehold-agent": "teller"}, max_tokens=10)
    rows = {row["budget"]: row for row in get(house, "/api/v1/budgets")}
    spent = sum(each.cost_nanos for each in house.receipts())
    assert rows["all per month"]["spent_nanos"] == spent > 0
    assert rows["agent:teller per day"]["left_nanos"] == 1_000_000 - spent
    assert rows["agent:teller per day"]["on_limit"] == "ask"


def test_a_call_that_was_refused_passes_once_somebody_has_granted_it(house: House) -> None:
    asking = {"model": "dear/m", "headers": {"x-freehold-agent": "writer"}, "max_tokens": 1000}
    refused = ask(house, **asking)
    assert refused.status in (402, 429)
    words = json.loads(refused.body)["error"]["message"]
    command = "freehold budgets grant 'agent:writer per day' USD"
    assert "Whoever runs Freehold may allow more" in words, "the client is told who can help"
    assert command in house.log, "and whoever runs Freehold is told how"
    asked = {"budget": "agent:writer per day", "usd": 0.5}
    assert post(house, "/api/v1/budgets/grant", asked, as_owner=False)[0] == 403, "not the caller itself"
    assert ask(house, **asking).status in (402, 429)
    status, view = post(house, "/api/v1/budgets/grant", asked)
    assert (status, view["limit_nanos"]) == (200, 501_000_000)
    assert ask(house, **asking).status == 200
    assert stat.S_IMODE((house.home / "run.json").stat().st_mode) == 0o600
    house.stop()
    house.restart()
    rows = {row["budget"]: row for row in get(house, "/api/v1/budgets")}
    assert rows["agent:writer per day"]["limit_nanos"] == 501_000_000, "it is written down"


def test_commands_ask_the_running_house(house: House) -> None:
    asking = {"model": "dear/m", "headers": {"x-freehold-agent": "maker"}, "max_tokens": 1000}
    assert ask(house, **asking).status in (402, 429)
    granted = house.run("budgets", "grant", "agent:maker per day", "0.25")
    assert "agent:maker per day" in granted.stdout, granted.stderr
    answer = ask(house, **asking)
    assert answer.status == 200
    rows = {row["budget"]: row for row in json.loads(house.run("budgets", "--json").stdout)}
    assert rows["agent:maker per day"]["limit_nanos"] == 251_000_000
    receipt = answer.header("x-freehold-receipt")
    said = house.run("outcomes", "post", receipt, "0.25", "--task", "poems", "--note", "it does not rhyme")
    assert said.stdout.startswith("dear/m, poems: good answers 0."), said.stderr
    told = json.loads(house.run("outcomes", "--json").stdout)["beliefs"]
    assert ("poems", "dear/m") in {(row["task"], row["deployment"]) for row in told}
    explained = json.loads(house.run("route", "explain", "--receipt", receipt, "--json").stdout)
    assert (explained["deployment"], explained["live"]) == ("dear/m", True)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"budget": "all per year", "usd": 1}, 404, "no budget 'all per year'"),
        ({"budget": "agent:* per day", "usd": 1}, 409, "say for whom, as in 'agent:agent-1 per day'"),
        ({"budget": "agent:nobody per day", "usd": -1}, 409, "too much to take"),
        ({"budget": "all per month", "usd": 0.00000000001}, 409, "more than 9 decimals"),
        ({"budget": "all per month"}, 400, "usd"),
        ({"budget": "all per month", "usd": 1, "much": 1}, 400, "much"),
    ],
)
def test_a_grant_that_cannot_be_is_refused_in_words(house: House, body: Any, status: int, words: str) -> None:
    answered, said = post(house, "/api/v1/budgets/grant", body)
    assert answered == status, said
    assert words in said["error"]["message"]


def test_limits_are_told_once_a_provider_has_told_them(house: House, places: tuple[Standin, Standin]) -> None:
    left = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "40"}
    places[0].default = Behaviour(headers=left)
    ask(house, "cheap/m", max_tokens=10)
    told = {(row["provider"], row["window"]): row for row in get(house, "/api/v1/limits")}
    assert told["cheap", "requests"]["left"] == 40, told


def test_an_outcome_is_recorded_and_believed(house: House) -> None:
    answer = ask(house, "cheap/m", headers={"x-freehold-task": "review"}, max_tokens=10)
    receipt = answer.header("x-freehold-receipt")
    status, view = post(house, "/api/v1/outcomes", {"receipt": receipt, "score": "fail", "note": "no"})
    assert (status, view["receipt"], view["deployment"], view["task"]) == (200, receipt, "cheap/m", "review")
    (belief,) = [row for row in get(house, "/api/v1/outcomes") if row["task"] == "review"]
    assert (belief["deployment"], belief["trials"]) == ("cheap/m", 1.0)
    assert post(house, "/api/v1/outcomes", {"receipt": receipt, "score": 2})[0] == 400
    status, said = post(house, "/api/v1/outcomes", {"receipt": "nobody", "score": 1})
    assert (status, said["error"]["code"]) == (400, "invalid_request")


def test_a_choice_is_explained_before_and_after(house: House) -> None:
    status, view = post(house, "/api/v1/route/explain", {"prompt": "Sum this up: all is well.", "task": "x"})
    assert (status, view["live"]) == (200, True)
    assert {row["name"] for row in view["candidates"]} == {"cheap/m", "dear/m"}
    answer = ask(house, "auto", max_tokens=10)
    receipt = answer.header("x-freehold-receipt")
    status, past = post(house, "/api/v1/route/explain", {"receipt": receipt})
    assert (past["receipt"], past["deployment"]) == (receipt, answer.header("x-freehold-deployment"))
    assert post(house, "/api/v1/route/explain", {"receipt": "rcp-nobody"})[0] == 404
    assert post(house, "/api/v1/route/explain", {"promt": "x"})[0] == 400


def test_what_could_have_been_local_is_told(house: House) -> None:
    assert get(house, "/api/v1/shadow")["tasks"] == []


def test_the_document_knows_all_of_it(house: House) -> None:
    document = get(house, "/api/openapi.json")
    paths = document["paths"]
    assert {"/api/v1/budgets", "/api/v1/budgets/grant", "/api/v1/limits", "/v1/traces"} <= paths.keys()
    body = paths["/api/v1/budgets/grant"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/GrantIn"}
    for name in ("GrantIn", "OutcomeIn", "ExplainIn", "BudgetView", "LimitView", "Explanation"):
        assert name in document["components"]["schemas"]


def test_prometheus_is_told_what_is_spent_left_and_chosen(house: House) -> None:
    assert ask(house, "auto", max_tokens=10).status == 200
    called = get(house, "/api/v1/status")["calls"]
    while True:  # the projection is a moment behind the ledger
        with house.wire() as wire:
            text = wire.call("/metrics").body.decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        if sum(s.value for s in families["freehold_calls"].samples if s.name.endswith("_total")) >= called:
            break
    (row,) = [row for row in get(house, "/api/v1/budgets") if row["budget"] == "all per month"]
    spent = {s.labels["budget"]: s.value for s in families["freehold_budget_spent_usd"].samples}
    assert spent["all per month"] == pytest.approx((row["spent_nanos"] + row["expired_nanos"]) / 1e9)
    assert sum(s.value for s in families["freehold_routed_calls"].samples) >= 1
    assert families["freehold_limit_left_ratio"].samples, "a provider told its limits above"
    assert "writer" not in text, "names that clients give are no labels"
