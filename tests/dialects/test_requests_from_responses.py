"""Responses requests (Codex's above all) for chat and Anthropic upstreams."""

from __future__ import annotations

import json

import pytest

from freehold.core.catalog import Dialect
from freehold.dialects.context import ToolOrigin, TranslationError
from tests.dialects.requestkit import Object, body, check_chat, check_messages, losses, translated

UPSTREAMS: tuple[Dialect, ...] = ("chat", "messages")


def said(role: str, text: str) -> Object:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def called(call_id: str, name: str = "shell", arguments: str = "{}", **more: object) -> Object:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def output(call_id: str, given: object = "ok", kind: str = "function_call_output") -> Object:
    return {"type": kind, "call_id": call_id, "output": given}


def codex(*items: Object) -> Object:
    return {
        "instructions": "You are Codex.",
        "input": [said("developer", "Sandbox: read-only."), said("user", "hello"), *items],
        "tools": [
            {"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object"}},
            {
                "type": "namespace",
                "name": "mcp__docs",
                "description": "Docs.",
                "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}],
            },
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Patch files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin"},
            },
            {"type": "web_search", "external_web_access": False},
            {"type": "local_shell"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "thread",
        "client_metadata": {"x": "y"},
    }


def test_codexs_first_request_reaches_a_local_chat_model() -> None:
    sent = translated("responses", "chat", codex())
    written = json.loads(sent.body)
    check_chat(written)
    assert written["messages"] == [
        {"role": "system", "content": "You are Codex.\n\nSandbox: read-only."},
        {"role": "user", "content": "hello"},
    ]
    names = [tool["function"]["name"] for tool in written["tools"]]
    assert names == ["shell", "mcp__docs__find", "apply_patch"]
    assert set(sent.losses) == {
        "tool.namespace",
        "tool.custom",
        "tool.web_search",
        "tool.local_shell",
        "prompt_cache_key",
        "client_metadata",
    }


def test_namespaces_are_flattened_and_remembered() -> None:
    sent = translated("responses", "messages", codex(called("c", "find", namespace="mcp__docs"), output("c")))
    written = json.loads(sent.body)
    check_messages(written)
    assert written["messages"][1]["content"][0]["name"] == "mcp__docs__find"
    assert sent.context.tools["mcp__docs__find"] == ToolOrigin(
        kind="namespace", name="find", namespace="mcp__docs"
    )


def test_two_tools_of_one_flat_name_stay_two_tools() -> None:
    inner = {"type": "function", "name": "b"}
    tools = [{"type": "function", "name": "a__b"}, {"type": "namespace", "name": "a", "tools": [inner]}]
    sent = translated("responses", "chat", {"input": "x", "tools": tools})
    first, second = (tool["function"]["name"] for tool in json.loads(sent.body)["tools"])
    assert first == "a__b"
    assert second != first
    assert sent.context.tools[second].namespace == "a"


def test_free_form_calls_in_the_history_become_function_calls_with_their_input() -> None:
    made = {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": '*** "Begin"'}
    request = codex(made, output("c", "Done", "custom_tool_call_output"))
    for upstream, check in zip(UPSTREAMS, (check_chat, check_messages), strict=True):
        check(body("responses", upstream, request))
    history = body("responses", "chat", request)["messages"][2:]
    assert json.loads(history[0]["tool_calls"][0]["function"]["arguments"]) == {"input": '*** "Begin"'}
    assert history[1]["content"] == "Done"
    tools = {tool["name"]: tool for tool in body("responses", "messages", request)["tools"]}
    assert tools["apply_patch"]["input_schema"]["required"] == ["input"]
    assert "start: begin" in tools["apply_patch"]["description"]


def test_parallel_calls_are_one_assistant_turn_and_later_calls_another() -> None:
    items = [called("a"), called("b"), output("a"), output("b"), called("c"), output("c")]
    chat = body("responses", "chat", codex(said("assistant", "Looking."), *items))
    check_chat(chat)
    assert [len(m.get("tool_calls", [])) for m in chat["messages"]] == [0, 0, 2, 0, 0, 1, 0]
    assert chat["messages"][2]["content"] == "Looking."
    check_messages(body("responses", "messages", codex(*items)))


def test_outputs_with_images_keep_them() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    request = codex(called("a"), output("a", [{"type": "input_text", "text": "see"}, image]))
    result = body("responses", "messages", request)["messages"][2]["content"][0]
    assert [block["type"] for block in result["content"]] == ["text", "image"]
    chat = body("responses", "chat", request)
    check_chat(chat)
    assert chat["messages"][-1]["content"][1]["type"] == "image_url"


def test_calls_of_built_in_client_tools_stay_in_the_history() -> None:
    action = {"type": "exec", "command": ["ls"], "env": {}}
    items = [
        {"type": "local_shell_call", "id": "l", "call_id": "a", "status": "completed", "action": action},
        {"type": "local_shell_call_output", "id": "a", "output": "file"},
    ]
    chat = body("responses", "chat", codex(*items))
    check_chat(chat)
    assert json.loads(chat["messages"][2]["tool_calls"][0]["function"]["arguments"])["command"] == ["ls"]
    assert chat["messages"][3]["content"] == "file"


def test_broken_arguments_in_the_history_are_carried_as_an_object() -> None:
    request = codex(called("a", arguments='{"cmd": "ls'), output("a"))
    for upstream, check in zip(UPSTREAMS, (check_chat, check_messages), strict=True):
        check(body("responses", upstream, request))
        assert "tool_call.arguments" in losses("responses", upstream, request)


def test_reasoning_goes_back_only_to_its_maker() -> None:
    openais = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}
    claudes = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "freehold.messages.signed.SIG",
    }
    redacted = {**claudes, "summary": [], "encrypted_content": "freehold.messages.redacted.DATA"}
    locals_ = {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "x", "text": "so"}]}
    request = codex(openais, claudes, redacted, locals_, called("a"), output("a"))
    chat = translated("responses", "chat", request)
    assert json.loads(chat.body)["messages"][2]["reasoning_content"] == "so"
    assert b"hm" not in chat.body
    assert "reasoning" in chat.losses or "thinking" in chat.losses
    same = body("responses", "messages", request, same_maker=True)["messages"][1]["content"]
    assert same[0] == {"type": "thinking", "thinking": "hm", "signature": "SIG"}
    assert same[1] == {"type": "redacted_thinking", "data": "DATA"}
    other = translated("responses", "messages", request)
    assert b"SIG" not in other.body
    assert b"gAAA" not in other.body


def test_unknown_items_and_fields_are_losses_not_failures() -> None:
    request = {
        "input": [said("user", "x"), {"type": "web_search_call", "id": "w"}, {"type": "compaction"}],
        "truncation": "auto",
        "background": True,
        "max_tool_calls": 3,
        "include": ["web_search_call.results"],
        "from_the_future": 1,
    }
    assert set(losses("responses", "chat", request)) == {
        "input.web_search_call",
        "input.compaction",
        "truncation",
        "background",
        "max_tool_calls",
        "include.web_search_call.results",
        "from_the_future",
    }


def test_tools_that_arrive_in_the_input_are_offered() -> None:
    later = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]}
    written = body("responses", "chat", codex(later))
    assert written["tools"][-1]["function"]["name"] == "late"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"input": "x", "previous_response_id": "resp_1"}, "keeps no response history"),
        ({"input": "x", "conversation": "conv_1"}, "keeps no response history"),
        ({"prompt": {"id": "p"}}, "keeps no response history"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "Send the item itself"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role is 'robot'"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id must be a string"),
        ({"input": 7}, "input must be a list"),
        ({"input": "x", "text": {"format": {"type": "xml"}}}, "text, json_object or json_schema"),
    ],
)
def test_what_cannot_be_said_is_refused_with_what_to_do(request_: Object, words: str) -> None:
    with pytest.raises(TranslationError) as refusal:
        translated("responses", "chat", request_)
    assert refusal.value.error.status == 400
    assert words in refusal.value.error.message


def test_text_input_format_and_limits() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    request = {"input": "hi", "text": {"format": form}, "max_output_tokens": 50, "temperature": 0.3}
    chat = body("responses", "chat", request)
    assert chat["messages"] == [{"role": "user", "content": "hi"}]
    assert chat["response_format"]["json_schema"] == {"name": "n", "schema": schema, "strict": True}
    assert (chat["max_tokens"], chat["temperature"]) == (50, 0.3)
    messages = body("responses", "messages", request, model="claude-sonnet-5")
    assert messages["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@pytest.mark.parametrize(
    ("choice", "chat"),
    [
        ("required", "required"),
        ({"type": "function", "name": "shell"}, {"type": "function", "function": {"name": "shell"}}),
        (
            {"type": "function", "name": "find", "namespace": "mcp__docs"},
            {"type": "function", "function": {"name": "mcp__docs__find"}},
        ),
        (
            {"type": "custom", "name": "apply_patch"},
            {"type": "function", "function": {"name": "apply_patch"}},
        ),
        ({"type": "web_search"}, None),
    ],
)
def test_tool_choice(choice: object, chat: object) -> None:
    assert body("responses", "chat", {**codex(), "tool_choice": choice}).get("tool_choice") == chat


def test_the_answer_will_repeat_what_responses_objects_repeat() -> None:
    echo = translated("responses", "chat", codex()).context.echo
    assert echo["instructions"] == "You are Codex."
    assert echo["tools"] == codex()["tools"]
    assert echo["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert "store" not in echo


def test_an_effort_asked_for_reaches_a_chat_server() -> None:
    assert body("responses", "chat", codex())["reasoning_effort"] == "medium"
    assert "reasoning_effort" not in body("responses", "chat", codex(), takes_effort=False)
    assert "reasoning_effort" in losses("responses", "chat", codex(), takes_effort=False)
