"""Spans for a collector that is not there at first, from a Freehold that is killed meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from freehold.adapters.telemetry.intake import read_request
from freehold.adapters.telemetry.signals import Span
from freehold.testing.standin import Behaviour, Standin
from tests.adapters.telemetry.collector import TAKEN, Collector
from tests.house import House
from tests.talk import PATHS, asking
from tests.walks.priced import house_with
from tests.wire import free_port

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def ask(house: House, model: str) -> str:
    """One call; its receipt's id."""
    with house.wire() as wire:
        answer = wire.call(
            PATHS["chat"],
            asking("chat", model, "hello"),
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "x-freehold-session": "s-1"},
        )
    found = answer.header("x-freehold-receipt")
    assert found
    return found


def wait_for(house: House, words: str) -> None:
    deadline = time.monotonic() + 20
    while words not in house.log:
        assert time.monotonic() < deadline, house.log
        time.sleep(0.01)


async def spans_at(port: int, wanted: set[str]) -> dict[str, Span]:
    """Be the collector until all of `wanted` have come; the calls' spans by receipt."""
    it, found = Collector(TAKEN), dict[str, Span]()
    server = await asyncio.start_server(it.begin, "127.0.0.1", port)
    async with server, asyncio.timeout(60):
        while not wanted <= found.keys():
            await it.asked.wait()
            it.asked.clear()
            for _, fields, body in it.requests:
                for span in read_request("traces", body, fields["content-type"], "").spans:
                    if "freehold.receipt" in span.attributes:
                        found[str(span.attributes["freehold.receipt"])] = span
    await it.close()
    return found


def test_a_collector_that_comes_late_gets_all_of_it_also_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with Standin(("m0",)) as upstream:
        house = house_with(tmp_path, upstream, telemetry={"export": f"http://127.0.0.1:{port}"})
        try:
            while not (house.home / "telemetry" / "export.json").exists():
                time.sleep(0.01)
            upstream.script(Behaviour(input_tokens=100, cached_tokens=60, pieces=("a", "b")))
            first = ask(house, "alpha/m0")
            wait_for(house, "the collector does not take spans, they wait: no connection")
            house.kill()
            house.restart()
            second = ask(house, "alpha/none-such")
            spans = asyncio.run(spans_at(port, {first, second}))
            receipts = {receipt.id: receipt for receipt in house.receipts()}
        finally:
            house.stop()
    for span in spans.values():
        assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
        assert span.attributes["gen_ai.conversation.id"] == "s-1"
    told = spans[first].attributes
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.cache_read.input_tokens"]) == (100, 60)
    assert told["freehold.cost.nano_usd"] == receipts[first].cost_nanos > 0
    assert told["server.port"] == upstream.port
    assert (spans[first].failed, spans[second].failed) == (False, receipts[second].outcome != "ok")
