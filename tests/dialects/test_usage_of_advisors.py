"""Usage of a model that asked others for advice while it answered (Anthropic's advisor tool)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.usage import Usage
from freehold.dialects.usage import advisors_of, usage_of

ADVICE: dict[str, Any] = {
    "type": "advisor_message",
    "model": "wise",
    "input_tokens": 823,
    "cache_read_input_tokens": 7,
    "output_tokens": 1612,
}
TURNS: list[dict[str, Any]] = [
    {"type": "message", "input_tokens": 412, "output_tokens": 89},
    {"type": "message", "input_tokens": 1348, "cache_read_input_tokens": 412, "output_tokens": 442},
]


def raw(*iterations: Any, **more: Any) -> bytes:
    """The top-level counts are those of the first turn, and all of the output."""
    return json.dumps({"input_tokens": 412, "output_tokens": 531, "iterations": iterations, **more}).encode()


def test_every_turn_beside_an_advisor_is_paid_for_although_the_totals_have_the_first_only() -> None:
    found = usage_of("messages", raw(TURNS[0], ADVICE, TURNS[1], server_tool_use={"web_search_requests": 1}))
    assert found == Usage(fresh_in=412 + 1348, cache_read=412, visible_out=531, web_searches=1)


def test_without_an_advisor_the_totals_are_believed() -> None:
    assert usage_of("messages", raw(*TURNS)) == Usage(fresh_in=412, visible_out=531)


def test_what_advisors_used_is_told_by_their_model() -> None:
    other = ADVICE | {"model": "wiser", "cache_read_input_tokens": 0}
    assert advisors_of(raw(TURNS[0], ADVICE, other)) == [
        ("wise", Usage(fresh_in=823, cache_read=7, visible_out=1612)),
        ("wiser", Usage(fresh_in=823, visible_out=1612)),
    ]


@pytest.mark.parametrize("odd", [b"", b"[1]", raw(), raw(7, None, "advisor_message"), raw(*TURNS)])
def test_where_nobody_advised_there_are_none(odd: bytes) -> None:
    assert advisors_of(odd) == []
