"""Chat completions requests for Anthropic and Responses upstreams."""

from __future__ import annotations

import json

import pytest

from freehold.dialects.context import ToolOrigin, TranslationError
from freehold.dialects.requests import RequestFacts, translate_request
from tests.dialects.requestkit import (
    Object,
    body,
    call,
    check_messages,
    check_responses,
    function,
    losses,
    translated,
)

HI: Object = {"messages": [{"role": "user", "content": "hi"}]}
NEW = "claude-sonnet-5"
OLD = "claude-opus-4-5"


def user(content: object) -> Object:
    return {"role": "user", "content": content}


def loop(*calls: Object, **assistant: object) -> list[Object]:
    """A user's wish, the assistant's calls, and a result for each."""
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "ok"} for one in calls]
    return [
        user("go"),
        {"role": "assistant", "content": None, "tool_calls": list(calls), **assistant},
        *results,
    ]


def test_system_and_developer_messages_lead_as_system_text() -> None:
    request = {
        "messages": [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, user("x")]
    }
    written = body("chat", "messages", request)
    assert [block["text"] for block in written["system"]] == ["A", "B"]
    assert body("chat", "responses", request)["instructions"] == "A\n\nB"


def test_system_text_in_mid_conversation_stays_for_new_claude_models_and_becomes_user_text_for_others() -> (
    None
):
    request = {"messages": [user("x"), {"role": "developer", "content": "Now in French."}]}
    kept = body("chat", "messages", request, model="claude-opus-4-8")
    assert kept["messages"][1] == {"role": "system", "content": [{"type": "text", "text": "Now in French."}]}
    moved = body("chat", "messages", request, model=OLD)
    check_messages(moved)
    assert "<system-reminder>\nNow in French." in moved["messages"][0]["content"][1]["text"]
    before_user = {
        "messages": [user("x"), {"role": "assistant", "content": "y"}, request["messages"][1], user("z")]
    }
    check_messages(body("chat", "messages", before_user, model="claude-opus-4-8"))


def test_a_request_of_system_text_alone_is_still_a_question() -> None:
    written = body("chat", "messages", {"messages": [{"role": "system", "content": "Say hi."}]})
    assert written["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]


def test_a_history_that_was_cut_begins_with_a_user_turn() -> None:
    request = {"messages": [{"role": "assistant", "content": "As I said"}, user("x")]}
    check_messages(body("chat", "messages", request))
    assert losses("chat", "messages", request) == ("messages.first_role",)


def test_neighbours_of_one_role_are_one_turn() -> None:
    request = {"messages": [user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d")]}
    written = body("chat", "messages", request)
    check_messages(written)
    assert [block["text"] for block in written["messages"][0]["content"]] == ["a", "b"]


def test_tool_call_ids_that_anthropic_refuses_are_made_legal_and_unique() -> None:
    """Kimi writes `functions.bash:0`; servers that count per answer repeat ids over a conversation."""
    one = call("functions.bash:0", "bash", "{}")
    request = {"messages": [*loop(one), *loop(one), user("x")]}
    written = body("chat", "messages", request)
    check_messages(written)
    ids = [m["content"][0]["id"] for m in written["messages"] if m["content"][0]["type"] == "tool_use"]
    assert ids == ["functions_bash_0", "functions_bash_0_2"]


@pytest.mark.parametrize("arguments", ['{"path": "a', "not json", "[1]", '"text"', "null"])
def test_broken_tool_call_json_in_the_history_never_reaches_an_upstream(arguments: str) -> None:
    request = {"messages": loop(call("c", "f", arguments)), "tools": [function("f")]}
    written = body("chat", "messages", request)
    check_messages(written)
    assert written["messages"][1]["content"][0]["input"] == {"_raw": arguments}
    item = body("chat", "responses", request)["input"][1]
    assert json.loads(item["arguments"]) == {"_raw": arguments}
    assert losses("chat", "messages", request) == ("tool_call.arguments",)


def test_empty_arguments_are_an_empty_object_and_no_loss() -> None:
    request = {"messages": loop(call("c", "f", ""))}
    assert body("chat", "messages", request)["messages"][1]["content"][0]["input"] == {}
    assert losses("chat", "responses", request) == ()


def test_an_empty_list_of_tool_calls_beside_text_is_no_call() -> None:
    request = {"messages": [user("a"), {"role": "assistant", "content": "b", "tool_calls": []}, user("c")]}
    written = body("chat", "messages", request)
    assert written["messages"][1]["content"] == [{"type": "text", "text": "b"}]


def test_valid_arguments_reach_responses_byte_for_byte() -> None:
    text = '{"b": 1.50,  "a": "\\u00e9"}'
    request = {"messages": loop(call("c", "f", text))}
    assert body("chat", "responses", request)["input"][1]["arguments"] == text


def test_a_history_with_calls_but_without_tools_still_names_its_tools() -> None:
    written = body("chat", "messages", {"messages": loop(call("c", "f", "{}"))})
    assert [tool["name"] for tool in written["tools"]] == ["f"]
    assert written["tool_choice"] == {"type": "none"}


def test_images_and_files() -> None:
    request = {
        "messages": [
            user(
                [
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/jpeg;base64,/9j/AA", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"},
                    },
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                ]
            )
        ]
    }
    blocks = body("chat", "messages", request)["messages"][0]["content"]
    assert blocks[0]["source"] == {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AA"}
    assert blocks[1]["source"] == {"type": "url", "url": "https://example.org/a.png"}
    assert (blocks[2]["type"], blocks[2]["title"]) == ("document", "a.pdf")
    assert losses("chat", "messages", request) == ("image.detail", "input_audio")
    parts = body("chat", "responses", request)["input"][0]["content"]
    assert parts[0] == {"type": "input_image", "detail": "low", "image_url": "data:image/jpeg;base64,/9j/AA"}
    assert parts[2]["file_data"] == "data:application/pdf;base64,JV"


def test_anthropics_cache_marks_survive_a_chat_client() -> None:
    mark = {"type": "ephemeral"}
    request = {"messages": [user([{"type": "text", "text": "long", "cache_control": mark}])]}
    block = body("chat", "messages", request)["messages"][0]["content"][0]
    assert block["cache_control"] == mark
    assert losses("chat", "messages", request) == ()
    assert losses("chat", "responses", request) == ("cache_control",)


@pytest.mark.parametrize(
    ("choice", "messages", "responses"),
    [
        ("auto", {"type": "auto"}, "auto"),
        ("none", {"type": "none"}, "none"),
        ("required", {"type": "any"}, "required"),
        (
            {"type": "function", "function": {"name": "f"}},
            {"type": "tool", "name": "f"},
            {"type": "function", "name": "f"},
        ),
    ],
)
def test_tool_choice(choice: object, messages: Object, responses: object) -> None:
    request = {**HI, "tools": [function("f")], "tool_choice": choice}
    assert body("chat", "messages", request)["tool_choice"] == messages
    assert body("chat", "responses", request)["tool_choice"] == responses


def test_allowed_tools_are_the_only_ones_offered() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    request = {**HI, "tools": [function("f"), function("g")], "tool_choice": choice}
    written = body("chat", "messages", request)
    assert [tool["name"] for tool in written["tools"]] == ["g"]
    assert written["tool_choice"] == {"type": "any"}


def test_one_tool_at_a_time() -> None:
    request = {**HI, "tools": [function("f")], "parallel_tool_calls": False}
    choice = body("chat", "messages", request)["tool_choice"]
    assert choice == {"type": "auto", "disable_parallel_tool_use": True}
    assert body("chat", "responses", request)["parallel_tool_calls"] is False


def test_free_form_tools_are_native_in_responses_and_bridged_for_anthropic() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /x/"}}
    tool = {"type": "custom", "custom": {"name": "patch", "description": "Patches.", "format": grammar}}
    made = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    request = {"messages": loop(made), "tools": [tool]}
    native = translated("chat", "responses", request)
    written = json.loads(native.body)
    assert written["tools"][0]["format"] == {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    assert [item["type"] for item in written["input"]][1:] == ["custom_tool_call", "custom_tool_call_output"]
    assert native.context.tools["patch"] == ToolOrigin(kind="custom", name="patch")
    bridged = translated("chat", "messages", request)
    assert json.loads(bridged.body)["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert "start: /x/" in json.loads(bridged.body)["tools"][0]["description"]
    assert bridged.losses == ("tool.custom",)
    assert bridged.context.tools["patch"].kind == "custom"


def test_a_schema_outside_anthropics_subset_is_narrowed_and_named() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "minimum": 1}, "b": {"$ref": "#/$defs/B"}},
        "$defs": {"B": {"type": "object", "properties": {"c": {"type": "array", "maxItems": 3}}}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    written = body("chat", "messages", {**HI, "response_format": form}, model=NEW)
    narrow = written["output_config"]["format"]["schema"]
    assert narrow["properties"]["minimum"] == {"type": "integer"}
    assert narrow["additionalProperties"] is False
    assert narrow["$defs"]["B"]["additionalProperties"] is False
    assert "maxItems" not in json.dumps(narrow)
    assert losses("chat", "messages", {**HI, "response_format": form}, model=NEW) == (
        "response_format.schema",
    )


@pytest.mark.parametrize(
    ("form", "model"),
    [
        ({"type": "json_object"}, NEW),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            "claude-sonnet-4-0",
        ),
    ],
)
def test_structured_output_without_support_is_asked_for_in_words(form: Object, model: str) -> None:
    request = {"messages": [{"role": "system", "content": "S"}, user("x")], "response_format": form}
    written = body("chat", "messages", request, model=model)
    assert written["system"][0]["text"] == "S"
    assert "JSON" in written["system"][1]["text"]
    assert "output_config" not in written
    assert losses("chat", "messages", request, model=model) == ("response_format",)


def test_efforts_become_adaptive_thinking_on_new_models_and_budgets_on_old_ones() -> None:
    request = {**HI, "reasoning_effort": "medium"}
    new = body("chat", "messages", request, model=NEW)
    assert (new["thinking"], new["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})
    old = body("chat", "messages", request, model=OLD)
    assert old["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert old["max_tokens"] == 4096 + 8192
    capped = body("chat", "messages", {**request, "max_completion_tokens": 2000}, model=OLD)
    assert (capped["max_tokens"], capped["thinking"]["budget_tokens"]) == (2000, 1999)
    tiny = {**request, "max_tokens": 100}
    assert "thinking" not in body("chat", "messages", tiny, model=OLD)
    assert losses("chat", "messages", tiny, model=OLD) == ("reasoning_effort",)


def test_thinking_gives_way_to_what_anthropic_refuses_beside_it() -> None:
    forced = {**HI, "reasoning_effort": "high", "tools": [function("f")], "tool_choice": "required"}
    for model in (OLD, NEW):
        assert "thinking" not in body("chat", "messages", forced, model=model)
        assert losses("chat", "messages", forced, model=model) == ("reasoning_effort",)
    loop_without = {
        "messages": loop(call("c", "f", "{}")),
        "tools": [function("f")],
        "reasoning_effort": "high",
    }
    assert "thinking" not in body("chat", "messages", loop_without, model=OLD)
    warm = {**HI, "reasoning_effort": "high", "temperature": 0.1}
    assert "temperature" not in body("chat", "messages", warm, model=OLD)
    assert losses("chat", "messages", warm, model=OLD) == ("temperature",)


def test_sampling_that_a_claude_model_refuses_is_left_out_and_named() -> None:
    request = {**HI, "temperature": 1.7, "top_p": 0.5, "seed": 0, "frequency_penalty": 0.3}
    old = body("chat", "messages", request, model=OLD)
    assert (old["temperature"], "top_p" in old) == (1, False)
    assert losses("chat", "messages", request, model=OLD) == (
        "temperature",
        "top_p",
        "seed",
        "frequency_penalty",
    )
    new = body("chat", "messages", {**HI, "temperature": 0.2}, model="claude-opus-4-7")
    assert "temperature" not in new
    plain = {**HI, "temperature": 1, "presence_penalty": 0, "logprobs": False, "store": False, "metadata": {}}
    assert losses("chat", "messages", plain, model=NEW) == ()


def test_more_than_one_choice_is_refused_with_a_way_out() -> None:
    with pytest.raises(TranslationError, match="gives one answer per call"):
        translated("chat", "messages", {**HI, "n": 2})
    assert losses("chat", "messages", {**HI, "n": 1}) == ()


def test_openai_settings_go_to_openai_only() -> None:
    request = {
        **HI,
        "prompt_cache_key": "k",
        "verbosity": "low",
        "metadata": {"a": "b"},
        "service_tier": "flex",
    }
    written = body("chat", "responses", request, provider="openai")
    assert (written["prompt_cache_key"], written["text"]) == ("k", {"verbosity": "low"})
    assert (written["metadata"], written["service_tier"]) == ({"a": "b"}, "flex")
    assert set(losses("chat", "responses", request)) == {
        "prompt_cache_key",
        "verbosity",
        "metadata",
        "service_tier",
    }


def test_who_asks_is_told_to_anthropic() -> None:
    assert body("chat", "messages", {**HI, "user": "u"})["metadata"] == {"user_id": "u"}
    assert body("chat", "messages", {**HI, "safety_identifier": "s"})["metadata"] == {"user_id": "s"}


def test_unknown_fields_are_losses_by_their_name() -> None:
    request = {**HI, "logit_bias": {"1": 1}, "from_the_future": True, "nothing": None}
    assert losses("chat", "messages", request) == ("logit_bias", "from_the_future")


def test_functions_of_2023_are_tools() -> None:
    request = {
        "messages": [
            user("x"),
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "7"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    }
    written = body("chat", "messages", request)
    check_messages(written)
    assert written["tool_choice"] == {"type": "tool", "name": "f"}


def test_reasoning_of_another_maker_is_dropped_by_name() -> None:
    request = {"messages": [user("a"), {"role": "assistant", "content": "b", "reasoning": "hm"}, user("c")]}
    assert losses("chat", "messages", request) == ("reasoning_content",)
    assert losses("chat", "responses", request) == ("reasoning_content",)


def test_logprobs_ask_responses_for_theirs() -> None:
    request = {**HI, "logprobs": True, "top_logprobs": 3}
    written = body("chat", "responses", request)
    assert (written["top_logprobs"], written["include"]) == (3, ["message.output_text.logprobs"])
    assert losses("chat", "messages", request) == ("logprobs", "top_logprobs")


def test_reasoning_models_are_asked_for_the_reasoning_that_the_next_turn_needs() -> None:
    written = body("chat", "responses", {**HI, "reasoning_effort": "low"}, model="gpt-5.6")
    assert written["include"] == ["reasoning.encrypted_content"]
    assert written["reasoning"] == {"effort": "low"}


def test_a_whole_tool_loop_is_in_order_for_responses() -> None:
    request = {"messages": [*loop(call("a", "f", "{}"), call("b", "f", "{}")), user("thanks")]}
    check_responses(body("chat", "responses", request))


def test_the_context_remembers_what_the_answer_needs() -> None:
    request = {**HI, "stream": True, "stream_options": {"include_usage": True}}
    context = translated("chat", "messages", request).context
    assert (context.model_asked, context.answer_id, context.stream, context.include_usage) == (
        "asked",
        "A1",
        True,
        True,
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "is a list"),
        (b'{"messages": [{"role": "tool", "content": "x"}]}', "messages[0].tool_call_id must be a string"),
        (b'{"messages": [], "response_format": {"type": "xml"}}', "text, json_object or json_schema"),
        (b'{"messages": [], "tool_choice": {"type": "maybe"}}', "auto, none, required"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_malformed_requests_are_told_what_is_wrong(raw: bytes, words: str) -> None:
    facts = RequestFacts(model="m", answer_id="a", created_s=1)
    with pytest.raises(TranslationError) as refusal:
        translate_request(raw, client="chat", upstream="messages", facts=facts)
    assert refusal.value.error.status == 400
    assert words in refusal.value.error.message


def test_ollama_is_not_spoken_to_upstreams() -> None:
    with pytest.raises(TranslationError) as refusal:
        translated("chat", "ollama", HI)
    assert refusal.value.error.status == 501
