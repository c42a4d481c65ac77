"""Marks for Anthropic's prompt cache: where they pay, at most four, and nothing else touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.prompt_marks import Marked, PrefixMemory, marked, minimum_tokens, without_attribution

MOST_MARKS = 4
"""That Anthropic takes."""
SONNET = "claude-sonnet-4-5"
LONG = "All that must be known. " * 200
TOOLS = [
    {"name": name, "description": LONG, "input_schema": {"type": "object"}} for name in ("read", "write")
]
TALK = [
    {"role": "user", "content": "Read it."},
    {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": LONG}]},
]


def request(**fields: Any) -> bytes:
    about = {"model": SONNET, "max_tokens": 10, "messages": TALK[:1], **fields}
    return json.dumps(about, separators=(",", ":")).encode()


def help_for(
    body: bytes, model: str = SONNET, prefixes: PrefixMemory | None = None, now_ms: int = 0
) -> Marked:
    return marked(body, model, prefixes or PrefixMemory(), now_ms)


def marks_in(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(marks_in(part) for part in value.values())
    return sum(marks_in(part) for part in value) if isinstance(value, list) else 0


def test_an_agents_turn_is_marked_at_tools_system_and_both_last_turns() -> None:
    found = help_for(request(tools=TOOLS, system=LONG, messages=TALK))
    assert found.marks == ("tools", "system", "history", "turn")
    body = json.loads(found.body)
    assert "cache_control" in body["tools"][-1]
    assert body["system"] == [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    assert "cache_control" in body["messages"][0]["content"][-1]
    assert "cache_control" in body["messages"][2]["content"][-1]
    assert marks_in(body) == MOST_MARKS


def test_tools_keep_their_order_and_all_else_its_bytes() -> None:
    signed = '{"type":"thinking","thinking":"h\\u006d 1.0","signature":"c2ln+/=="}'
    body = request(tools=TOOLS, messages=[TALK[0], {"role": "assistant", "content": "@"}, TALK[2]])
    body = body.replace(b'"@"', f"[{signed}]".encode())
    found = help_for(body)
    assert signed.encode() in found.body
    assert [tool["name"] for tool in json.loads(found.body)["tools"]] == ["read", "write"]
    assert list(json.loads(found.body)) == list(json.loads(body))


def test_a_client_that_marks_knows_better() -> None:
    own = request(
        tools=TOOLS, system=[{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    )
    assert help_for(own) == Marked(body=own)
    automatic = request(tools=TOOLS, cache_control={"type": "ephemeral"})
    assert help_for(automatic).body is automatic


def test_what_is_too_short_is_not_marked() -> None:
    short = request(
        tools=[{"name": "f", "input_schema": {}}], system="Be kind.", messages=[*TALK[:2], TALK[0]]
    )
    assert help_for(short) == Marked(body=short)


def test_a_model_with_a_higher_minimum_gets_fewer_marks() -> None:
    body = request(tools=TOOLS, system="Be kind.")
    assert help_for(body).marks == ("tools", "system")
    assert help_for(body, "claude-haiku-4-5").marks == ()


def test_a_single_question_is_marked_when_its_system_prompt_comes_again() -> None:
    prefixes = PrefixMemory()
    body = request(system=LONG)
    assert help_for(body, prefixes=prefixes).marks == ()
    assert help_for(body, prefixes=prefixes, now_ms=299_999).marks == ("system",)
    assert help_for(body, prefixes=prefixes, now_ms=299_999 + 300_000).marks == ()
    assert help_for(request(system="New. " + LONG), prefixes=prefixes, now_ms=600_000).marks == ()


def test_no_mark_on_empty_text_or_thinking() -> None:
    last = {"role": "user", "content": [{"type": "text", "text": LONG}, {"type": "text", "text": " "}]}
    found = help_for(request(messages=[*TALK[:2], last]))
    assert found.marks == ("turn",)
    assert "cache_control" in json.loads(found.body)["messages"][2]["content"][0]
    empty = {"role": "user", "content": ""}
    assert help_for(request(system=LONG, messages=[*TALK[:2], empty])).marks == ("system", "history")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"messages": 3}', b'{"messages":[1],"tools":{}}', b'"\xff"']
)
def test_what_cannot_be_read_stays_as_it_is(body: bytes) -> None:
    assert help_for(body).body == body


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-sonnet-4-5", 1024),
        ("anthropic/claude-opus-4.6", 4096),
        ("claude-opus-4-1", 1024),
        ("claude-opus-4-8", 1024),
        ("claude-haiku-4-5-20251001", 4096),
        ("claude-3-5-haiku-latest", 2048),
        ("claude-opus-5", 512),
        ("somebody-elses", 4096),
    ],
)
def test_minimums_are_those_of_the_vendor(model: str, tokens: int) -> None:
    assert minimum_tokens(model) == tokens


PIECE = st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=40)})
TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.text(max_size=40) | st.lists(PIECE, max_size=3),
    }
)


@given(st.lists(TURN, max_size=7), st.text(max_size=20) | st.lists(PIECE, max_size=2), st.integers(0, 3))
def test_marks_change_nothing_but_marks(turns: list[Any], system: Any, tools: int) -> None:
    sent = request(messages=turns, system=system, tools=TOOLS * tools)
    found = help_for(sent)
    body = json.loads(found.body)
    assert marks_in(body) == len(found.marks) <= MOST_MARKS
    assert plain(body) == plain(json.loads(sent))


def plain(value: Any) -> Any:
    """Without marks, and with texts as blocks."""
    if isinstance(value, dict):
        kept = {name: plain(part) for name, part in value.items() if name != "cache_control"}
        for name in ("content", "system"):
            if isinstance(kept.get(name), str):
                kept[name] = [{"type": "text", "text": kept[name]}]
        return kept
    return [plain(part) for part in value] if isinstance(value, list) else value


LINE = "x-anthropic-billing-header: cc_version=2.1.197; cc_entrypoint=cli"


@pytest.mark.parametrize(
    ("system", "left"),
    [
        (f"{LINE}\nBe kind.", "Be kind."),
        (
            [{"type": "text", "text": LINE}, {"type": "text", "text": "Be kind."}],
            [{"type": "text", "text": "Be kind."}],
        ),
        ([{"type": "text", "text": f"{LINE}\nBe kind."}], [{"type": "text", "text": "Be kind."}]),
    ],
)
def test_the_attribution_line_can_be_dropped(system: Any, left: Any) -> None:
    assert json.loads(without_attribution(request(system=system)))["system"] == left


def test_without_that_line_the_bytes_are_the_same() -> None:
    body = request(system="Be kind.")
    assert without_attribution(body) is body
    quoted = request(messages=[{"role": "user", "content": LINE}])
    assert json.loads(without_attribution(quoted)) == json.loads(quoted)
