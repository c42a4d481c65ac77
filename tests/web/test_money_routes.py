"""Stories of the routes about money, choices and telemetry: what they take, and what they refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from freehold.core.progress import OWNER_HEADER
from freehold.routing.explain import ExplainIn
from freehold.web.api import create_app
from freehold.web.money import GrantIn
from tests.web.fakes import FakeControl

GRANT = "/api/v1/budgets/grant"
OWNER = {OWNER_HEADER: "owner"}


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def client(control: FakeControl) -> TestClient:
    return TestClient(create_app(control), raise_server_exceptions=False)


def test_money_and_choices_are_told(client: TestClient) -> None:
    assert client.get("/api/v1/budgets").json()[0]["left_nanos"] == 1_000_000_000
    assert client.get("/api/v1/limits").json()[0]["left"] == 250_000
    assert client.get("/api/v1/outcomes").json()[0]["trials"] == 3.0
    (task,) = client.get("/api/v1/shadow").json()["tasks"]
    assert (task["task"], task["compared"], task["good"]) == ("code", 4, 3)


def test_a_grant_names_its_budget(client: TestClient, control: FakeControl) -> None:
    asked = {"budget": "agent:writer per day", "usd": 0.5}
    for headers in ({}, {OWNER_HEADER: "other"}):
        refused = client.post(GRANT, json=asked, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_the_owner")
    answer = client.post(GRANT, json=asked, headers=OWNER)
    assert answer.json()["budget"] == "agent:writer per day"
    assert control.money.asked == [GrantIn(budget="agent:writer per day", usd=0.5)]


def test_an_outcome_goes_on_as_it_came(client: TestClient, control: FakeControl) -> None:
    sent = b'{"receipt": "rcp-1", "score": "pass"}'
    assert client.post("/api/v1/outcomes", content=sent).json()["chance"] == 0.6
    assert control.money.asked == [sent]


def test_a_prompt_is_explained(client: TestClient, control: FakeControl) -> None:
    answer = client.post("/api/v1/route/explain", json={"prompt": "hello", "task": "code"})
    assert answer.json()["reason"] == "qwen is local"
    assert control.money.asked == [ExplainIn(prompt="hello", task="code")]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (GRANT, {"budget": "b", "usd": 1}, 404, "no budget 'b'"),
        (GRANT, {"budget": "agent:writer per day", "usd": -1}, 409, "too much to take"),
        (GRANT, {"budget": "b", "usd": "much"}, 400, "usd"),
        (GRANT, {"budget": "b", "usd": 1, "why": ""}, 400, "why"),
        (GRANT, None, 400, "not as it should be"),
        ("/api/v1/outcomes", {}, 400, "no outcome"),
        ("/api/v1/route/explain", {"receipt": "rcp-7"}, 404, "no receipt 'rcp-7'"),
        ("/api/v1/route/explain", {"promt": ""}, 400, "promt"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    client: TestClient, path: str, body: Any, status: int, said: str
) -> None:
    content = b"" if body is None else msgspec.json.encode(body)
    answer = client.post(path, content=content, headers=OWNER)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_telemetry_comes_and_goes_as_bytes(client: TestClient, control: FakeControl) -> None:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    answer = client.post("/v1/traces", content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"\x0a\x00")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert control.telemetry.came == [("traces", b"\x1f\x8b", "application/x-protobuf", "gzip")]
    refused = client.post("/v1/metrics", content=b"{}", headers={"content-type": "application/json"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert client.get("/v1/logs").status_code == 405


def test_a_use_of_a_tool_is_recorded(client: TestClient) -> None:
    path = "/api/v1/receipts/tool"
    assert client.post(path, content=b'{"tool": "look"}').json()["id"] == "t1"
    refused = client.post(path, content=b"{}")
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "that is no use of a tool")
    full = client.post(path, content=b"[]")
    assert (full.status_code, full.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert client.get(path).status_code == 404, "there is no such receipt"
