"""Small pieces that all dialects share: arguments, media, schemas, seals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.dialects.arguments import argument_object, argument_text, custom_input
from freehold.dialects.conversation import Image, Thinking, ToolCall
from freehold.dialects.fields import Losses
from freehold.dialects.media import file_from_data, image_from_url, image_url, split_data_url
from freehold.dialects.schemas import closed, is_strict
from freehold.dialects.seals import seal, unsealed


def made(arguments: str, *, custom: bool = False) -> ToolCall:
    return ToolCall(id="c", name="f", arguments=arguments, custom=custom)


@given(text=st.text())
def test_whatever_a_model_wrote_travels_as_an_object(text: str) -> None:
    losses = Losses()
    assert isinstance(json.loads(argument_text(made(text), losses)), dict)
    assert json.loads(argument_text(made(text))) == argument_object(made(text))


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_free_form_input_survives_the_bridge(text: str) -> None:
    assert custom_input(argument_text(made(text, custom=True))) == text


def test_free_form_input_that_was_not_wrapped() -> None:
    assert custom_input("*** Begin Patch") == "*** Begin Patch"
    assert custom_input('{"patch": "x"}') == '{"patch": "x"}'
    assert custom_input('{"_raw": "x"}') == "x"


def test_data_urls() -> None:
    assert split_data_url("data:image/PNG;charset=x;base64,AAAA") == ("image/png", "AAAA")
    assert split_data_url("DATA:;base64,/9j/4A") == ("image/jpeg", "/9j/4A")
    assert split_data_url("data:text/plain,hello") is None
    assert split_data_url("https://example.org/data:x;base64,y") is None
    assert image_url(image_from_url("data:image/png;base64,AA", "low")) == "data:image/png;base64,AA"
    assert image_from_url("data:application/octet-stream;base64,R0lGODx").media_type == "image/gif"
    assert image_url(Image(url="https://example.org/x")) == "https://example.org/x"
    assert file_from_data("JVBERi0x", "a.pdf").media_type == "application/pdf"


def test_strict_schemas() -> None:
    one = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    assert is_strict(one)
    assert not is_strict({**one, "required": []})
    assert not is_strict({"type": "object"})
    assert not is_strict({**one, "properties": {"a": {"type": "object"}}})
    assert not is_strict(None)


@pytest.mark.parametrize("word", ["minimum", "maxLength", "not", "if"])
def test_a_property_may_be_named_like_a_word_of_json_schema(word: str) -> None:
    schema = {"type": "object", "properties": {word: {"type": "string"}}, "additionalProperties": False}
    assert closed(schema) == schema


def test_values_are_not_taken_for_schemas() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [{"minimum": 1}], "default": {"not": 2}}}}
    assert closed(schema) == {**schema, "additionalProperties": False}


def test_unions_are_told_in_the_word_that_anthropic_knows() -> None:
    assert closed({"oneOf": [{"type": "string", "maxLength": 3}]}) == {"anyOf": [{"type": "string"}]}


@given(item=st.from_regex(r"[a-z0-9_]{0,12}", fullmatch=True), kept=st.text(min_size=1), text=st.text())
def test_sealed_reasoning_comes_back_as_it_was(item: str, kept: str, text: str) -> None:
    for thought in (
        Thinking(maker="responses", id=item, signature=kept, text=text),
        Thinking(maker="messages", signature=kept, text=text),
        Thinking(maker="messages", redacted=kept),
    ):
        assert unsealed(seal(thought), thought.text) == thought


@given(text=st.text())
def test_what_is_not_our_seal_is_left_alone(text: str) -> None:
    assert text.startswith("freehold.") or unsealed(text, "") is None
    assert seal(Thinking(maker="chat", text=text)) == ""
