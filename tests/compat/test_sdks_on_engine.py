"""The vendors' own clients talk to the built-in model: every answer comes from a real llama.cpp engine.

What a client of each dialect gets is compared with what the model is known to recite, and with the receipt.
"""

from __future__ import annotations

import asyncio
import json

import openai
import pydantic
import pytest

from freehold.testing.tiny_model import MODEL_NAME, scripts
from tests.house import House

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tiny")]

TEXTS = scripts.texts()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
RESPONSES_TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
MESSAGES_TOOL = {"name": "get_weather", "input_schema": WEATHER}
THOUGHT, _, CONCLUSION = TEXTS["think"].removeprefix("<think>\n").partition("\n</think>\n\n")


class Person(pydantic.BaseModel):
    name: str
    age: int
    tags: list[str]


SOMEBODY = Person(name="sample text", age=0, tags=["sample text"])
"""What the model writes where a schema leaves it no other choice."""


def user(text):
    return [{"role": "user", "content": text}]


def used_in(receipt):
    return receipt.usage.input_total, receipt.usage.output_total


class TestChat:
    @pytest.mark.parametrize("said", ["default", "json", "code", "unicode", "long"])
    def test_an_answer_and_its_receipt(self, tiny: House, oai, said):
        answer = oai.chat.completions.create(model=MODEL_NAME, messages=user(f"@@{said}"))
        assert answer.choices[0].message.content == TEXTS[said]
        assert answer.choices[0].finish_reason == "stop"
        receipt = tiny.receipt()
        assert used_in(receipt) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        assert min(used_in(receipt)) > 0
        assert (receipt.outcome, receipt.cost_state, receipt.usage_state) == ("ok", "free", "reported")

    @pytest.mark.parametrize("include_usage", [True, False])
    def test_a_stream_has_usage_only_when_asked_and_the_receipt_always(self, tiny, oai, include_usage):
        more = {"stream_options": {"include_usage": True}} if include_usage else {}
        chunks = list(
            oai.chat.completions.create(model=MODEL_NAME, messages=user("@@unicode"), stream=True, **more)
        )
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert "".join(piece or "" for piece in pieces) == TEXTS["unicode"]
        told = [chunk.usage for chunk in chunks if chunk.usage]
        receipt = tiny.receipt()
        assert len(told) == include_usage
        if told:
            assert used_in(receipt) == (told[0].prompt_tokens, told[0].completion_tokens)
        assert receipt.usage_state == "reported"

    def test_parallel_calls_and_their_results(self, tiny, oai):
        asked = {"model": MODEL_NAME, "tools": [CHAT_TOOL], "parallel_tool_calls": True}
        with oai.chat.completions.stream(messages=user("@@parallel"), **asked) as stream:
            message = stream.get_final_completion().choices[0].message
        cities = [json.loads(call.function.arguments)["city"] for call in message.tool_calls]
        assert cities == ["Oslo", "Rome"]
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls
        ]
        again = oai.chat.completions.create(messages=[*user("@@parallel"), message, *results], **asked)
        assert again.choices[0].message.content == TEXTS[scripts.AFTER_TOOL]
        assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok", "ok"]

    def test_structured_output_is_an_object_of_the_asked_class(self, tiny, oai):
        answer = oai.chat.completions.parse(model=MODEL_NAME, messages=user("who?"), response_format=Person)
        assert answer.choices[0].message.parsed == SOMEBODY

    def test_thoughts_stand_beside_the_answer(self, tiny, oai):
        message = oai.chat.completions.create(model=MODEL_NAME, messages=user("@@think")).choices[0].message
        assert (message.content, message.reasoning_content.strip()) == (CONCLUSION, THOUGHT)

    def test_the_limit_cuts_an_endless_answer(self, tiny, oai):
        answer = oai.chat.completions.create(model=MODEL_NAME, messages=user("@@forever"), max_tokens=7)
        assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 7)

    def test_a_raw_prompt(self, tiny, oai):
        answer = oai.completions.create(model=MODEL_NAME, prompt="So: @@json")
        assert answer.choices[0].text == TEXTS["json"]
        assert used_in(tiny.receipt()) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


class TestMessages:
    @pytest.mark.parametrize("said", ["default", "unicode", "long"])
    def test_a_stream_and_its_receipt(self, tiny, ant, said):
        with ant.messages.stream(model=MODEL_NAME, max_tokens=2000, messages=user(f"@@{said}")) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text == final.content[0].text == TEXTS[said]
        assert final.stop_reason == "end_turn"
        counted = final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0)
        assert used_in(tiny.receipt()) == (counted, final.usage.output_tokens)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_tool_turn(self, tiny, ant, stream):
        asked = {"model": MODEL_NAME, "max_tokens": 300, "tools": [MESSAGES_TOOL]}
        if stream:
            with ant.messages.stream(messages=user("@@tool"), **asked) as got:
                first = got.get_final_message()
        else:
            first = ant.messages.create(messages=user("@@tool"), **asked)
        (call,) = first.content
        assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
        assert first.stop_reason == "tool_use"
        result = {
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": [{"type": "text", "text": "rain"}],
        }
        turn = [*user("@@tool"), {"role": "assistant", "content": first.content}, *user([result])]
        again = ant.messages.create(messages=turn, **asked)
        assert again.content[0].text == TEXTS[scripts.AFTER_TOOL]

    def test_thoughts_are_a_block_of_their_own_and_may_go_back(self, tiny, ant):
        asked = {
            "model": MODEL_NAME,
            "max_tokens": 2000,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        }
        with ant.messages.stream(messages=user("@@think"), **asked) as stream:
            final = stream.get_final_message()
        thought, answer = final.content
        assert (thought.type, thought.thinking.strip()) == ("thinking", THOUGHT)
        assert answer.text == CONCLUSION
        turn = [*user("@@think"), {"role": "assistant", "content": final.content}, *user("and now?")]
        assert ant.messages.create(messages=turn, **asked).content[-1].text == TEXTS["default"]

    def test_structured_output_is_an_object_of_the_asked_class(self, tiny, ant):
        answer = ant.messages.parse(
            model=MODEL_NAME, max_tokens=300, messages=user("who?"), output_format=Person
        )
        assert answer.parsed_output == SOMEBODY

    @pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
    def test_a_forced_call_comes_without_being_asked_for(self, tiny, ant, choice):
        answer = ant.messages.create(
            model=MODEL_NAME,
            max_tokens=300,
            messages=user("hello"),
            tools=[MESSAGES_TOOL],
            tool_choice=choice,
        )
        assert answer.content[-1].name == "get_weather"
        assert "city" in answer.content[-1].input

    def test_a_stop_sequence_ends_the_answer(self, tiny, ant):
        answer = ant.messages.create(
            model=MODEL_NAME, max_tokens=300, messages=user("@@forever"), stop_sequences=["somebody"]
        )
        assert answer.content[0].text == "Round and round this goes, until "
        assert answer.stop_reason in ("stop_sequence", "end_turn")

    def test_the_list_of_models_is_in_its_own_shape(self, ant):
        assert MODEL_NAME in [model.id for model in ant.models.list(limit=1000)]


class TestResponses:
    def test_a_stream_and_its_receipt(self, tiny, oai):
        with oai.responses.stream(model=MODEL_NAME, input="@@unicode") as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert final.output_text == TEXTS["unicode"]
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert used_in(tiny.receipt()) == (final.usage.input_tokens, final.usage.output_tokens)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_tool_turn(self, tiny, oai, stream):
        asked = {"model": MODEL_NAME, "tools": [RESPONSES_TOOL], "store": False}
        turn = user("@@tool")
        if stream:
            with oai.responses.stream(input=turn, **asked) as got:
                first = got.get_final_response()
        else:
            first = oai.responses.create(input=turn, **asked)
        (call,) = first.output
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        again = oai.responses.create(input=[*turn, call.to_dict(), result], **asked)
        assert again.output_text == TEXTS[scripts.AFTER_TOOL]

    def test_structured_output_is_an_object_of_the_asked_class(self, tiny, oai):
        answer = oai.responses.parse(model=MODEL_NAME, input="who?", text_format=Person)
        assert answer.output_parsed == SOMEBODY

    def test_thoughts_are_an_item_of_their_own(self, tiny, oai):
        answer = oai.responses.create(model=MODEL_NAME, input="@@think")
        assert [item.type for item in answer.output] == ["reasoning", "message"]
        assert answer.output_text == CONCLUSION
        assert THOUGHT in json.dumps(answer.output[0].to_dict())

    def test_the_limit_leaves_it_incomplete(self, tiny, oai):
        answer = oai.responses.create(model=MODEL_NAME, input="@@forever", max_output_tokens=20)
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_reader_who_leaves_frees_the_engine(tiny, oai):
    for _ in range(6):  # more often than the engine has slots
        stream = oai.chat.completions.create(model=MODEL_NAME, messages=user("@@forever"), stream=True)
        for _, _ in zip(range(20), stream, strict=False):
            pass
        stream.close()
    assert {receipt.outcome for receipt in tiny.wait_receipts(6)} == {"cancelled"}
    answer = oai.with_options(timeout=10).chat.completions.create(model=MODEL_NAME, messages=user("hello"))
    assert answer.choices[0].message.content == TEXTS["default"]


async def test_more_callers_than_slots_all_get_their_own_answer(tiny):
    async def ask(client, said):
        answer = await client.chat.completions.create(model=MODEL_NAME, messages=user(f"@@{said}"))
        return said, answer.choices[0].message.content

    saying = ["json", "code", "unicode", "default"] * 4
    async with openai.AsyncOpenAI(base_url=tiny.url + "/v1", api_key="unused", max_retries=0) as client:
        answers = await asyncio.gather(*(ask(client, said) for said in saying))
    assert [(said, TEXTS[said]) for said in saying] == answers
    assert [receipt.outcome for receipt in tiny.new_receipts()] == ["ok"] * len(saying)


def test_a_model_nobody_has_is_a_typed_error(tiny, oai):
    with pytest.raises(openai.NotFoundError, match="freehold-tiny"):
        oai.chat.completions.create(model="freehold-tinny", messages=user("hello"))
    assert tiny.receipt().outcome == "refused"
