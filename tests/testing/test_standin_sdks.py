"""The stand-in speaks so that the vendors' own clients understand every word of it."""

from __future__ import annotations

import io

import anthropic
import openai
import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour, Standin, ToolCall

TEXT = "".join(DEFAULT_PIECES)
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
TWO_CALLS = (ToolCall(name="add", arguments='{"a": 1, "b": 2}'), ToolCall(name="sub", arguments='{"a": 3}'))


@pytest.fixture
def oai(standin: Standin):
    with openai.OpenAI(base_url=standin.url + "/v1", api_key="k", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def ant(standin: Standin):
    with anthropic.Anthropic(base_url=standin.url, api_key="k", max_retries=0, timeout=10) as client:
        yield client


def test_chat_is_understood_with_thoughts_tools_and_usage(standin, oai):
    standin.script(Behaviour(thinking="let me see", tool_calls=TWO_CALLS, cached_tokens=4))
    answer = oai.chat.completions.create(model="small", messages=HELLO, tools=TOOLS)
    assert answer.choices[0].message.content == TEXT
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["add", "sub"]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert answer.usage.completion_tokens == len(DEFAULT_PIECES) + 10 + 3


def test_a_chat_stream_adds_up_to_the_whole_answer(standin, oai):
    standin.script(Behaviour(tool_calls=TWO_CALLS, slice_bytes=1, line_end="\r\n"))
    options = {"include_usage": True}
    with oai.chat.completions.stream(model="small", messages=HELLO, stream_options=options) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == TEXT
    assert [call.function.arguments for call in final.choices[0].message.tool_calls] == [
        call.arguments for call in TWO_CALLS
    ]
    assert final.usage.total_tokens == 11 + len(DEFAULT_PIECES) + 10


@pytest.mark.parametrize(("usage", "expected"), [("asked", 0), ("never", 0), ("always", 1), ("null", 0)])
def test_a_chat_stream_sends_usage_as_it_was_told(standin, oai, usage, expected):
    standin.script(Behaviour(usage=usage))
    chunks = list(oai.chat.completions.create(model="small", messages=HELLO, stream=True))
    assert len([chunk for chunk in chunks if chunk.usage]) == expected


def test_completions_both_ways(oai):
    assert oai.completions.create(model="small", prompt="hi").choices[0].text == TEXT
    chunks = list(oai.completions.create(model="small", prompt="hi", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT


def test_messages_are_understood(standin, ant):
    standin.script(Behaviour(thinking="hm", tool_calls=TWO_CALLS, cached_tokens=4))
    answer = ant.messages.create(model="small", max_tokens=9, messages=HELLO)
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert answer.content[2].input == {"a": 1, "b": 2}
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (7, 4)
    assert answer._request_id == "req_standin1"


def test_a_messages_stream_adds_up_to_the_whole_answer(standin, ant):
    standin.script(Behaviour(thinking="hm", tool_calls=TWO_CALLS, slice_bytes=1))
    with ant.messages.stream(model="small", max_tokens=9, messages=HELLO) as stream:
        final = stream.get_final_message()
    assert final.content[1].text == TEXT
    assert final.content[3].input == {"a": 3}
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == len(DEFAULT_PIECES) + 10 + 1


def test_responses_are_understood(standin, oai):
    standin.script(Behaviour(thinking="hm", tool_calls=TWO_CALLS))
    answer = oai.responses.create(model="small", input="hello")
    assert answer.output_text == TEXT
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call", "function_call"]
    assert answer.usage.output_tokens_details.reasoning_tokens == 1


def test_a_responses_stream_adds_up_to_the_whole_answer(standin, oai):
    standin.script(Behaviour(thinking="hm", tool_calls=TWO_CALLS, slice_bytes=7))
    with oai.responses.stream(model="small", input="hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == TEXT
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert events[-1].type == "response.completed"


def test_a_stored_response_can_be_asked_for(oai):
    created = oai.responses.create(model="small", input="hello")
    assert oai.responses.retrieve(created.id).output_text == TEXT
    assert oai.responses.cancel(created.id).status == "cancelled"
    assert len(oai.responses.input_items.list(created.id).data) == 1
    assert oai.responses.input_tokens.count(model="small", input="hello").input_tokens == 11
    oai.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve("resp_unknown")


def test_the_small_endpoints(standin, oai, ant):
    assert [model.id for model in oai.models.list()] == ["small", "large"]
    assert ant.models.retrieve("large").display_name == "large"
    assert ant.messages.count_tokens(model="small", messages=HELLO).input_tokens == 11
    assert oai.embeddings.create(model="small", input=["a", "abcd"]).data[1].embedding[1] == 0.25
    assert oai.moderations.create(model="small", input="x").results[0].flagged is False
    assert oai.images.generate(model="small", prompt="x").data[0].b64_json
    assert oai.audio.speech.create(model="small", voice="alloy", input="x").content.startswith(b"ID3")
    sound = ("a.wav", io.BytesIO(b"\x00\xff" * 500))
    assert oai.audio.transcriptions.create(model="small", file=sound).text == TEXT
    assert b"\x00\xff" * 500 in standin.seen[-1].body


@pytest.mark.parametrize(
    ("status", "oai_error", "ant_error"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (500, openai.InternalServerError, anthropic.InternalServerError),
        (529, openai.InternalServerError, anthropic.OverloadedError),
    ],
)
def test_errors_come_in_the_dialect_of_the_path(standin, oai, ant, status, *, oai_error, ant_error):
    standin.script(Behaviour(status=status, headers={"retry-after": "3"}), Behaviour(status=status))
    with pytest.raises(oai_error) as oai_caught:
        oai.chat.completions.create(model="small", messages=HELLO)
    assert oai_caught.value.response.headers["retry-after"] == "3"
    with pytest.raises(ant_error):
        ant.messages.create(model="small", max_tokens=9, messages=HELLO)


def test_a_wrong_key_is_refused(oai):
    with (
        Standin(api_key="right") as guarded,
        openai.OpenAI(base_url=guarded.url + "/v1", api_key="wrong") as client,
    ):
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="small", messages=HELLO)
        assert client.with_options(api_key="right").chat.completions.create(model="small", messages=HELLO)
