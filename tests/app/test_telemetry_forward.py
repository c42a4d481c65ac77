"""Telemetry passed on to a collector: everything, in order, and bounded while the collector is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from freehold.adapters.telemetry.sender import SendOutcome
from freehold.app.telemetry_forward import Forwarder
from freehold.core.config_telemetry import TelemetryConfig
from tests.adapters.telemetry.export import JSON, PROTOBUF

FORWARD = TelemetryConfig(forward="http://127.0.0.1:4318")


class Collector:
    """Takes what it is sent; `script` says otherwise for the first requests."""

    def __init__(self, *script: SendOutcome) -> None:
        self.got: list[tuple[str, bytes, str, str]] = []
        self.script = list(script)
        self.some = asyncio.Event()

    async def post(self, signal, body, content_type, content_encoding=""):
        if self.script:
            return self.script.pop(0)
        self.got.append((signal, body, content_type, content_encoding))
        self.some.set()
        return SendOutcome(state="sent")

    def close(self) -> None:
        pass


async def forwarding(forwarder: Forwarder, until: Callable[[], bool], some: asyncio.Event) -> list[str]:
    said: list[str] = []
    task = asyncio.create_task(forwarder.keep(said.append))
    while not until():
        await asyncio.wait_for(some.wait(), 5)
        some.clear()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return said


async def test_what_comes_goes_to_the_collector_byte_for_byte_and_in_order():
    collector = Collector()
    forwarder = Forwarder(FORWARD, lambda url, headers: collector)
    requests = [("traces", b"\x0a\x00", PROTOBUF, ""), ("logs", b"zipped", JSON, "gzip")]
    for each in requests:
        forwarder.take(*each)
    await forwarding(forwarder, lambda: len(collector.got) == 2, collector.some)
    assert collector.got == requests


async def test_a_collector_that_is_away_gets_it_later_and_that_is_said_once():
    away = SendOutcome(state="again", after_s=0.001, words="connection refused")
    collector = Collector(away, away, away)
    forwarder = Forwarder(FORWARD, lambda url, headers: collector)
    forwarder.take("traces", b"1", PROTOBUF, "")
    said = await forwarding(forwarder, lambda: len(collector.got) == 1, collector.some)
    assert said == ["the collector does not take telemetry: connection refused"]


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_what_a_collector_refuses_for_a_wrong_key_waits(status: int) -> None:
    no = SendOutcome(state="rejected", status=status, after_s=0.001, words=f"it answers {status}")
    collector = Collector(no, no)
    forwarder = Forwarder(FORWARD, lambda url, headers: collector)
    forwarder.take("traces", b"1", PROTOBUF, "")
    said = await forwarding(forwarder, lambda: bool(collector.got), collector.some)
    assert (forwarder.dropped, len(said)) == (0, 1)
    assert f"it answers {status}" in said[0]


async def test_what_a_collector_refuses_for_good_is_said_once_for_each_signal() -> None:
    no = SendOutcome(state="rejected", status=400, words="it answers 400")
    collector = Collector(no, no, no)
    forwarder = Forwarder(FORWARD, lambda url, headers: collector)
    for signal in ("traces", "logs", "traces", "traces"):
        forwarder.take(signal, b"1", PROTOBUF, "")
    said = await forwarding(forwarder, lambda: bool(collector.got), collector.some)
    assert len(said) == 2
    assert all(signal in words for signal, words in zip(("traces", "logs"), said, strict=True))


async def test_what_a_collector_refuses_for_good_holds_up_nothing():
    collector = Collector(SendOutcome(state="rejected", words="400"))
    forwarder = Forwarder(FORWARD, lambda url, headers: collector)
    forwarder.take("traces", b"bad", PROTOBUF, "")
    forwarder.take("traces", b"good", PROTOBUF, "")
    await forwarding(forwarder, lambda: bool(collector.got), collector.some)
    assert ([body for _, body, *_ in collector.got], forwarder.dropped) == ([b"good"], 1)


def test_what_waits_for_a_collector_is_bounded():
    forwarder = Forwarder(FORWARD, lambda url, headers: Collector())
    for number in range(20):
        forwarder.take("traces", bytes(4 * 1024 * 1024) + bytes([number]), PROTOBUF, "")
    assert forwarder.dropped == 13
