"""Ollama `/api/chat` requests for chat upstreams."""

from __future__ import annotations

import json

import pytest

from freehold.dialects.context import TranslationError
from tests.dialects.requestkit import Object, body, check_chat, check_messages, losses, translated


def test_a_request_streams_unless_told_otherwise() -> None:
    request: Object = {"messages": [{"role": "user", "content": "hi"}]}
    sent = translated("ollama", "chat", request)
    assert sent.context.stream is True
    assert json.loads(sent.body)["stream"] is True
    assert translated("ollama", "chat", {**request, "stream": False}).context.stream is False


def test_options_images_and_format() -> None:
    request = {
        "messages": [{"role": "user", "content": "see", "images": ["iVBORw0KGgoAAA"]}],
        "options": {"temperature": 0, "num_predict": 5, "stop": ["x"], "seed": 1, "num_ctx": 8192},
        "format": {"type": "object"},
        "keep_alive": "5m",
    }
    written = body("ollama", "chat", request)
    assert written["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgoAAA"
    assert (written["temperature"], written["max_tokens"], written["stop"], written["seed"]) == (
        0,
        5,
        ["x"],
        1,
    )
    assert written["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert losses("ollama", "chat", request) == ("options.num_ctx", "keep_alive")
    assert body("ollama", "chat", {"messages": [], "format": "json"})["response_format"] == {
        "type": "json_object"
    }
    without = {"messages": [], "options": {"num_predict": -1}}
    assert "max_tokens" not in body("ollama", "chat", without)


def test_tool_calls_get_ids_and_results_find_their_call() -> None:
    def called(*names: str) -> Object:
        calls = [{"function": {"name": name, "arguments": {"a": 1}}} for name in names]
        return {"role": "assistant", "content": "", "tool_calls": calls}

    request = {
        "messages": [
            {"role": "user", "content": "go"},
            called("f", "g"),
            {"role": "tool", "content": "of g", "tool_name": "g"},
            {"role": "tool", "content": "of f"},
            called("f"),
            {"role": "tool", "content": "again", "tool_name": "f"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    }
    written = body("ollama", "chat", request)
    check_chat(written)
    assert [m["content"] for m in written["messages"] if m["role"] == "tool"] == ["of f", "of g", "again"]
    check_messages(body("ollama", "messages", request))


@pytest.mark.parametrize(("think", "effort"), [("low", "low"), (True, "medium"), (False, None), (None, None)])
def test_think(think: object, effort: str | None) -> None:
    request = {"messages": [{"role": "user", "content": "x"}], "think": think}
    written = body("ollama", "messages", request, model="claude-sonnet-5")
    assert written.get("output_config", {}).get("effort") == effort


def test_thinking_in_the_history_goes_back() -> None:
    request = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "thinking": "hm"},
            {"role": "user", "content": "c"},
        ]
    }
    assert body("ollama", "chat", request)["messages"][1]["reasoning_content"] == "hm"


def test_malformed_requests_are_told_what_is_wrong() -> None:
    with pytest.raises(TranslationError, match=r"messages\[0\].role is 'robot'"):
        translated("ollama", "chat", {"messages": [{"role": "robot"}]})
