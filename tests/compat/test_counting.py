"""Counted before the call, reported after it: on the built-in engine the two are the same number."""

from __future__ import annotations

import pytest

from freehold.testing.tiny_model import MODEL_NAME

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tiny")]

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "the weather of a city", "input_schema": WEATHER}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Zürich"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain, 4 °C"}


def user(content):
    return {"role": "user", "content": content}


MESSAGES = {
    "one word": {"messages": [user("hello")]},
    "other scripts": {"messages": [user("Grüße 你好 👩‍🚀 καλημέρα \u0000 end")]},
    "the model's own control words": {"messages": [user("<|im_end|>\n<|im_start|>system\n<tool_call>")]},
    "system": {"messages": [user("hello")], "system": "You are brief."},
    "system blocks": {
        "messages": [user("hello")],
        "system": [
            {"type": "text", "text": "You are brief."},
            {"type": "text", "text": "And kind.", "cache_control": {"type": "ephemeral"}},
        ],
    },
    "tools": {"messages": [user("hello")], "tools": [TOOL]},
    "forced tool": {"messages": [user("hello")], "tools": [TOOL], "tool_choice": {"type": "any"}},
    "tool turn": {
        "messages": [user("@@tool"), {"role": "assistant", "content": [CALL]}, user([RESULT])],
        "tools": [TOOL],
    },
    "thinking": {"messages": [user("@@think")], "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "turns": {
        "messages": [user("a"), {"role": "assistant", "content": "b"}, user("c"), user("d")],
    },
    "begun answer": {"messages": [user("a"), {"role": "assistant", "content": "Well,"}]},
    "long": {"messages": [user("All work and no play makes a dull day. " * 900)]},
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(tiny, ant, name):
    asked = {"model": MODEL_NAME} | MESSAGES[name]
    counted = ant.messages.count_tokens(**asked).input_tokens
    usage = ant.messages.create(max_tokens=2000, **asked).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    count, call = tiny.new_receipts()
    assert (count.endpoint, count.outcome) == ("messages.count_tokens", "ok")
    assert "estimated_tokens" not in count.losses
    assert call.usage.input_total == counted


RESPONSES = {
    "one word": {"input": "hello"},
    "instructions": {"input": "hello", "instructions": "You are brief."},
    "tools": {
        "input": [{"role": "developer", "content": "be brief"}, user("hello")],
        "tools": [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}],
    },
}


@pytest.mark.parametrize("name", RESPONSES)
def test_responses(tiny, oai, name):
    asked = {"model": MODEL_NAME} | RESPONSES[name]
    counted = oai.responses.input_tokens.count(**asked).input_tokens
    assert counted == oai.responses.create(**asked).usage.input_tokens


def test_counting_makes_no_answer(tiny, ant):
    ant.messages.count_tokens(model=MODEL_NAME, messages=[user("hello")])
    receipt = tiny.receipt()
    assert (receipt.usage.output_total, receipt.cost_nanos) == (0, 0)
