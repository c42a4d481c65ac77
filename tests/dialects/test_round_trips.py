"""Any conversation that two dialects can both say survives the way there and back; no input at all
makes a translation break in any other way than a clear refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.catalog import Dialect
from freehold.dialects.answers import translate_answer
from freehold.dialects.context import TranslationContext, TranslationError
from freehold.dialects.requests import RequestFacts, translate_request
from tests.dialects.good_calls import GOOD_ANSWERS, GOOD_REQUESTS
from tests.dialects.requestkit import (
    Object,
    answered,
    body,
    check_chat,
    check_messages,
    check_responses,
    translated,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
LINE = TEXT.map(str.strip)
NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
SCALAR = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT
ARGUMENTS = st.dictionaries(TEXT, SCALAR | st.lists(SCALAR, max_size=3), max_size=3)
IMAGE = st.builds(lambda data: f"data:image/png;base64,{data.hex()}", st.binary(min_size=1, max_size=6))
CHECKS = {"chat": check_chat, "messages": check_messages, "responses": check_responses}


def _user(draw: st.DrawFn) -> Object:
    if draw(st.booleans()):
        return {"role": "user", "content": draw(LINE)}
    parts: list[Object] = [{"type": "text", "text": draw(LINE)}]
    parts.append({"type": "image_url", "image_url": {"url": draw(IMAGE)}})
    return {"role": "user", "content": parts}


@st.composite
def chat_requests(draw: st.DrawFn) -> Object:
    """Chat requests in the form that this project itself writes: one system message, alternating roles,
    every call answered in order."""
    messages: list[Object] = [{"role": "system", "content": draw(LINE)}] if draw(st.booleans()) else []
    count = 0
    messages.append(_user(draw))
    for _ in range(draw(st.integers(0, 3))):
        calls: list[Object] = []
        for _ in range(draw(st.integers(0, 2))):
            function = {"name": draw(NAME), "arguments": json.dumps(draw(ARGUMENTS), separators=(",", ":"))}
            calls.append({"id": f"call_{count}", "type": "function", "function": function})
            count += 1
        if calls:
            text = draw(st.none() | LINE)
            messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": c["id"], "content": draw(LINE)} for c in calls]
        else:
            messages.append({"role": "assistant", "content": draw(LINE)})
            messages.append(_user(draw))
    request: Object = {"model": "asked", "messages": messages, "max_tokens": draw(st.integers(16, 9999))}
    names = draw(st.lists(NAME, max_size=3, unique=True))
    if names:
        request["tools"] = [
            {
                "type": "function",
                "function": {"name": name, "parameters": {"type": "object", "properties": {}}},
            }
            for name in names
        ]
        request["tool_choice"] = draw(st.sampled_from(["auto", "none", "required"]))
        if draw(st.booleans()):
            request["parallel_tool_calls"] = False
    if draw(st.booleans()):
        request["temperature"] = draw(st.sampled_from([0, 0.25, 1]))
    return request


def _arguments_read(request: Object) -> Object:
    """JSON text of arguments may be spelt in more than one way."""
    for message in request["messages"]:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return request


@pytest.mark.parametrize("between", ["messages", "responses"])
@settings(max_examples=40, deadline=None)
@given(request=chat_requests())
def test_chat_there_and_back(between: Dialect, request: Object) -> None:
    there = body("chat", between, request, model="asked")
    CHECKS[between](there)
    back = body(between, "chat", there, model="asked")
    expected = json.loads(json.dumps(request))
    if between == "messages" and "tools" not in request:
        back.pop("tools", None)  # the bare ones that a history with calls is given
        back.pop("tool_choice", None)
    if between == "messages" and request.get("tool_choice") == "none":
        expected.pop("parallel_tool_calls", None)  # nothing is called at all
    assert _arguments_read(back) == _arguments_read(expected)


@settings(max_examples=40, deadline=None)
@given(request=chat_requests())
def test_messages_to_responses_and_back(request: Object) -> None:
    start = body("chat", "messages", request, model="asked")
    there = body("messages", "responses", start, model="asked")
    check_responses(there)
    back = body("responses", "messages", there, model="asked")
    check_messages(back)
    assert [m["role"] for m in back["messages"]] == [m["role"] for m in start["messages"]]
    assert json.loads(json.dumps(back["messages"])) == start["messages"]


PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, LINE),
        st.builds(
            lambda call_id, name, given: {"type": "tool_use", "id": call_id, "name": name, "input": given},
            NAME,
            NAME,
            ARGUMENTS,
        ),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(parts=PARTS, tokens=st.integers(0, 10**6))
def test_answers_there_and_back(parts: list[Object], tokens: int) -> None:
    usage = {"input_tokens": tokens, "output_tokens": tokens, "cache_read_input_tokens": 3}
    answer = {"role": "assistant", "content": parts, "stop_reason": "end_turn", "usage": usage}
    there = answered("responses", "messages", answer)
    back = answered("messages", "responses", there)
    assert back["content"] == parts
    assert back["usage"]["input_tokens"] == tokens
    called = any(part["type"] == "tool_use" for part in parts)
    assert back["stop_reason"] == ("tool_use" if called else "end_turn")


WRONG = st.recursive(
    SCALAR | st.floats(allow_nan=False, allow_infinity=False) | st.just([]) | st.just({}),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
FACTS = RequestFacts(model="m", answer_id="a", created_s=1)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below `value`."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in [(value, key), *places(inner)]]


def spoiled(good: Object, where: int, wrong: Any) -> bytes:
    """`good` with one value, anywhere in it, replaced."""
    copy = json.loads(json.dumps(good))
    found = places(copy)
    container, key = found[where % len(found)]
    container[key] = wrong
    return json.dumps(copy).encode()


@pytest.mark.parametrize("client", GOOD_REQUESTS)
@settings(max_examples=120, deadline=None)
@given(where=st.integers(0, 10**6), wrong=WRONG)
def test_no_wrong_value_breaks_a_request(client: Dialect, where: int, wrong: Any) -> None:
    raw = spoiled(GOOD_REQUESTS[client], where, wrong)
    for upstream in ("chat", "messages", "responses"):
        try:
            sent = translate_request(raw, client=client, upstream=upstream, facts=FACTS)
        except TranslationError as refusal:
            assert refusal.error.status == 400
            assert refusal.error.message
        else:
            assert isinstance(json.loads(sent.body), dict)


@pytest.mark.parametrize("upstream", GOOD_ANSWERS)
@settings(max_examples=80, deadline=None)
@given(where=st.integers(0, 10**6), wrong=WRONG)
def test_no_wrong_value_breaks_an_answer(upstream: Dialect, where: int, wrong: Any) -> None:
    raw = spoiled(GOOD_ANSWERS[upstream], where, wrong)
    for client in ("chat", "messages", "responses", "ollama"):
        context = TranslationContext(
            client=client, upstream=upstream, model_asked="m", answer_id="a", created_s=1
        )
        try:
            got = translate_answer(raw, context)
        except TranslationError as failure:
            assert failure.error.source == "upstream"
        else:
            assert isinstance(json.loads(got), dict)


def test_unknown_fields_never_change_what_is_sent() -> None:
    request: Object = {"messages": [{"role": "user", "content": "x", "extra": 1}]}
    plain = translated("chat", "messages", request)
    extended = translated("chat", "messages", {**request, "extra": {"deep": [1]}})
    assert plain.body == extended.body
