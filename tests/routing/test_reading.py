"""What requests of every dialect tell a choice; no body makes reading fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.catalog import Dialect
from freehold.routing.escalate import CallSign, broken_call
from freehold.routing.reading import Said, read_ask, read_wanted, without_chance
from freehold.routing.world import Ask, Needs
from tests.growth import LINEAR, cpu_s, growth

SAID = Said(task="code", session="s", agent="a")


def read(body: dict[str, Any], dialect: Dialect = "chat") -> Ask:
    return read_ask(msgspec.json.encode(body), dialect, SAID)


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"required": ["a"]}}}


@pytest.mark.parametrize(
    ("dialect", "body", "needs"),
    [
        ("chat", {"messages": [user("hi")]}, Needs()),
        ("chat", {"messages": [user("hi")], "tools": [FUNCTION]}, Needs(tools=True)),
        ("chat", {"messages": [user("hi")], "tools": []}, Needs()),
        ("chat", {"messages": [user([{"type": "text", "text": "what?"}, PICTURE])]}, Needs(vision=True)),
        ("chat", {"messages": [user('say "type":"image"')]}, Needs()),
        ("chat", {"messages": [user("x")], "response_format": {"type": "json_object"}}, Needs(json=True)),
        ("responses", {"input": "x", "text": {"format": {"type": "json_schema"}}}, Needs(json=True)),
        ("ollama", {"messages": [user("x")], "format": {"type": "object"}}, Needs(json=True)),
        ("ollama", {"messages": [{"role": "user", "content": "x", "images": ["AA"]}]}, Needs(vision=True)),
        ("ollama", {"messages": [{"role": "user", "content": "x", "images": []}]}, Needs()),
        (
            "ollama",
            {"messages": [user("x")], "tools": [{"function": {"parameters": {"images": {}}}}]},
            Needs(tools=True),
        ),
        ("ollama", {"messages": [user("x")], "format": "json"}, Needs(json=True)),
        ("chat", {"messages": [user("x")], "functions": [{"name": "f"}]}, Needs(tools=True)),
        ("chat", {"messages": [user("x")], "modalities": ["text", "audio"]}, Needs(audio=True)),
        ("messages", {"messages": [user([{"type": "image", "source": {}}])]}, Needs(vision=True)),
        (
            "messages",
            {"messages": [user("x")], "mcp_servers": [{"type": "url", "name": "x"}]},
            Needs(tools=True, native="messages"),
        ),
        ("responses", {"input": "x", "prompt": {"id": "pmpt_1"}}, Needs(native="responses")),
        ("responses", {"input": "x", "background": True}, Needs(native="responses")),
        ("responses", {"input": "x", "background": False}, Needs()),
        (
            "responses",
            {"input": [{"type": "item_reference", "id": "msg_1"}, user("x")]},
            Needs(native="responses"),
        ),
        ("responses", {"input": "x", "previous_response_id": "resp_1"}, Needs(native="responses")),
        (
            "responses",
            {"input": "x", "tools": [{"type": "web_search"}]},
            Needs(tools=True, native="responses"),
        ),
        (
            "responses",
            {"input": "x", "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}]},
            Needs(tools=True),
        ),
        (
            "messages",
            {"messages": [user("x")], "tools": [{"name": "f", "input_schema": {}}]},
            Needs(tools=True),
        ),
        (
            "messages",
            {"messages": [user("x")], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            Needs(tools=True, native="messages"),
        ),
    ],
)
def test_what_a_request_needs(dialect: Dialect, body: dict[str, Any], needs: Needs) -> None:
    assert read(body, dialect).needs == needs


def test_the_newest_words_of_a_person() -> None:
    talk = [
        {"role": "system", "content": "S"},
        user("first"),
        {"role": "assistant", "content": "a"},
        user("second"),
    ]
    asked = read({"messages": talk})
    assert asked.prompt == "second"
    assert asked.question
    worked = read(
        {"messages": [*talk, {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "42"}]}
    )
    assert worked.prompt == "second"
    assert worked.question == 0  # a tool spoke last: nobody asks again
    result = [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]
    assert (
        read({"messages": [*talk, {"role": "assistant", "content": []}, user(result)]}, "messages").question
        == 0
    )
    assert read({"input": "second"}, "responses").question == asked.question


def test_sessions_share_the_beginning_and_not_the_end() -> None:
    system = {"role": "system", "content": "You are a crew."}
    one, two = read({"messages": [system, user("a")]}), read({"messages": [system, user("b"), user("c")]})
    assert one.prefix == two.prefix
    assert one.prefix != read({"messages": [{"role": "system", "content": "else"}, user("a")]}).prefix


def test_lengths() -> None:
    asked = read({"messages": [user("x" * 40_000)], "max_tokens": 30})
    assert 10_000 <= asked.input_tokens <= 10_020
    assert (asked.output_tokens, asked.most_out) == (30, 30)
    assert len(asked.prompt) < 9000
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}}
    assert read({"messages": [user([picture])]}).input_tokens < 20_000


BLOB = "A" * 1_400_000
FILES = [
    ("messages", {"type": "document", "source": {"type": "base64", "data": BLOB}}),
    ("chat", {"type": "input_audio", "input_audio": {"data": BLOB, "format": "wav"}}),
    ("chat", {"type": "file", "file": {"file_data": "data:application/pdf;base64," + BLOB}}),
    ("responses", {"type": "input_file", "file_data": "data:application/pdf;base64," + BLOB}),
]


@pytest.mark.parametrize(("dialect", "part"), FILES)
def test_the_bytes_of_a_file_are_not_so_many_letters(dialect: Dialect, part: dict[str, object]) -> None:
    field = "input" if dialect == "responses" else "messages"
    assert 1000 < read({field: [user([part])]}, dialect).input_tokens < 30_000


def test_a_picture_beside_a_long_text_does_not_shorten_it() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 95_000}}
    text = {"type": "text", "text": "word " * 120_000}
    assert read({"messages": [user([picture])]}).input_tokens < 2000
    alone = read({"messages": [user([text])]}).input_tokens
    assert 0 < read({"messages": [user([text, picture])]}).input_tokens - alone < 2000


def test_letters_written_as_escapes_count_as_letters() -> None:
    body = {"messages": [user("Привет мир " * 1000)]}
    plain = read(body).input_tokens
    escaped = read_ask(json.dumps(body).encode(), "chat", SAID).input_tokens
    assert plain <= escaped < 1.6 * plain


def test_the_same_words_about_another_picture_are_another_question() -> None:
    def asked(data: str) -> int:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + data}}
        return read({"messages": [user([{"type": "text", "text": "What is this?"}, picture])]}).question

    assert asked("AAAA") == asked("AAAA")
    assert asked("AAAA") != asked("BBBB")


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "custom", "name": "bash", "input_schema": {"type": "object"}},
    ],
)
def test_a_tool_of_any_kind_may_be_called(tool: dict[str, object]) -> None:
    other = {"name": "f", "input_schema": {"type": "object"}}
    wanted = read_wanted(msgspec.json.encode({"tools": [tool, other]}))
    assert broken_call(CallSign("bash", '{"command": "ls"}'), wanted.tools) == ""


def test_what_an_answer_must_fit() -> None:
    tools = [FUNCTION, {"type": "web_search"}, "odd"]
    body = {"messages": [], "tools": tools, "max_completion_tokens": 9}
    wanted = read_wanted(msgspec.json.encode(body))
    assert (dict(wanted.tools), wanted.max_tokens) == ({"f": {"required": ["a"]}}, 9)
    named = read_wanted(b'{"tools":[{"name":"g","input_schema":{"type":"object"}}]}')
    assert dict(named.tools) == {"g": {"type": "object"}}


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ({}, False),
        ({"temperature": 0}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": 0.7}, False),
        ({"seed": 7}, True),
        ({"temperature": 0, "n": 3}, False),
    ],
)
def test_whether_the_same_request_means_the_same_answer(body: dict[str, Any], same: bool) -> None:
    assert without_chance(msgspec.json.encode(body)) is same


_NAMES = ["role", "content", "type", "text", "tools", "function", "name", "x"]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)
_KEYS = [
    "messages",
    "input",
    "tools",
    "system",
    "max_tokens",
    "response_format",
    "temperature",
    "n",
    "format",
]


@given(
    st.dictionaries(st.sampled_from(_KEYS), _json),
    st.sampled_from(["chat", "messages", "responses", "ollama"]),
)
def test_any_json_is_read(body: dict[str, Any], dialect: Dialect) -> None:
    found = read(body, dialect)
    assert found.task == "code"
    assert found.input_tokens >= 0
    read_wanted(msgspec.json.encode(body))


@given(st.binary(max_size=64))
def test_any_bytes_are_read(body: bytes) -> None:
    assert read_ask(body, "chat", SAID).prompt == "" or b'"' in body


def test_a_long_conversation_takes_no_longer_than_its_length_deserves() -> None:
    def reading(size: int) -> Callable[[], object]:
        turns = [user("word " * 200), {"role": "assistant", "content": "word " * 200}] * size
        body = msgspec.json.encode({"messages": turns})
        return lambda: read_ask(body, "chat", SAID)

    assert growth(reading, 25) < LINEAR
    assert cpu_s(reading(100)) < 0.005
