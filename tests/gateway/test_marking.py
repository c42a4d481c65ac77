"""What is done for prompt caches on the way to who speaks Anthropic's dialect."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest

from freehold.core.catalog import Deployment, Provider
from freehold.gateway.marking import Marker
from freehold.gateway.prepared import Prepared
from freehold.gateway.targets import Target, provider_target

LINE = "x-anthropic-billing-header: cc_version=2.1.197; cch=9f3"
LONG = "All that must be known. " * 400
TURNS = [{"role": "user", "content": "Read."}, {"role": "assistant", "content": "Done."}]


def prepared(**more: Any) -> Prepared:
    body = {"model": "claude-sonnet-4-5", "messages": [*TURNS, TURNS[0]], "system": f"{LINE}\n{LONG}"} | more
    return Prepared(body=json.dumps(body).encode(), target=b"/v1/messages?beta=true", dialect="messages")


def target(price_as: str | None) -> Target:
    provider = Provider(name="p", dialect="anthropic", base_url="http://10.0.0.7:8000", price_as=price_as)
    return provider_target(
        Deployment(name="p/claude-sonnet-4-5", model_id="claude-sonnet-4-5", provider="p"), provider
    )


@pytest.mark.parametrize("which", ["translated", "all"])
def test_claude_codes_changing_line_goes_to_anthropic_only(which: Literal["translated", "all"]) -> None:
    marker = Marker(which)
    elsewhere = marker.mark(prepared(), target(None), 0)
    assert LINE.encode() not in elsewhere.body
    assert elsewhere.losses == ("attribution_line",)
    home = marker.mark(prepared(), target("anthropic"), 0)
    assert LINE.encode() in home.body
    assert home.losses == ()


def test_without_that_line_and_without_marks_the_bytes_are_the_clients() -> None:
    sent = prepared(system="Be kind.")
    assert Marker("translated").mark(sent, target(None), 0) is sent
    other = msgspec.structs.replace(prepared(), target=b"/v1/files")
    assert Marker("all").mark(other, target(None), 0) is other


def test_marks_come_where_they_are_wanted() -> None:
    sent = prepared(system=LONG)
    assert Marker("translated").mark(sent, target("anthropic"), 0) is sent
    assert b"cache_control" in Marker("all").mark(sent, target("anthropic"), 0).body
