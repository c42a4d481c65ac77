"""Programs that export telemetry with the real libraries, pointed at Freehold: all give the same totals.

Each makes the same calls twice: straight to the model, so that Freehold knows of them by telemetry alone, and
through Freehold, where telemetry must add nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from freehold.receipts.entries import Receipt
from freehold.testing.standin import Behaviour, Standin, ToolCall
from tests.compat import otel
from tests.compat.agents import Agents
from tests.compat.exporters import PROGRAMS
from tests.house import House, provider

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("exporters")]

MODEL = "gpt-4o-mini"
SAID = Behaviour(input_tokens=111, cached_tokens=64, thinking="a b c")
WITH_TOOL = Behaviour(
    input_tokens=111, cached_tokens=64, tool_calls=(ToolCall(name="look", arguments='{"city":"Bern"}'),)
)
PLAIN, TOOL = (111, 12), (111, 14)
"""Input and output of the stand-in's answers, as it reports them."""
EMBEDDED = (111, 0)
TOTALS = {name: [EMBEDDED, PLAIN, PLAIN, TOOL] for name in PROGRAMS} | {
    "pydantic_ai": [EMBEDDED, PLAIN, PLAIN, PLAIN, TOOL]  # it uses the tool and goes on
}
NO_CACHE = ("opentelemetry",)
"""They do not tell how much of the input was cached."""
REASONING = ("genai", "openinference", "pydantic_ai")
"""They tell in each case how much of the output was thought."""


class Place:
    """A Freehold, and the stand-in behind it. Nothing is reset: ids of answers go on being new."""

    def __init__(self, house: House, upstream: Standin) -> None:
        self.house, self.upstream = house, upstream
        self._markers = 0

    def decided(self) -> list[Receipt]:
        """New receipts, once everything that was exported before is decided: a call of our own, told by
        telemetry, comes after it."""
        self._markers += 1
        marker = f"marker-{self._markers}"
        with self.house.wire() as wire:
            answer = wire.call("/v1/traces", marking(marker, self._markers))
        assert answer.status == 200
        found: list[Receipt] = []
        deadline = time.monotonic() + 20
        while not any(receipt.response_id == marker for receipt in found):
            assert time.monotonic() < deadline, "telemetry is not decided"
            found += self.house.new_receipts()
            time.sleep(0.02)
        return [receipt for receipt in found if receipt.response_id != marker]


def marking(marker: str, number: int) -> dict[str, Any]:
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": marker, "gen_ai.response.id": marker}
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": name, "value": {"stringValue": value}} for name, value in told.items()],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


@pytest.fixture(scope="module")
def the_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Standin((MODEL, "claude-sonnet-4-5", "gpt-5-codex")) as upstream:
        providers = {
            "openai": provider(upstream, responses=True, models=[MODEL, "gpt-5-codex"]),
            "anthropic": provider(upstream, "anthropic", models=["claude-sonnet-4-5"]),
        }
        house = House(tmp_path_factory.mktemp("exporters"), {"providers": providers})
        yield Place(house, upstream)
        house.stop()


@pytest.fixture
def place(the_place: Place) -> Place:
    the_place.upstream.default = SAID
    the_place.house.new_receipts()
    return the_place


def totals(receipts: Sequence[Receipt]) -> list[tuple[int, int]]:
    return sorted((receipt.usage.input_total, receipt.usage.output_total) for receipt in receipts)


@pytest.fixture(params=list(PROGRAMS))
def exporter(request: pytest.FixtureRequest) -> str:
    if not otel.python(request.param).exists():
        pytest.skip(f"{request.param} is not fetched: make compat")
    return request.param


def test_calls_past_freehold_are_receipts_with_the_same_totals_from_every_exporter(place, exporter):
    place.upstream.script(SAID, SAID, WITH_TOOL)
    otel.run(exporter, place.upstream.url + "/v1", MODEL, place.house.url)
    receipts = place.decided()
    assert totals(receipts) == TOTALS[exporter]
    assert {receipt.endpoint for receipt in receipts} == {"otlp"}
    assert {receipt.model for receipt in receipts} == {MODEL}
    assert all(receipt.cost_nanos for receipt in receipts)
    chats = [receipt for receipt in receipts if receipt.usage.output_total]
    cached = 0 if exporter in NO_CACHE else 64
    assert {receipt.usage.cache_read for receipt in chats} == {cached}
    thought = sum(receipt.usage.reasoning for receipt in chats)
    assert thought == 3 * (len(chats) - 1) or exporter not in REASONING
    logged = b"".join(path.read_bytes() for path in (place.house.home / "ledger" / "journal").iterdir())
    assert b"from the stand-in" not in logged
    assert b"Bern" not in logged


def test_calls_through_freehold_are_counted_once_whatever_telemetry_says(place, exporter):
    place.upstream.script(SAID, SAID, WITH_TOOL)
    otel.run(exporter, place.house.url + "/v1", MODEL, place.house.url)
    receipts = place.decided()
    assert totals(receipts) == TOTALS[exporter]
    assert "otlp" not in {receipt.endpoint for receipt in receipts}


# -- Anthropic, whose own counts leave the cache out of the input

OF_ANTHROPIC = ("openinference", "openlit", "traceloop", "openllmetry", "pydantic_ai")


@pytest.mark.parametrize("name", OF_ANTHROPIC)
def test_anthropics_counts_are_the_same_whether_an_exporter_adds_the_cache_or_not(place, name):
    if not otel.python(name).exists():
        pytest.skip(f"{name} is not fetched: make compat")
    expected = [PLAIN, PLAIN, TOOL] if name != "pydantic_ai" else [PLAIN, PLAIN, PLAIN, TOOL]
    for url, endpoint in ((place.house.url, "messages"), (place.upstream.url, "otlp")):
        place.upstream.script(SAID, SAID, WITH_TOOL)
        otel.run(name, url, "claude-sonnet-4-5", place.house.url)
        receipts = place.decided()
        if (name, endpoint) == ("openllmetry", "otlp"):
            expected[1] = (111, 13)  # of a stream it counts the first token twice, as the stream does
        assert totals(receipts) == expected
        assert {receipt.endpoint for receipt in receipts} == {endpoint}
        assert {receipt.usage.cache_read for receipt in receipts} == {64}


# -- coding agents

CLAUDE = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
}
USES = {
    "claude": ToolCall(name="Bash", arguments='{"command":"echo hi","description":"x"}'),
    "codex": ToolCall(name="exec_command", arguments='{"cmd":"echo hi"}'),
}


def turn(agent: str, protocol: str, place: Place, tmp_path, url: str) -> list[Receipt]:
    """A turn with one use of a tool, telling of itself by telemetry."""
    used = Behaviour(input_tokens=111, cached_tokens=64, tool_calls=(USES[agent],))
    agents = Agents(tmp_path, url)
    if agent == "claude":
        settings = CLAUDE | {"OTEL_EXPORTER_OTLP_ENDPOINT": place.house.url}
        settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = f"http/{protocol}"
        place.upstream.script(used, SAID)
        options = ("--allowedTools", "Bash", "--settings", json.dumps({"env": settings}))
        done = agents.claude("claude-sonnet-4-5", "say hi", *options)
    else:
        coding = "binary" if protocol == "protobuf" else "json"
        exporter = f'{{otlp-http={{endpoint="{place.house.url}/v1/logs",protocol="{coding}"}}}}'
        done = agents.codex("gpt-5-codex", "-c", f"otel.exporter={exporter}", "say hi")
    assert done.status == 0, done.errors
    return place.decided()


@pytest.mark.parametrize("protocol", ["json", "protobuf"])
def test_claude_codes_own_telemetry(place, tmp_path, protocol):
    told = turn("claude", protocol, place, tmp_path, place.upstream.url)
    assert totals(told) == [PLAIN, TOOL]
    assert {(receipt.endpoint, receipt.agent) for receipt in told} == {("otlp", "claude-code")}
    assert all(receipt.cost_nanos for receipt in told)
    (tmp_path / "again").mkdir()
    through = turn("claude", protocol, place, tmp_path / "again", place.house.url)
    assert totals(through) == [PLAIN, TOOL]
    assert {receipt.endpoint for receipt in through} == {"messages"}


@pytest.mark.parametrize("protocol", ["json", "protobuf"])
def test_codexs_own_telemetry(place, tmp_path, protocol):
    told = turn("codex", protocol, place, tmp_path, place.upstream.url)
    assert totals(told) == [PLAIN]
    assert {receipt.endpoint for receipt in told} == {"otlp"}
    (tmp_path / "again").mkdir()
    through = turn("codex", protocol, place, tmp_path / "again", place.house.url)
    assert totals([receipt for receipt in through if receipt.endpoint == "responses"]) == [PLAIN]
    assert "otlp" not in {receipt.endpoint for receipt in through}
