"""JSON that plainly does not fit its schema is found out, and what is in doubt is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.escalate import AnswerSigns, insufficient
from freehold.routing.fitting import misfit
from freehold.routing.reading import Wanted, read_wanted

ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["new", "old"]},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        "paid": {"anyOf": [{"type": "boolean"}, {"const": "later"}]},
    },
    "required": ["id", "lines"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}},
}
LINE = [{"price": 1}]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"id": 1, "lines": LINE}, ""),
        ({"id": 1.0, "lines": [{"price": 0.5, "more": 1}], "kind": "old", "note": None, "paid": "later"}, ""),
        ([], "the whole is no object"),
        ({"lines": LINE}, "id is missing"),
        ({"id": "1", "lines": LINE}, "id is no integer"),
        ({"id": True, "lines": LINE}, "id is no integer"),
        ({"id": 0, "lines": LINE}, "id is under 1"),
        ({"id": 1, "lines": []}, "lines has under 1 items"),
        ({"id": 1, "lines": [{"price": 1}, {}]}, "lines[1].price is missing"),
        ({"id": 1, "lines": [{"price": "1"}]}, "lines[0].price is no number"),
        ({"id": 1, "lines": LINE, "kind": "odd"}, "kind is none of the allowed values"),
        ({"id": 1, "lines": LINE, "note": "too long"}, "note has over 5 characters"),
        ({"id": 1, "lines": LINE, "note": 1}, "note is no string or null"),
        ({"id": 1, "lines": LINE, "paid": 1}, "paid fits none of 2 forms"),
        ({"id": 1, "lines": LINE, "extra": 1}, "extra was not asked for"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(value: Any, wrong: str) -> None:
    assert misfit(ORDER, value) == wrong


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        "text",
        {"$ref": "https://elsewhere/schema"},
        {"$ref": "#/not/there"},
        {"$ref": "#"},
        {"type": "made-up"},
        {"type": 7, "enum": [], "anyOf": {}, "required": [1], "properties": []},
        {"pattern": "[", "format": "date", "minimum": "1"},
        {"prefixItems": [{}], "items": False},
    ],
)
@pytest.mark.parametrize("value", [None, {"a": [1, {"b": "c"}]}, [], "text", 1.5])
def test_what_is_not_understood_counts_against_nothing(schema: Any, value: Any) -> None:
    assert misfit(schema, value) == ""


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(_json, _json)
def test_any_schema_and_any_value_come_to_an_end(schema: object, value: object) -> None:
    assert isinstance(misfit(schema, value), str)
    assert misfit({"enum": [value]}, value) == ""


def test_a_schema_that_leads_in_circles_comes_to_an_end() -> None:
    both = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert misfit(both, 1) == ""


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": ORDER}}},
        {"text": {"format": {"type": "json_schema", "name": "o", "schema": ORDER}}},
        {"format": ORDER},
    ],
    ids=["chat", "responses", "ollama"],
)
def test_an_answer_is_held_against_the_form_that_was_asked_for(body: dict[str, Any]) -> None:
    wanted = read_wanted(json.dumps(body).encode())
    good = AnswerSigns(text='```json\n{"id": 1, "lines": [{"price": 2}]}\n```', wanted=wanted)
    assert insufficient(good) is None
    said = insufficient(AnswerSigns(text='{"id": 1}', wanted=wanted))
    assert said == "JSON of another form than was asked for (lines is missing)"
    assert insufficient(AnswerSigns(text="no JSON", wanted=wanted)) == "no valid JSON, which was asked for"


def test_any_json_will_do_where_no_form_was_asked_for() -> None:
    wanted = read_wanted(b'{"response_format": {"type": "json_object"}}')
    assert wanted == Wanted(json=True)
    assert insufficient(AnswerSigns(text="[1]", wanted=wanted)) is None
