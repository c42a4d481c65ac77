"""Whatever a client or an upstream says, Freehold answers in order and keeps its books."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.testing.standin import Behaviour
from tests.talk import DIALECTS, PATHS, asking, event_data
from tests.wire import ClosedError, request_bytes

PLACES = ("alpha", "beta", "claude")
NATIVE = {"alpha": ("chat", "responses"), "beta": ("chat",), "claude": ("messages",)}
"""There Freehold passes on what comes, good or bad; elsewhere what it says itself must be in order."""
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(("type", "role", "text", "id", "x")), inner),
    ),
    max_leaves=8,
)
KINDS = [
    "text",
    "input_text",
    "output_text",
    "image",
    "image_url",
    "input_image",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "function",
    "function_call",
    "function_call_output",
    "reasoning",
    "message",
    "custom",
    "namespace",
    "web_search",
    "refusal",
    "document",
    "file",
    "x",
]
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional=dict.fromkeys(
        [
            "text",
            "content",
            "input",
            "id",
            "tool_use_id",
            "call_id",
            "name",
            "arguments",
            "output",
            "summary",
            "image_url",
            "source",
            "function",
        ],
        ANYTHING,
    ),
)
CONTENT = st.one_of(st.text(max_size=5), st.lists(BLOCK, max_size=3), ANYTHING)
ROLES = st.sampled_from(("user", "assistant", "system", "developer", "tool", "function", "x"))
TURN = st.fixed_dictionaries(
    {"role": st.one_of(ROLES, ANYTHING), "content": CONTENT},
    optional={
        "tool_calls": ANYTHING,
        "tool_call_id": ANYTHING,
        "name": ANYTHING,
        "reasoning_content": ANYTHING,
    },
)
TURNS = st.one_of(st.lists(st.one_of(TURN, BLOCK), max_size=4), ANYTHING)
FIELDS = [
    "system",
    "instructions",
    "tools",
    "tool_choice",
    "response_format",
    "text",
    "thinking",
    "reasoning",
    "reasoning_effort",
    "stop",
    "stop_sequences",
    "stream_options",
    "max_tokens",
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "metadata",
    "output_config",
    "parallel_tool_calls",
    "previous_response_id",
    "include",
    "store",
    "n",
    "seed",
    "user",
]
MORE = st.dictionaries(st.sampled_from(FIELDS), st.one_of(ANYTHING, st.lists(BLOCK, max_size=2)), max_size=4)
QUIET = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def mind(town) -> str:
    """A model with a closed circuit: anything that goes wrong upstream opens one sooner or later."""
    return f"m{random.randrange(len(town.alpha.models) - 1)}"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", DIALECTS)
@QUIET
@given(turns=TURNS, more=MORE, stream=st.booleans())
def test_any_request_is_answered_or_refused_for_a_reason(shared_town, client, place, turns, more, stream):
    town = shared_town
    town.reset()
    body = asking(client, f"{place}/{mind(town)}", stream=stream) | more
    body["input" if client == "responses" else "messages"] = turns
    with town.house.wire() as wire:
        answer = wire.call(PATHS[client], json.dumps(body).encode())
    assert answer.status in (200, 400, 501), (answer.status, answer.body)
    receipt = town.house.receipt()
    assert receipt.outcome == ("ok" if answer.status == 200 else receipt.outcome)
    assert "Traceback" not in town.house.log


EVENT = st.one_of(
    ANYTHING.map(lambda value: b"data: " + json.dumps(value).encode()),
    st.builds(
        lambda name, more: f"event: {name}\ndata: ".encode() + json.dumps({"type": name} | more).encode(),
        st.sampled_from(
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
                "ping",
                "response.created",
                "response.output_item.added",
                "response.output_text.delta",
                "response.output_item.done",
                "response.function_call_arguments.delta",
                "response.completed",
                "error",
                "x",
            ]
        ),
        st.dictionaries(
            st.sampled_from(
                [
                    "message",
                    "index",
                    "content_block",
                    "delta",
                    "usage",
                    "response",
                    "item",
                    "output_index",
                    "error",
                ]
            ),
            st.one_of(ANYTHING, BLOCK),
        ),
    ),
    st.builds(
        lambda delta, more: (
            b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]} | more).encode()
        ),
        st.dictionaries(st.sampled_from(("content", "tool_calls", "role", "reasoning_content")), ANYTHING),
        st.dictionaries(st.sampled_from(("usage", "id", "model", "error")), ANYTHING),
    ),
    st.sampled_from(
        (b"data: [DONE]", b": comment", b"data:", b"data: {", b"\xff\xfe", b"event: x", b"id: 1\nretry: 5")
    ),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", DIALECTS)
@QUIET
@given(events=st.lists(EVENT, max_size=6), size=st.sampled_from((0, 1, 7)))
def test_any_stream_of_an_upstream_ends_in_order(shared_town, client, place, events, size):
    town = shared_town
    town.reset()
    model = mind(town)
    getattr(town, place).by_model[model] = Behaviour(events=tuple(events), slice_bytes=size)
    with town.house.wire() as wire:
        wire.send(request_bytes(PATHS[client], asking(client, f"{place}/{model}", stream=True)))
        answer = wire.head()
        read = wire.pieces if answer.status != 200 or client in NATIVE[place] else wire.events
        try:
            said = list(read(answer))
        except ClosedError:
            pytest.fail("the answer breaks off")
        if read == wire.events:
            for event in said:
                event_data(event)  # raises on what no client could decode
    (receipt,) = town.house.wait_receipts(1)
    assert receipt.status == answer.status
    assert "Traceback" not in town.house.log


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", DIALECTS)
@QUIET
@given(
    body=st.one_of(
        ANYTHING,
        st.fixed_dictionaries(
            {},
            optional={
                "choices": st.lists(
                    st.fixed_dictionaries({"message": st.one_of(ANYTHING, TURN)}), max_size=2
                ),
                "content": st.one_of(ANYTHING, st.lists(BLOCK, max_size=3)),
                "output": st.one_of(ANYTHING, st.lists(BLOCK, max_size=3)),
                "usage": ANYTHING,
                "error": ANYTHING,
                "id": ANYTHING,
                "model": ANYTHING,
                "stop_reason": ANYTHING,
            },
        ),
    ),
    status=st.sampled_from((200, 200, 400, 418)),
)
def test_any_answer_of_an_upstream_is_passed_on_or_called_what_it_is(
    shared_town, client, place, body, status
):
    town = shared_town
    town.reset()
    model = mind(town)
    getattr(town, place).by_model[model] = Behaviour(body=json.dumps(body).encode(), status=status)
    with town.house.wire() as wire:
        answer = wire.call(PATHS[client], asking(client, f"{place}/{model}"))
    assert answer.status in (status, 502)
    assert answer.status != 502 or answer.header("x-freehold-source") == "upstream"
    town.house.receipt()
    assert "Traceback" not in town.house.log
