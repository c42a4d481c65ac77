"""Anthropic messages requests (Claude Code's above all) for chat and Responses upstreams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.dialects.context import TranslationError
from freehold.dialects.seals import seal, unsealed
from tests.dialects.requestkit import Object, body, check_chat, check_responses, losses, tool, translated

ATTRIBUTION = "x-anthropic-billing-header: cc_version=2.1.197.{}; cc_entrypoint=cli; cch={};"


def claude_code(checksum: str, *more: Object) -> Object:
    return {
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": ATTRIBUTION.format(checksum[:3], checksum)},
            {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Be brief."},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "system", "content": "Available skills: none."},
            *more,
        ],
        "tools": [tool("Bash", command={"type": "string"})],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": []},
        "metadata": {"user_id": "user_" + "0" * 80},
        "stream": True,
    }


def said(role: str, *blocks: Object | str) -> Object:
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return {"role": role, "content": content}


def used(call_id: str, name: str = "Bash", **given: Any) -> Object:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id: str, content: Any = "ok", **more: Any) -> Object:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def test_claude_codes_changing_attribution_line_does_not_change_a_local_models_prompt() -> None:
    first = translated("messages", "chat", claude_code("fa690"))
    second = translated("messages", "chat", claude_code("543cf"))
    assert first.body == second.body
    assert b"billing" not in first.body
    assert "attribution_line" in first.losses


def test_text_after_the_attribution_line_in_the_same_block_stays() -> None:
    request = {"system": ATTRIBUTION.format("a", "b") + "\n\nYou are kind.", "messages": [said("user", "hi")]}
    assert body("messages", "chat", request)["messages"][0]["content"] == "You are kind."


def test_system_role_after_the_user_turn_becomes_user_text_where_templates_want_one_system_message() -> None:
    request = body("messages", "chat", claude_code("fa690"))
    check_chat(request)
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["messages"][1]["content"] == (
        "hello\n\n<system-reminder>\nAvailable skills: none.\n</system-reminder>"
    )
    assert "system.position" in losses("messages", "chat", claude_code("fa690"))


def test_a_growing_conversation_keeps_every_earlier_byte_of_the_prompt() -> None:
    more = [
        said("assistant", "Hi.", used("t1", command="ls")),
        said("user", result("t1")),
        {"role": "system", "content": "The date changed."},
        said("assistant", "Done."),
        said("user", "and now?"),
    ]
    early = body("messages", "chat", claude_code("aaaaa"))["messages"]
    late = body("messages", "chat", claude_code("bbbbb", *more))["messages"]
    assert late[: len(early)] == early


def test_system_turns_keep_their_place_where_the_upstream_takes_them() -> None:
    chat = body("messages", "chat", claude_code("fa690"), provider="openai")["messages"]
    assert [message["role"] for message in chat] == ["system", "user", "system"]
    responses = body("messages", "responses", claude_code("fa690"))
    assert responses["instructions"] == "You are Claude Code.\n\nBe brief."
    assert [item["role"] for item in responses["input"]] == ["user", "developer"]


def test_claude_codes_whole_first_request_names_its_losses() -> None:
    assert set(losses("messages", "chat", claude_code("fa690"))) == {
        "attribution_line",
        "system.position",
        "cache_control",
        "thinking",
        "context_management",
        "metadata.user_id",
    }


def test_parallel_calls_and_their_results() -> None:
    request = {
        "messages": [
            said("user", "go"),
            said("assistant", "Two at once.", used("t1", command="ls"), used("t2", command="pwd")),
            said("user", result("t2", "b"), result("t1", "a"), "and then?"),
        ],
        "tools": [tool("Bash")],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    chat = body("messages", "chat", request)
    check_chat(chat)
    assert [m["role"] for m in chat["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert json.loads(chat["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"command": "ls"}
    assert chat["messages"][2] == {"role": "tool", "tool_call_id": "t1", "content": "a"}
    assert (chat["tool_choice"], chat["parallel_tool_calls"]) == ("required", False)
    responses = body("messages", "responses", request)
    check_responses(responses)
    assert [item["type"] for item in responses["input"]] == [
        "message",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "message",
    ]


def test_a_tool_result_with_an_image_is_shown_by_the_user_in_chat_and_inline_in_responses() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    request = {
        "messages": [
            said("user", "look"),
            said("assistant", used("t1")),
            said("user", result("t1", [{"type": "text", "text": "a screenshot"}, image])),
        ]
    }
    chat = body("messages", "chat", request)
    check_chat(chat)
    assert chat["messages"][2]["content"] == "a screenshot"
    assert chat["messages"][3]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert losses("messages", "chat", request) == ("tool_result.image",)
    output = body("messages", "responses", request)["input"][-1]["output"]
    assert [part["type"] for part in output] == ["input_text", "input_image"]
    assert losses("messages", "responses", request) == ()


def test_a_failed_tool_says_so_in_words_where_there_is_no_flag() -> None:
    request = {
        "messages": [
            said("user", "go"),
            said("assistant", used("t1"), used("t2")),
            said("user", result("t1", "no such file", is_error=True), result("t2", "Error 7", is_error=True)),
        ]
    }
    chat = body("messages", "chat", request)["messages"]
    assert [message["content"] for message in chat[2:]] == ["Error: no such file", "Error 7"]
    assert "tool_result.is_error" in losses("messages", "chat", request)


def test_results_without_a_call_and_calls_without_a_result_do_not_break_the_upstream() -> None:
    request = {
        "messages": [
            said("user", result("gone", "old output"), "go on"),
            said("assistant", used("t1")),
            said("user", "never mind"),
        ]
    }
    for upstream, check in (("chat", check_chat), ("responses", check_responses)):
        written = body("messages", upstream, request)  # type: ignore[arg-type]
        check(written)
        assert "old output" in json.dumps(written)
        assert set(losses("messages", upstream, request)) >= {  # type: ignore[arg-type]
            "tool_result.orphaned",
            "tool_result.missing",
        }


def test_thinking_signed_by_anthropic_never_goes_to_another_maker() -> None:
    request = {
        "messages": [
            said("user", "go"),
            said(
                "assistant",
                {"type": "thinking", "thinking": "secret", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xx"},
                "Hi.",
            ),
            said("user", "more"),
        ]
    }
    for upstream in ("chat", "responses"):
        written = translated("messages", upstream, request, same_maker=True)  # type: ignore[arg-type]
        assert b"secret" not in written.body
        assert written.losses == ("thinking",)


def test_a_chat_servers_reasoning_goes_back_to_it_as_reasoning_content() -> None:
    """DeepSeek answers 400 in a tool loop without it."""
    request = {
        "messages": [
            said("user", "go"),
            said("assistant", {"type": "thinking", "thinking": "hm", "signature": ""}, used("t1")),
            said("user", result("t1")),
        ]
    }
    assert body("messages", "chat", request)["messages"][1]["reasoning_content"] == "hm"
    to_openai = translated("messages", "chat", request, provider="openai")
    assert b"reasoning_content" not in to_openai.body
    assert "thinking" in to_openai.losses


def test_openais_encrypted_reasoning_comes_back_to_it_through_claude_code() -> None:
    thought = unsealed("freehold.responses.rs_1.gAAAA.x", "a plan")
    assert thought is not None
    request = {
        "messages": [
            said("user", "go"),
            said("assistant", {"type": "thinking", "thinking": "a plan", "signature": seal(thought)}, "Hi."),
            said("user", "more"),
        ]
    }
    item = body("messages", "responses", request, same_maker=True)["input"][1]
    assert item == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a plan"}],
        "encrypted_content": "gAAAA.x",
    }
    elsewhere = translated("messages", "responses", request)
    assert b"gAAAA" not in elsewhere.body
    assert elsewhere.losses == ("thinking",)


def test_documents_reach_models_that_can_read_them() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    request = {
        "messages": [
            said(
                "user",
                {"type": "document", "source": pdf, "title": "Plan"},
                {"type": "document", "title": "Note", "source": {"type": "text", "data": "plain"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
                {
                    "type": "search_result",
                    "title": "T",
                    "source": "S",
                    "content": [{"type": "text", "text": "x"}],
                },
            )
        ]
    }
    chat = body("messages", "chat", request)["messages"][0]["content"]
    assert chat[0]["file"] == {"filename": "Plan", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert chat[1]["text"] == "# Note\n\nplain"
    assert losses("messages", "chat", request) == ("document.url",)
    responses = body("messages", "responses", request)["input"][0]["content"]
    assert responses[2] == {"type": "input_file", "file_url": "https://example.org/a.pdf"}
    assert losses("messages", "responses", request) == ()


def test_server_tools_are_dropped_by_name_and_a_choice_of_one_falls_back_to_auto() -> None:
    request = {
        "messages": [said("user", "search")],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}, tool("Bash")],
        "tool_choice": {"type": "tool", "name": "web_search"},
    }
    chat = body("messages", "chat", request)
    assert [entry["function"]["name"] for entry in chat["tools"]] == ["Bash"]
    assert "tool_choice" not in chat
    assert losses("messages", "chat", request) == ("tool.web_search", "tool_choice")


def test_long_tool_names_are_shortened_for_openai_and_remembered() -> None:
    name = "mcp__" + "n" * 90
    request = {"messages": [said("user", "x"), said("assistant", used("t", name)), said("user", result("t"))]}
    sent = translated("messages", "chat", {**request, "tools": [tool(name)]})
    short = json.loads(sent.body)["tools"][0]["function"]["name"]
    assert len(short) <= 64
    assert json.loads(sent.body)["messages"][1]["tool_calls"][0]["function"]["name"] == short
    assert sent.context.tools[short].name == name


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    closed = {**schema, "additionalProperties": False}
    request: Object = {"messages": [said("user", "x")], "output_config": {"format": {"type": "json_schema"}}}
    request["output_config"]["format"]["schema"] = closed
    form = body("messages", "chat", request)["response_format"]
    assert form == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": closed, "strict": True},
    }
    assert body("messages", "responses", request)["text"]["format"]["strict"] is True
    request["output_config"]["format"]["schema"] = schema  # OpenAI's strict mode would refuse it
    assert body("messages", "chat", request)["response_format"]["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("thinking", "config", "model", "effort"),
    [
        ({"type": "adaptive"}, {"effort": "high"}, "gpt-5.6", "high"),
        ({"type": "enabled", "budget_tokens": 8000}, {}, "o4-mini", "medium"),
        ({"type": "enabled", "budget_tokens": 60000}, {}, "openai/gpt-6", "max"),
        ({"type": "adaptive"}, {"effort": "high"}, "gpt-4o", None),
        ({"type": "adaptive"}, {"effort": "high"}, "qwen3-8b", None),
        ({"type": "disabled"}, {}, "gpt-5.6", None),
    ],
)
def test_thinking_becomes_an_effort_only_where_the_model_takes_one(
    thinking: Object, config: Object, model: str, effort: str | None
) -> None:
    request = {"messages": [said("user", "x")], "thinking": thinking, "output_config": config}
    assert body("messages", "chat", request, model=model, provider="openai").get("reasoning_effort") == effort
    reasoning = body("messages", "responses", request, model=model).get("reasoning", {})
    assert reasoning.get("effort") == effort


def test_efforts_that_only_openai_knows_are_rounded_for_others() -> None:
    request = {
        "messages": [said("user", "x")],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "max"},
    }
    assert body("messages", "chat", request, takes_effort=True)["reasoning_effort"] == "high"
    assert "reasoning_effort" in losses("messages", "chat", request, takes_effort=True)


def test_limits_sampling_and_stops() -> None:
    request = {
        "messages": [said("user", "x")],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
    }
    chat = body("messages", "chat", request)
    assert (chat["max_tokens"], chat["temperature"], chat["top_p"], chat["stop"]) == (7, 0.5, 0.9, ["END"])
    assert body("messages", "chat", request, provider="openai")["max_completion_tokens"] == 7
    assert losses("messages", "chat", request) == ("top_k",)
    assert body("messages", "responses", request)["max_output_tokens"] == 16
    assert losses("messages", "responses", request) == ("top_k", "stop", "max_tokens")


def test_streams_ask_the_upstream_for_usage() -> None:
    request = {"messages": [said("user", "x")], "stream": True}
    assert body("messages", "chat", request)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body("messages", "chat", request, ask_usage=False)
    assert "stream_options" not in body("messages", "responses", request)


def test_nothing_is_stored_at_openai_that_the_client_did_not_ask_to_store() -> None:
    assert body("messages", "responses", {"messages": [said("user", "x")]})["store"] is False


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "messages must be a list"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role is 'robot'"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content must be a list"),
        ({"messages": [], "temperature": "hot"}, "temperature must be a number"),
        ({"messages": [], "tool_choice": {"type": "some"}}, "auto, any, tool or none"),
        ({"messages": [], "thinking": {"type": "enabled"}}, "budget_tokens"),
        ({"messages": [], "tools": [{"description": "x"}]}, "tools[0].name must be a string"),
    ],
)
def test_malformed_requests_are_told_what_is_wrong(request_: Object, words: str) -> None:
    with pytest.raises(TranslationError) as refusal:
        translated("messages", "chat", request_)
    assert refusal.value.error.status == 400
    assert words in refusal.value.error.message
