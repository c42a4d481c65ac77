"""Stories of the control API: what it answers, how it fails, and what its document promises."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from freehold.receipts.query import Filter
from freehold.web.api import create_app
from freehold.web.control import StatusView
from tests.web.fakes import FakeControl


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def client(control: FakeControl) -> Iterator[TestClient]:
    with TestClient(create_app(control), raise_server_exceptions=False) as client:
        yield client


def test_status_models_and_servers_are_told(client: TestClient) -> None:
    assert client.get("/api/v1/status").json()["ledger"] == {"entries": 3, "signed": 3, "projected": 3}
    assert client.get("/api/v1/models").json()[0]["places"][0]["server"] == "tiny"
    assert client.get("/api/v1/servers").json()[0]["state"] == "ready"
    assert client.get("/api/v1/servers/tiny").json()["slots"] == 2


def test_a_server_is_ordered_and_answers_with_its_state(client: TestClient, control: FakeControl) -> None:
    assert client.post("/api/v1/servers/tiny/restart").json()["state"] == "ready"
    assert control.asked[-1] == ("tiny", "restart")
    assert client.get("/api/v1/servers/tiny/restart").status_code == 405


def test_a_servers_deaths_and_log_are_told(client: TestClient) -> None:
    deaths = client.get("/api/v1/servers/tiny/deaths?limit=2").json()
    assert [death["cause"] for death in deaths] == ["hangup", "hangup"]
    assert client.get("/api/v1/servers/tiny/log?lines=1").json() == {"lines": ["a"], "next": 4, "file": ""}
    assert client.get("/api/v1/servers/tiny/log?since=9").json()["next"] == 9


def test_the_machines_memory_is_told(client: TestClient) -> None:
    seen = client.get("/api/v1/machine").json()
    assert (seen["ram_free_bytes"], seen["gpus"][0]["free_bytes"]) == (32, 8)


def test_calls_under_way_are_listed(client: TestClient) -> None:
    assert client.get("/api/v1/calls").json()[0]["state"] == "answering"


def test_a_reload_may_be_tried_and_says_what_is_wrong_with_the_file(client: TestClient) -> None:
    assert client.post("/api/v1/config/reload?dry_run=true").json()["dry_run"] is True
    answer = client.post("/api/v1/config/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "bad_configuration")
    assert "/f.yaml:3: servrs: unknown key Did you mean 'servers'?" in answer.json()["error"]["message"]


def test_prometheus_is_told_in_its_text_format(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    states = {s.labels["state"]: s.value for s in families["freehold_server_state"].samples}
    assert (states["ready"], states["failed"]) == (1, 0)
    assert families["freehold_cost_usd"].samples[0].value == 1.5
    assert families["freehold_server_deaths"].samples[0].labels == {"server": "tiny", "cause": "oom-cgroup"}
    infinite = [s for s in families["freehold_call_seconds"].samples if s.labels.get("le") == "+Inf"]
    assert infinite[0].value == 2


def test_prometheus_is_told_of_money_and_never_of_a_clients_own_words(client: TestClient) -> None:
    text = client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def told(name: str) -> dict[tuple[str, ...], float]:
        return {tuple(s.labels.values()): s.value for s in families[f"freehold_{name}"].samples}

    assert told("budget_limit_usd") == {("agent:* per day",): 2.0, ("all",): 2.0}
    assert told("budget_spent_usd") == {("agent:* per day",): 1.2, ("all",): 0.6}
    assert told("budget_held_usd") == {("agent:* per day",): 0.8, ("all",): 0.4}
    assert told("budget_left_usd") == {("agent:* per day",): 7e-9, ("all",): 1.0}
    assert told("limit_left_ratio") == {("", "openai", "5h"): 0.25}
    assert told("limit_reset_timestamp_seconds") == {("", "openai", "5h"): 9.0}
    assert told("cache_hits") == {("exact",): 3}
    assert told("cache_saved_usd") == {("exact",): 2.0}
    assert (told("cache_misses"), told("cache_entries")) == ({(): 4}, {(): 2})
    assert (told("routed_calls"), told("escalations")) == ({("local",): 5}, {(): 1})
    assert (told("shadow_compared"), told("shadow_good_ratio")) == ({(): 4}, {(): 0.75})
    assert told("telemetry_items") == {("new",): 3, ("span",): 2}
    assert (told("telemetry_forwarded"), told("telemetry_dropped")) == ({(): 6}, {(): 0})
    assert "writer" not in text


def test_health_says_why_it_is_not_well(client: TestClient, control: FakeControl) -> None:
    assert client.get("/api/v1/health").status_code == 200
    control.ok = False
    answer = client.get("/api/v1/health")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["the disk is full"])


def test_receipts_are_filtered_and_paged(client: TestClient, control: FakeControl) -> None:
    page = client.get("/api/v1/receipts?project=site&outcome=ok&since_ms=5&limit=2").json()
    assert [receipt["seq"] for receipt in page["receipts"]] == [9, 8]
    assert page["next_before"] == 8
    assert control.asked == [Filter(project="site", outcome="ok", since_ms=5, limit=2)]
    assert client.get("/api/v1/receipts?before=8").json()["next_before"] is None
    assert control.asked[-1].before == 8


def test_one_receipt_and_its_proof(client: TestClient) -> None:
    whole = client.get("/api/v1/receipts/rcp-1").json()
    assert (whole["index"], whole["receipt"]["project"]) == (5, "site")
    proof = client.get("/api/v1/receipts/rcp-1/proof")
    assert proof.headers["content-type"].startswith("text/plain")
    assert proof.text == "c2sp.org/tlog-proof@v1\n"


def test_costs_are_summed_by_what_was_asked(client: TestClient, control: FakeControl) -> None:
    report = client.get("/api/v1/costs?by=model&since_ms=10").json()
    assert report["by"] == "model"
    assert report["rows"][0]["cost_nanos"] == {"computed": 5}
    assert control.asked == [("model", 10, None)]


def test_files_are_read_beside_the_event_loop_and_memory_on_it(
    client: TestClient, control: FakeControl
) -> None:
    client.get("/api/v1/status")
    client.get("/api/v1/receipts")
    assert control.threads["status"] != control.threads["receipts"]


@pytest.mark.parametrize(
    ("path", "status", "code", "said"),
    [
        ("/api/v1/servers/none", 404, "not_found", "no server 'none'"),
        ("/api/v1/servers/none/deaths", 404, "not_found", "no server 'none'"),
        ("/api/v1/servers/none/log", 404, "not_found", "no server 'none'"),
        ("/api/v1/servers/tiny/log?lines=-1", 400, "invalid_request", "lines"),
        ("/api/v1/receipts/none", 404, "not_found", "no receipt 'none'"),
        ("/api/v1/receipts/none/proof", 404, "not_found", "no receipt"),
        ("/api/v1/receipts/rcp-late/proof", 409, "not_possible_now", "not under a signed checkpoint yet"),
        ("/api/v1/receipts/rcp-", 409, "not_possible_now", "several"),
        ("/api/v1/receipts?limit=0", 400, "invalid_request", "limit"),
        (
            f"/api/v1/receipts?since_ms={10**23}",
            400,
            "invalid_request",
            "since_ms: Input should be less than",
        ),
        (f"/api/v1/receipts?since_ms=-{10**23}", 400, "invalid_request", "since_ms: Input should be greater"),
        (f"/api/v1/receipts?until_ms={2**63}", 400, "invalid_request", "until_ms: Input should be less than"),
        (f"/api/v1/receipts?before={2**63}", 400, "invalid_request", "before: Input should be less than"),
        ("/api/v1/receipts?projct=x", 400, "invalid_request", "projct"),
        ("/api/v1/receipts?outcome=great", 400, "invalid_request", "outcome"),
        ("/api/v1/costs?by=weather", 400, "invalid_request", "by"),
        (f"/api/v1/costs?since_ms={10**23}", 400, "invalid_request", "since_ms: Input should be less than"),
        (f"/api/v1/costs?since_ms=-{2**70}", 400, "invalid_request", "since_ms: Input should be greater"),
        (f"/api/v1/costs?until_ms={10**23}", 400, "invalid_request", "until_ms: Input should be less than"),
        ("/api/v1/nothing", 404, "not_found", "nothing is at /api/v1/nothing: clients of OpenAI's API take"),
    ],
)
def test_every_error_has_one_shape(client: TestClient, path: str, status: int, code: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert said in answer.json()["error"]["message"]


def test_a_method_that_is_not_there_and_a_defect_have_that_shape_too(control: FakeControl) -> None:
    def broken() -> StatusView:
        raise RuntimeError("secret detail")

    control.status = broken
    with TestClient(create_app(control), raise_server_exceptions=False) as client:
        assert client.post("/api/v1/models").json()["error"]["code"] == "method_not_allowed"
        answer = client.get("/api/v1/status")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret detail" not in answer.text


PATHS = {
    "/api/v1/status",
    "/api/v1/health",
    "/api/v1/models",
    "/api/v1/servers",
    "/api/v1/servers/{name}",
    "/api/v1/servers/{name}/start",
    "/api/v1/servers/{name}/stop",
    "/api/v1/servers/{name}/restart",
    "/api/v1/servers/{name}/take-over",
    "/api/v1/servers/{name}/deaths",
    "/api/v1/servers/{name}/log",
    "/api/v1/calls",
    "/api/v1/machine",
    "/api/v1/plan",
    "/api/v1/config/reload",
    "/api/v1/receipts",
    "/api/v1/receipts/{receipt_id}",
    "/api/v1/receipts/{receipt_id}/proof",
    "/api/v1/costs",
    "/api/v1/budgets",
    "/api/v1/budgets/grant",
    "/api/v1/limits",
    "/api/v1/outcomes",
    "/api/v1/route/explain",
    "/api/v1/shadow",
    "/api/v1/receipts/tool",
    "/v1/traces",
    "/v1/metrics",
    "/v1/logs",
}


def test_the_document_describes_every_route_and_every_shape(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert set(document["paths"]) == PATHS
    names = document["components"]["schemas"]
    referred = set(references(document))
    assert referred <= {f"#/components/schemas/{name}" for name in names}
    assert "#/components/schemas/StatusView" in referred
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert set(operation["responses"]) == {"200", "default"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for part in node.values():
            yield from references(part)
    elif isinstance(node, list):
        for part in node:
            yield from references(part)


class Sources(HTMLParser):
    """Everything that a page makes a browser fetch or open."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_pages_need_no_script_and_no_other_host(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    sources = Sources()
    sources.feed(answer.text)
    assert "script" not in sources.tags
    assert "b" not in sources.tags, "a model's name was taken for markup"
    assert all(link.startswith("/") for link in sources.links)
    assert all(client.get(link).status_code == 200 for link in sources.links)


def test_the_docs_page_lists_every_operation(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert all(path in page for path in client.get("/api/openapi.json").json()["paths"])
