"""Whatever an upstream says and however its bytes are cut, clients get the same grammatical stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import ToolOrigin
from freehold.dialects.finish import Finish
from freehold.dialects.streams import stream_translator
from freehold.dialects.streams.write_chat import ChatWriter
from freehold.dialects.streams.write_messages import MessagesWriter
from freehold.dialects.streams.write_responses import ResponsesWriter
from tests.dialects.streamkit import (
    blocks,
    called,
    chat,
    check_chat,
    check_messages,
    check_responses,
    context,
    items,
    message,
    named,
    read,
    run,
    said,
    used,
)

CHECKS: dict[Dialect, Callable[[Any], None]] = {
    "chat": check_chat,
    "messages": check_messages,
    "responses": check_responses,
}

CHAT = chat(
    said(role="assistant"),
    said(reasoning_content="nachdenken… 考え"),
    said(content="Grüße \U0001f600", tool_calls=[]),
    b": comment\n\n",
    called(0, '{"a":', id="x", name="f"),
    called(1, '{"ключ"', id="y", name="g"),
    called(0, "1}"),
    called(1, ":2}"),
    said("stop"),
    used(prompt_tokens=3, completion_tokens=4),
)
MESSAGES = message(
    [
        {"type": "thinking", "thinking": ""},
        {"type": "thinking_delta", "thinking": "考え"},
        {"type": "signature_delta", "signature": "S"},
    ],
    [{"type": "text", "text": ""}, {"type": "text_delta", "text": "Grüße \U0001f600"}],
    [
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"ü":1}'},
    ],
    stop="tool_use",
)
CALL = {"type": "function_call", "call_id": "c", "name": "f"}
RESPONSES = named(
    {"type": "response.created", "response": {"id": "r"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs"}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "考え"},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "rs"}},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "Grüße \U0001f600"},
    {"type": "response.output_item.added", "output_index": 2, "item": CALL},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"ü":1}'},
    {"type": "response.output_item.done", "output_index": 2, "item": CALL},
    {"type": "response.completed", "response": {"id": "r", "usage": {"input_tokens": 1, "output_tokens": 2}}},
)  # fmt: skip
STREAMS: dict[Dialect, bytes] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}
PAIRS = [(client, upstream) for client in (*CHECKS, "ollama") for upstream in STREAMS if client != upstream]


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_cut_of_the_upstreams_bytes_gives_the_same_stream(
    client: Dialect, upstream: Dialect, data: st.DataObject
) -> None:
    stream = STREAMS[upstream]
    crlf = data.draw(st.booleans())
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    settled = context(client, upstream, include_usage=True)
    whole = run(stream_translator(settled), [stream])
    stream = stream.replace(b"\n", b"\r\n") if crlf else stream
    cuts = [0, *sorted(places), len(stream)]
    cut = run(stream_translator(settled), [stream[start:end] for start, end in pairwise(cuts)])
    assert cut == whole
    if client in CHECKS:
        CHECKS[client](read(client, whole))


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_cut_upstream_always_ends_in_one_honest_end(
    client: Dialect, upstream: Dialect, data: st.DataObject
) -> None:
    stream = STREAMS[upstream]
    translator = stream_translator(context(client, upstream))
    told = translator.feed(stream[: data.draw(st.integers(0, len(stream)))])
    told += translator.fail(CallError(kind="upstream", status=502, message="cut", source="upstream"))
    assert translator.finished
    assert translator.feed(stream) == translator.end() == b""
    if client in CHECKS:
        CHECKS[client](read(client, told))


fragments = [
    b'data: {"choices":',
    b"[]}",
    b"data: ",
    b"\n\n",
    b'{"type":"',
    b"error",
    b'"}',
    b"null",
    b"[DONE]",
]
garbage = st.binary(max_size=200) | st.lists(st.sampled_from(fragments)).map(b"".join)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=25)
@given(data=garbage)
def test_garbage_never_raises_and_is_told_as_an_error(
    client: Dialect, upstream: Dialect, data: bytes
) -> None:
    translator = stream_translator(context(client, upstream))
    told = run(translator, [data])
    assert translator.finished
    if client in CHECKS:
        CHECKS[client](read(client, told))


# --- neutral steps in any order


texts = st.text(alphabet='aé\U0001f600\n"\\', min_size=1, max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("text"), texts),
        st.tuples(st.just("thinking"), texts),
        st.tuples(st.just("refusal"), texts),
        st.tuples(st.just("seal"), texts),
        st.tuples(st.just("ping"), st.none()),
        st.tuples(st.just("tool"), st.sampled_from(["plain", "custom", "spaced"])),
        st.tuples(st.just("arguments"), st.integers(0, 3)),
        st.tuples(st.just("tool_end"), st.integers(0, 3)),
    ),
    max_size=25,
)  # fmt: skip
finishes = st.sampled_from(
    ["stop", "length", "tool_calls", "refusal", "pause", "stop_sequence", "context_window"]
)
TOOLS = {
    "custom": ToolOrigin(kind="custom", name="patch"),
    "spaced": ToolOrigin(kind="namespace", name="read", namespace="files"),
}
PIECES = ['{"input":', '"x', "\\n", '"', "}"]


def play(writer: Any, script: list[tuple[str, Any]]) -> dict[int, str]:
    """Runs the steps; a tool's arguments come in five pieces. Returns what each tool was given."""
    given_to: dict[int, int] = {}
    ended: set[int] = set()
    for step, value in script:
        if step == "ping":
            writer.ping()
        elif step == "tool":
            index = len(given_to)
            given_to[index] = 0
            writer.tool(index, f"call_{index}", value)
        elif step == "arguments":
            if value in given_to and given_to[value] < len(PIECES) and value not in ended:
                writer.arguments(value, PIECES[given_to[value]])
                given_to[value] += 1
        elif step == "tool_end":
            if value in given_to and given_to[value] in (0, len(PIECES)):
                ended.add(value)
                writer.tool_end(value)
        else:
            getattr(writer, step)(value)
    return {index: "".join(PIECES[:count]) for index, count in given_to.items()}


def content(script: list[tuple[str, Any]], kind: str) -> str:
    return "".join(value for step, value in script if step == kind)


@given(steps, finishes)
def test_any_order_of_steps_makes_grammatical_messages_with_all_content(
    script: list[tuple[str, Any]], finish: Finish
) -> None:
    writer = MessagesWriter(context("messages", "chat", tools=TOOLS))
    writer.begin()
    tools = play(writer, script)
    writer.close(finish, None, Usage())
    events = read("messages", writer.take())
    check_messages(events)
    told = blocks(events)
    assert [text for kind, text in told if kind == "tool_use"] == list(tools.values())
    assert "".join(text for kind, text in told if kind == "thinking") == content(script, "thinking")
    assert sorted("".join(text for kind, text in told if kind == "text")) == sorted(
        content(script, "text") + content(script, "refusal")
    )


@given(steps, finishes)
def test_any_order_of_steps_makes_grammatical_responses_with_all_content(
    script: list[tuple[str, Any]], finish: Finish
) -> None:
    writer = ResponsesWriter(context("responses", "chat", tools=TOOLS))
    writer.begin()
    tools = play(writer, script)
    writer.close(finish, None, None)
    events = read("responses", writer.take())
    check_responses(events)
    calls = [item for item in items(events) if "call_id" in item]
    assert [call["call_id"] for call in calls] == [f"call_{index}" for index in tools]
    for call, arguments in zip(calls, tools.values(), strict=True):
        if call["type"] == "function_call":
            assert call["arguments"] == (arguments or "{}")
        else:
            assert arguments != "".join(PIECES) or call["input"] == "x\n"


@given(steps, finishes)
def test_any_order_of_steps_makes_grammatical_chat_chunks(
    script: list[tuple[str, Any]], finish: Finish
) -> None:
    writer = ChatWriter(context("chat", "messages", tools=TOOLS, include_usage=True))
    writer.begin()
    play(writer, script)
    writer.close(finish, None, Usage(fresh_in=1))
    check_chat(read("chat", writer.take()))


@given(st.text(max_size=30), st.integers(1, 5), st.booleans())
def test_free_form_text_survives_its_json_wrapping_at_any_cut(
    text: str, width: int, ascii_only: bool
) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    writer = ResponsesWriter(context("responses", "chat", tools=TOOLS))
    writer.begin()
    writer.tool(0, "c", "custom")
    for start in range(0, len(arguments), width):
        writer.arguments(0, arguments[start : start + width])
    writer.close("tool_calls", None, None)
    assert items(read("responses", writer.take()))[0]["input"] == text
