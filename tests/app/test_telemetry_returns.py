"""What a collector sends back to us is not sent to it again, and nothing else is taken for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.adapters.telemetry.signals import Signal
from freehold.adapters.telemetry.wire import blob, fixed64
from tests.adapters.telemetry.export import JSON, PROTOBUF, text
from tests.app.telling import FORWARD, NOW_MS, Desk

NOW_NS = NOW_MS * 1_000_000
KINDS = {"histogram": 9, "exponentialHistogram": 10, "summary": 11}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, FORWARD)
    yield made
    made.close()


async def forwarded(desk: Desk, signal: Signal, *requests: tuple[str, bytes]) -> int:
    for kind, body in requests:
        assert (await desk.telemetry.receive(signal, body, kind, "")).status == 200
    return desk.telemetry.forwarder.waiting


# -- metrics


def metrics(kind: str, *metrics: tuple[str, int]) -> tuple[str, bytes]:
    """A request with these metrics (kind, count), a point each."""
    if kind == PROTOBUF:
        said = (
            text(1, "m") + blob(KINDS.get(name, 5), blob(1, fixed64(3, NOW_NS) + fixed64(4, count)))
            for name, count in metrics
        )
        return kind, blob(1, blob(2, b"".join(blob(2, each) for each in said)))
    made = [
        {"name": "m", name: {"dataPoints": [{"timeUnixNano": str(NOW_NS), "count": str(count)}]}}
        for name, count in metrics
    ]
    return kind, json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": made}]}]}).encode()


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize("name", KINDS)
async def test_a_histogram_that_comes_back_is_not_passed_on(desk: Desk, kind: str, name: str) -> None:
    assert await forwarded(desk, "metrics", *[metrics(kind, (name, 3))] * 3) == 1


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_another_histogram_is_passed_on(desk: Desk, kind: str) -> None:
    requests = [metrics(kind, ("histogram", count)) for count in (3, 4)]
    assert await forwarded(desk, "metrics", *requests) == 2


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_new_histogram_beside_a_known_number_is_passed_on(desk: Desk, kind: str) -> None:
    known = ("gauge", 1)
    requests = [metrics(kind, known), metrics(kind, known, ("histogram", 3))]
    assert await forwarded(desk, "metrics", *requests) == 2


# -- logs


def log(kind: str, words: str) -> tuple[str, bytes]:
    """A request with a record whose body is a mapping."""
    if kind == PROTOBUF:
        values = blob(1, text(1, "said") + blob(2, text(1, words)))
        return kind, blob(1, blob(2, blob(2, fixed64(1, NOW_NS) + blob(5, blob(6, values)))))
    body = {"kvlistValue": {"values": [{"key": "said", "value": {"stringValue": words}}]}}
    record: dict[str, Any] = {"timeUnixNano": str(NOW_NS), "body": body}
    return kind, json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_records_that_differ_in_a_structured_body_are_all_passed_on(desk: Desk, kind: str) -> None:
    assert await forwarded(desk, "logs", log(kind, "a"), log(kind, "b")) == 2


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_record_with_a_structured_body_that_comes_back_is_not_passed_on(
    desk: Desk, kind: str
) -> None:
    assert await forwarded(desk, "logs", log(kind, "a"), log(kind, "a")) == 1


@pytest.mark.parametrize(
    ("one", "other"), [({"intValue": "1"}, {"intValue": "2"}), ({"stringValue": "a"}, {"stringValue": "b"})]
)
async def test_records_of_a_named_event_that_differ_in_any_body_are_all_passed_on(
    desk: Desk, one: dict[str, str], other: dict[str, str]
) -> None:
    def named(body: dict[str, str]) -> tuple[str, bytes]:
        record = {"timeUnixNano": str(NOW_NS), "eventName": "e", "body": body}
        return JSON, json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()

    assert await forwarded(desk, "logs", named(one), named(other)) == 2
