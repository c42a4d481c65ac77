"""Programs that call models by themselves tell of it over OTLP: receipts come of it, and budgets count it."""

from __future__ import annotations

import gzip
import json
import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from freehold.receipts.entries import Receipt
from freehold.testing.standin import Standin
from tests.house import CLIENT_KEY, STOP_S, House, provider
from tests.walks.priced import ask, priced
from tests.wire import Answer

BUDGETS = [{"scope": "all", "limit_usd": 1.0, "window": "total"}]


def span(number: int, **attributes: Any) -> dict[str, Any]:
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "alpha",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        **attributes,
    }
    now_ns = time.time_ns()
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": str(now_ns - 10**9),
        "endTimeUnixNano": str(now_ns),
        "attributes": [
            {
                "key": key,
                "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
            }
            for key, value in said.items()
        ],
    }


def export(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def send(house: House, path: str, body: bytes, **headers: str) -> Answer:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    with house.wire() as wire:
        return wire.call(path, body, headers=said)


def metrics(house: House) -> str:
    with house.wire() as wire:
        return wire.call("/metrics").body.decode()


def told(house: House, count: int) -> list[Receipt]:
    """Receipts of calls that did not come through here rest for a second before they are written."""
    return house.wait_receipts(count)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Standin]:
    with Standin(("m",)) as standin:
        yield standin


@pytest.fixture
def house(tmp_path: Path, upstream: Standin) -> Iterator[House]:
    config = {"providers": {"alpha": provider(upstream)}, "prices": priced(upstream), "budgets": BUDGETS}
    running = House(tmp_path, config)
    yield running
    running.stop()


def test_a_span_becomes_a_receipt_and_its_cost_counts_in_the_budget(house: House) -> None:
    answer = send(house, "/v1/traces", gzip.compress(export(span(1))), content_encoding="gzip")
    assert (answer.status, answer.json()) == (200, {})
    (receipt,) = told(house, 1)
    assert (receipt.provider, receipt.usage.fresh_in, receipt.usage.output_total) == ("alpha", 1000, 100)
    assert receipt.cost_nanos == 4_500_000  # 1000 x 3 USD/M + 100 x 15 USD/M
    with house.wire() as wire:
        (row,) = wire.call("/api/v1/budgets").json()
    assert row["spent_nanos"] == receipt.cost_nanos
    house.stop()
    house.restart()
    with house.wire() as wire:
        (row,) = wire.call("/api/v1/budgets").json()
    assert row["spent_nanos"] == receipt.cost_nanos, "the same after a restart"


def test_what_an_exporter_was_told_is_taken_outlives_a_kill(house: House) -> None:
    assert send(house, "/v1/traces", export(span(1), span(2))).status == 200
    house.kill()
    house.restart()
    assert len(told(house, 2)) == 2
    assert send(house, "/v1/traces", export(span(1), span(2), span(3))).status == 200  # it sends them again
    assert len(told(house, 1)) == 1
    house.stop()
    assert list((house.home / "telemetry" / "resting").iterdir()) == []


def test_megabytes_pass_and_what_is_no_otlp_is_refused_in_its_own_shape(house: House) -> None:
    prompt = "x" * 60_000
    large = export(*(span(number, **{"gen_ai.prompt": prompt}) for number in range(1, 81)))
    assert len(large) > 4_000_000
    assert send(house, "/v1/traces", large).status == 200
    assert len(told(house, 80)) == 80
    for path in ("/v1/traces", "/v1/metrics", "/v1/logs"):
        refused = send(house, path, b"{", content_type="application/json")
        assert (refused.status, refused.json()["code"]) == (400, 3), refused.body
        refused = send(house, path, b"\xff\xff", content_type="application/x-protobuf")
        assert (refused.status, refused.header("content-type")) == (400, "application/x-protobuf")
    assert send(house, "/v1/traces", b"x", content_type="text/plain").status == 415
    assert send(house, "/v1/metrics", b"{}").status == 200


class Collector(HTTPServer):
    """Takes what is passed on, and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.came: queue.Queue[tuple[str, str, bytes]] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.put((self.path, self.headers["x-team"], body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_from_the_moment_the_file_says_so_all_of_it_goes_to_a_collector(
    house: House, upstream: Standin, collector: Collector
) -> None:
    assert send(house, "/v1/traces", export(span(1))).status == 200
    telemetry = {"forward": collector.url, "headers": {"x-team": "blue"}}
    house.write_config({"providers": {"alpha": provider(upstream)}, "telemetry": telemetry})
    with house.wire() as wire:
        plan = wire.call("/api/v1/config/reload", {}).json()
    outcomes = {change["key"]: (change["effect"], change["outcome"]) for change in plan["changes"]}
    assert outcomes["telemetry"] == ("at once", "done")
    second = export(span(2))
    assert send(house, "/v1/traces", second).status == 200
    assert collector.came.get(timeout=10) == ("/v1/traces", "blue", second)
    assert collector.came.empty(), "what came before stays here"
    told(house, 2)
    deadline = time.monotonic() + STOP_S
    while "freehold_telemetry_forwarded_total 1.0" not in (text := metrics(house)):
        assert time.monotonic() < deadline, text  # counted when the collector's answer has been read
    assert 'freehold_telemetry_items_total{recognised="new"} 2.0' in text


def test_each_call_becomes_a_span_at_a_collector_once_the_file_says_so(
    house: House, upstream: Standin, collector: Collector
) -> None:
    assert ask(house, "alpha/m", max_tokens=10).status == 200
    telemetry = {"export": collector.url, "protocol": "http/json", "headers": {"x-team": "blue"}}
    config = {"providers": {"alpha": provider(upstream)}, "prices": priced(upstream)}
    house.write_config(config | {"telemetry": telemetry})
    with house.wire() as wire:
        plan = wire.call("/api/v1/config/reload", {}).json()
    assert {change["key"]: change["outcome"] for change in plan["changes"]}["telemetry"] == "done"
    receipt = ask(house, "alpha/m", max_tokens=10).header("x-freehold-receipt")
    path, team, body = collector.came.get(timeout=10)
    assert (path, team) == ("/v1/traces", "blue")
    (resource,) = json.loads(body)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    (span,) = scope["spans"]
    said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
    assert said["freehold.receipt"] == receipt, "only what came since"
    assert said["gen_ai.request.model"] == "alpha/m"


def test_a_use_of_a_tool_is_recorded_once_and_is_no_call(house: House) -> None:
    use = {"tool": "Bash", "call_id": "toolu_1", "session": "s1", "arguments": {"command": "ls"}}
    with house.wire() as wire:
        first = wire.call("/api/v1/receipts/tool", use).json()
        again = wire.call("/api/v1/receipts/tool", use).json()
        refused = wire.call("/api/v1/receipts/tool", {"tool": ""})
        receipt = wire.call(f"/api/v1/receipts/{first['id']}").json()["receipt"]
        assert wire.call("/api/v1/costs").json()["rows"] == []
    assert (first["repeated"], again["repeated"], again["id"]) == (False, True, first["id"])
    assert (receipt["kind"], receipt["session"]) == ("tool", "s1")
    assert "ls" not in receipt["detail"], "only hashes of what went in and out"
    assert (refused.status, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert house.receipts() == []


def test_with_keys_an_exporter_needs_one_like_everybody(tmp_path: Path, upstream: Standin) -> None:
    config = {"providers": {"alpha": provider(upstream)}, "auth": {"keys": [CLIENT_KEY]}}
    house = House(tmp_path, config)
    try:
        assert send(house, "/v1/traces", export(span(1))).status == 401
        keyed = send(house, "/v1/traces", export(span(1)), authorization=f"Bearer {CLIENT_KEY}")
        assert keyed.status == 200
    finally:
        house.stop()
    (receipt,) = house.receipts()
    assert receipt.usage.fresh_in == 1000, "what rests is written at the end"
