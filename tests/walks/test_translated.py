"""The vendors' own clients talk to places that speak another dialect, and do not notice."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour, ToolCall
from tests.talk import DIALECTS

TEXT = "".join(DEFAULT_PIECES)
PLACES = ("alpha", "beta", "claude")
HELLO = [{"role": "user", "content": "hello"}]
TWO_CALLS = (
    ToolCall(name="add", arguments='{"a": 1, "b": 2}'),
    ToolCall(name="say", arguments='{"text": "grüße \\"家\\" 🏠"}'),
)
CALLED = [("add", {"a": 1, "b": 2}), ("say", {"text": 'grüße "家" 🏠'})]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
TOKENS = len(DEFAULT_PIECES)


@pytest.fixture
def oai(town):
    with openai.OpenAI(base_url=town.house.url + "/v1", api_key="k", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def ant(town):
    with anthropic.Anthropic(base_url=town.house.url, api_key="k", max_retries=0, timeout=10) as client:
        yield client


class Speaker:
    """One dialect's SDK, reduced to what the three have in common: text, calls, why it stopped, usage."""

    def __init__(self, dialect: str, oai: openai.OpenAI, ant: anthropic.Anthropic) -> None:
        self._say = {"chat": self._chat, "messages": self._messages, "responses": self._responses}[dialect]
        self._oai, self._ant = oai, ant

    def say(self, model: str, stream: bool, **more):
        return self._say(model, stream, **more)

    def _chat(self, model, stream, tools=False):
        request = {"model": model, "messages": HELLO}
        if tools:
            function = {"name": "add", "description": "adds", "parameters": SCHEMA}
            other = {"name": "say", "parameters": {"type": "object"}}
            request["tools"] = [{"type": "function", "function": each} for each in (function, other)]
        if stream:
            try:
                with self._oai.chat.completions.stream(
                    stream_options={"include_usage": True}, **request
                ) as got:
                    final = got.get_final_completion()
            except openai.LengthFinishReasonError as error:  # how this SDK tells of a cut-short answer
                final = error.completion
        else:
            final = self._oai.chat.completions.create(**request)
        message = final.choices[0].message
        calls = [
            (each.function.name, json.loads(each.function.arguments)) for each in message.tool_calls or []
        ]
        used = final.usage
        cached = used.prompt_tokens_details.cached_tokens if used.prompt_tokens_details else 0
        return (
            message.content,
            calls,
            final.choices[0].finish_reason,
            (used.prompt_tokens, cached, used.completion_tokens),
        )

    def _messages(self, model, stream, tools=False):
        request = {"model": model, "messages": HELLO, "max_tokens": 100}
        if tools:
            request["tools"] = [
                {"name": "add", "description": "adds", "input_schema": SCHEMA},
                {"name": "say", "input_schema": {"type": "object"}},
            ]
        if stream:
            with self._ant.messages.stream(**request) as got:
                final = got.get_final_message()
        else:
            final = self._ant.messages.create(**request)
        text = "".join(block.text for block in final.content if block.type == "text")
        calls = [(block.name, block.input) for block in final.content if block.type == "tool_use"]
        cached = final.usage.cache_read_input_tokens or 0
        return (
            text,
            calls,
            final.stop_reason,
            (final.usage.input_tokens + cached, cached, final.usage.output_tokens),
        )

    def _responses(self, model, stream, tools=False):
        request = {"model": model, "input": "hello"}
        if tools:
            request["tools"] = [
                {"type": "function", "name": "add", "parameters": SCHEMA, "strict": False},
                {"type": "function", "name": "say", "parameters": {"type": "object"}, "strict": False},
            ]
        if stream:
            with self._oai.responses.stream(**request) as got:
                events = list(got)
            final = events[-1].response
            numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
            assert numbers == sorted(set(numbers)), "sequence numbers rise"
        else:
            final = self._oai.responses.create(**request)
        calls = [
            (item.name, json.loads(item.arguments)) for item in final.output if item.type == "function_call"
        ]
        used = final.usage
        why = final.incomplete_details.reason if final.incomplete_details else final.status
        cached = used.input_tokens_details.cached_tokens
        return final.output_text, calls, why, (used.input_tokens, cached, used.output_tokens)


ENDED = {"chat": "stop", "messages": "end_turn", "responses": "completed"}
CALLING = {"chat": "tool_calls", "messages": "tool_use", "responses": "completed"}
CUT_SHORT = {"chat": "length", "messages": "max_tokens", "responses": "max_output_tokens"}


@pytest.fixture
def speaker(client, oai, ant):
    return Speaker(client, oai, ant)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("client", DIALECTS)
class TestEveryDirection:
    def test_text_and_usage(self, town, model, speaker, client, place, stream):
        getattr(town, place).script(Behaviour(cached_tokens=4, slice_bytes=13 if stream else 0))
        text, calls, why, used = speaker.say(f"{place}/{model}", stream)
        assert (text, calls, why, used) == (TEXT, [], ENDED[client], (11, 4, TOKENS))

    def test_parallel_tool_calls(self, town, model, speaker, client, place, stream):
        getattr(town, place).script(Behaviour(tool_calls=TWO_CALLS))
        text, calls, why, _ = speaker.say(f"{place}/{model}", stream, tools=True)
        assert (text, calls, why) == (TEXT, CALLED, CALLING[client])
        sent = getattr(town, place).seen[0].json()["tools"]
        named = [tool.get("name") or tool["function"]["name"] for tool in sent]
        assert named == ["add", "say"]

    def test_tool_calls_without_a_word(self, town, model, speaker, client, place, stream):
        getattr(town, place).script(Behaviour(pieces=(), tool_calls=TWO_CALLS[:1]))
        text, calls, why, _ = speaker.say(f"{place}/{model}", stream, tools=True)
        assert (text or "", calls, why) == ("", CALLED[:1], CALLING[client])

    def test_cut_short_by_the_limit(self, town, model, speaker, client, place, stream):
        getattr(town, place).script(Behaviour(cut_short=True))
        text, _, why, _ = speaker.say(f"{place}/{model}", stream)
        assert (text, why) == (TEXT, CUT_SHORT[client])
        receipt = town.house.receipts()[-1]
        assert receipt.finish == CUT_SHORT[receipt.upstream_dialect]

    def test_thoughts_do_not_become_the_answer(self, town, model, speaker, client, place, stream):
        getattr(town, place).script(Behaviour(thinking="secretly counting"))
        text, _, why, _ = speaker.say(f"{place}/{model}", stream)
        assert (text, why) == (TEXT, ENDED[client])


def test_a_whole_tool_turn_goes_back_through_the_translation(town, model, ant):
    """Messages client, chat place: the calls and their results keep their ids and their order."""
    town.beta.script(Behaviour(tool_calls=TWO_CALLS))
    tools = [{"name": "add", "input_schema": SCHEMA}, {"name": "say", "input_schema": {"type": "object"}}]
    asked = {"model": f"beta/{model}", "max_tokens": 100, "tools": tools, "system": "be brief"}
    first = ant.messages.create(messages=HELLO, **asked)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"result of {block.name}"}
        for block in first.content
        if block.type == "tool_use"
    ]
    turn = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    assert ant.messages.create(messages=turn, **asked).content[0].text == TEXT
    sent = town.beta.seen[1].json()["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in sent[2]["tool_calls"]] == [message["tool_call_id"] for message in sent[3:]]
    assert [message["content"] for message in sent[3:]] == ["result of add", "result of say"]


def test_a_whole_tool_turn_the_other_way(town, model, oai):
    town.claude.script(Behaviour(tool_calls=TWO_CALLS))
    tools = [{"type": "function", "function": {"name": "add", "parameters": SCHEMA}}]
    first = oai.chat.completions.create(model=f"claude/{model}", messages=HELLO, tools=tools)
    message = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "3"} for call in message.tool_calls]
    turn = [{"role": "developer", "content": "be brief"}, *HELLO, message, *results]
    again = oai.chat.completions.create(model=f"claude/{model}", messages=turn, tools=tools)
    assert again.choices[0].message.content == TEXT
    sent = town.claude.seen[1].json()
    assert "be brief" in json.dumps(sent["system"])
    assert [entry["role"] for entry in sent["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent["messages"][2]["content"]] == ["tool_result", "tool_result"]
    assert sent["max_tokens"] > 0


def test_a_whole_tool_turn_from_responses(town, model, oai):
    town.claude.script(Behaviour(tool_calls=TWO_CALLS[:1]))
    tools = [{"type": "function", "name": "add", "parameters": SCHEMA, "strict": False}]
    first = oai.responses.create(model=f"claude/{model}", input="hello", tools=tools, instructions="be brief")
    call = next(item for item in first.output if item.type == "function_call")
    turn = [
        {"role": "user", "content": "hello"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "3"},
    ]
    again = oai.responses.create(model=f"claude/{model}", input=turn, tools=tools, instructions="be brief")
    assert again.output_text == TEXT
    blocks = [block for entry in town.claude.seen[1].json()["messages"] for block in entry["content"]]
    used = [block["id"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_use"]
    told = [
        block["tool_use_id"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_result"
    ]
    assert used == told == [call.call_id]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_lost_is_named_in_header_and_receipt(town, model, place):
    body = {"model": f"{place}/{model}", "messages": HELLO, "max_tokens": 9, "top_k": 5}
    with town.house.wire() as wire:
        answer = wire.call("/v1/messages", body)
    receipt = town.house.receipt()
    if place == "claude":
        assert (answer.header("x-freehold-lossy"), receipt.losses) == (None, ())
    else:
        assert "top_k" in answer.header("x-freehold-lossy")
        assert "top_k" in receipt.losses


def test_who_asks_for_strictness_gets_a_refusal_instead_of_a_loss(town, model):
    body = {"messages": HELLO, "max_tokens": 9, "top_k": 5}
    strict = {"x-freehold-strict": "true"}
    with town.house.wire() as wire:
        refused = wire.call("/v1/messages", body | {"model": f"alpha/{model}"}, headers=strict)
        untouched = wire.call("/v1/messages", body | {"model": f"claude/{model}"}, headers=strict)
    assert refused.status == 400
    assert "top_k" in refused.json()["error"]["message"]
    assert town.alpha.seen == []
    assert untouched.status == 200


@pytest.mark.parametrize("place", PLACES)
def test_structured_output_reaches_the_place_in_its_own_words(town, model, oai, place):
    getattr(town, place).script(Behaviour(pieces=('{"a":', " 1}")))
    schema = {"name": "answer", "schema": SCHEMA | {"additionalProperties": False}, "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    answer = oai.chat.completions.create(model=f"{place}/{model}", messages=HELLO, response_format=wanted)
    assert json.loads(answer.choices[0].message.content) == {"a": 1}
    sent = getattr(town, place).seen[0].json()
    assert '"integer"' in json.dumps(sent) or town.house.receipt().losses


@pytest.mark.parametrize("place", ["alpha", "beta"])
def test_claude_codes_first_turn_is_understood_by_chat_places(town, model, ant, place):
    """`role: system` inside messages, blocks with cache marks, adaptive thinking, the attribution line."""
    answer = ant.messages.create(
        model=f"{place}/{model}",
        max_tokens=100,
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are helpful.", "cache_control": {"type": "ephemeral"}},
        ],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "system", "content": "The date is today."},
        ],
        extra_body={"thinking": {"type": "adaptive"}, "context_management": {"edits": []}},
    )
    assert answer.content[-1].text == TEXT
    messages = getattr(town, place).seen[0].json()["messages"]
    roles = [message["role"] for message in messages]
    assert "system" not in roles[1:], "local templates refuse a later system message"
    assert "cc_version" not in json.dumps(messages), "the attribution line kills the local prefix cache"
    assert "The date is today." in json.dumps(messages)


@pytest.mark.parametrize("client", ["chat", "messages", "responses"])
def test_typed_errors_reach_the_sdk(town, model, oai, ant, client):
    place = "alpha" if client == "messages" else "claude"
    getattr(town, place).by_model[model] = Behaviour(status=429, headers={"retry-after": "99"})
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
        Speaker(client, oai, ant).say(f"{place}/{model}", False)
    assert "told to answer 429" in str(caught.value)
    assert caught.value.response.headers["retry-after"] == "99"


@pytest.mark.parametrize("client", ["chat", "messages"])
def test_a_cut_stream_raises_in_the_sdk(town, model, oai, ant, client):
    place = "claude" if client == "chat" else "alpha"
    getattr(town, place).script(Behaviour(cut="events", cut_after=5))
    with pytest.raises((openai.APIError, anthropic.APIError)):
        Speaker(client, oai, ant).say(f"{place}/{model}", True)
