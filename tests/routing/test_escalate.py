"""Answers that are plainly not good enough, and whom to ask instead."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.dialects.conversation import Answer, Text, Thinking, ToolCall
from freehold.routing.auto import decide
from freehold.routing.escalate import (
    AnswerSigns,
    CallSign,
    broken_call,
    insufficient,
    looping,
    next_tier,
    signs_of,
    ways_up,
)
from freehold.routing.reading import Wanted
from freehold.routing.refusals import refusal_in
from freehold.routing.world import Considered, RoutingRules
from tests.routing.worlds import USD, ask, world

SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "line": {"type": "integer"}, "deep": {"type": "boolean"}},
    "required": ["path"],
}
TOOLS = Wanted(tools={"read": SCHEMA, "list": None})

REFUSED = [
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "Unfortunately, I’m unable to access external websites.",
    "As an AI language model, I do not have personal opinions, so I can't say.",
    "I must decline.",
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Désolé, mais je ne peux pas vous aider avec cette demande.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Desculpe, mas não posso ajudar com isso.",
    "Mi dispiace, ma non posso aiutarti con questo.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Przepraszam, ale nie mogę pomóc w tej sprawie.",
    "Извините, но я не могу помочь с этим.",
    "抱歉，我无法提供该信息。",
    "申し訳ありませんが、そのご質問にはお答えできません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "Üzgünüm, bu konuda yardımcı olamam.",
]
ANSWERED = [
    "I'm sorry to hear that. You could try restarting the service.",
    "I cannot find a bug in this function; it handles every case.",
    "I can't see any difference between the two files.",
    "Es tut mir leid, das zu hören! Hast du es schon einmal neu gestartet?",
    "No.",
    "42",
    "Sorry for the confusion: the answer is 7.",
    "Ich kann nicht erkennen, dass hier ein Fehler vorliegt.",
    "抱歉听到这个消息。建议先重启服务。",
    "The text says: 'The minister said that he could not help.'",
    "I can't open the link, but here is what the page of that name usually holds: " + "useful words " * 20,
    "def refuse():\n    return 'no'",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_are_known_in_many_languages(text: str) -> None:
    assert refusal_in(text)
    assert (insufficient(AnswerSigns(text=text)) or "").startswith("refused")


@pytest.mark.parametrize("text", ANSWERED)
def test_answers_are_not_taken_for_refusals(text: str) -> None:
    assert insufficient(AnswerSigns(text=text)) is None


def test_a_long_text_that_quotes_a_refusal_is_an_answer() -> None:
    assert refusal_in("I cannot help with that. " + "But here is the whole story. " * 40) == ""


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ('{"path": "a", "line": 3}', ""),
        ('{"path": "a", "line": 3.0}', ""),
        ('{"path": "a", "line": null, "more": [1]}', ""),
        ('{"path": "a', "broken JSON"),
        ('["a"]', "no object"),
        ('{"line": 3}', "path is missing"),
        ("", "path is missing"),
        ('{"path": 3}', "path is no string"),
        ('{"path": "a", "line": "3"}', "line is no integer"),
        ('{"path": "a", "line": true}', "line is no integer"),
    ],
)
def test_tool_calls_are_held_against_their_schema(arguments: str, wrong: str) -> None:
    said = broken_call(CallSign("read", arguments), TOOLS.tools)
    assert (wrong in said) if wrong else not said
    shown = insufficient(AnswerSigns(calls=(CallSign("read", arguments),), wanted=TOOLS))
    assert shown == (said or None)


def test_a_tool_call_is_looked_into_as_deep_as_its_schema_goes() -> None:
    edit = {"type": "object", "properties": {"at": {"type": "array", "items": {"enum": ["top", "end"]}}}}
    assert broken_call(CallSign("edit", '{"at": ["top"]}'), {"edit": edit}) == ""
    assert broken_call(CallSign("edit", '{"at": null}'), {"edit": edit}) == ""
    assert "at[1] is none of" in broken_call(CallSign("edit", '{"at": ["end", "side"]}'), {"edit": edit})


def test_a_tool_that_was_not_offered() -> None:
    assert "no tool here" in broken_call(CallSign("delete", "{}"), TOOLS.tools)
    assert broken_call(CallSign("list", '{"any": 1}'), TOOLS.tools) == ""
    assert broken_call(CallSign("anything", "{}"), {}) == ""


@pytest.mark.parametrize(
    ("signs", "why"),
    [
        (AnswerSigns(text=" \n"), "empty"),
        (AnswerSigns(thinks=True), "only thought"),
        (AnswerSigns(text="x", finish="refusal"), "refused"),
        (AnswerSigns(text="The rest is", finish="length"), "cut"),
        (AnswerSigns(text="x", finish="length", tokens=10, wanted=Wanted(max_tokens=4000)), "cut"),
        (AnswerSigns(text="x", finish="length", tokens=100, wanted=Wanted(max_tokens=100)), None),
        (AnswerSigns(text="{nope", wanted=Wanted(json=True)), "JSON"),
        (AnswerSigns(text='```json\n{"a": 1}\n```', wanted=Wanted(json=True)), None),
        (AnswerSigns(text="sure", mean_logprob=-2.4), "unsure"),
        (AnswerSigns(text="sure", mean_logprob=-0.4), None),
        (AnswerSigns(text="", whole=False), None),
        (AnswerSigns(text="I'm sorry, but I can't help with that request at all", whole=False), "refused"),
        (AnswerSigns(text="and so on and on. " * 60), "repeats itself"),
        (AnswerSigns(text="and so on and on. " * 60, whole=False), "repeats itself"),
    ],
)
def test_other_signs(signs: AnswerSigns, why: str | None) -> None:
    found = insufficient(signs)
    assert (found is None) if why is None else why in (found or "")


@pytest.mark.parametrize(
    "text",
    [
        "-" * 400,
        "| a | b |\n" + "".join(f"| {n} | {n * 7} |\n" for n in range(80)),
        "".join(f"{n}. item number {n}\n" for n in range(60)),
        "no " * 20,
        "",
    ],
)
def test_rulers_tables_and_lists_are_no_loops(text: str) -> None:
    assert looping(text) == ""


@given(st.text(min_size=1, max_size=40), st.integers(6, 60), st.text(max_size=200))
def test_a_loop_is_found_whatever_stands_before_it(unit: str, times: int, before: str) -> None:
    text = before + unit * times
    found = looping(text)
    if found:
        assert found in text
    elif (
        len(unit.strip()) > 3
        and unit == unit.strip()
        and any(map(str.isalnum, unit))
        and times * len(unit) >= 600
    ):
        raise AssertionError(text)


def test_signs_are_read_off_an_answer_of_any_dialect() -> None:
    answer = Answer(
        parts=(Thinking(maker="chat", text="hm"), Text("yes"), ToolCall(id="1", name="read", arguments="{")),
        finish="tool_calls",
        usage=Usage(visible_out=12),
        logprobs=tuple({"token": "a", "logprob": -2.0} for _ in range(10)),
    )
    signs = signs_of(answer, TOOLS)
    assert (signs.text, signs.tokens, signs.mean_logprob, signs.thinks) == ("yes", 12, -2.0, True)
    assert "broken JSON in a call of read" in (insufficient(signs) or "")
    refused = Answer(parts=(), finish="stop", usage=Usage(), refusal="I won't.")
    assert insufficient(signs_of(refused, TOOLS)) == "refused"


# -- whom to ask next


def considered() -> tuple[Considered, ...]:
    return decide(ask(task="chat"), world(), RoutingRules()).considered


def test_one_tier_up_and_the_cheapest_good_enough_there() -> None:
    assert ways_up(considered(), ["qwen"]) == ("p/mini",)
    assert ways_up(considered(), ["qwen", "p/mini"]) == ("p/opus",)
    assert ways_up(considered(), ["p/opus"]) == ()
    assert ways_up(considered(), ["nobody"]) == ()


def test_a_tier_without_anybody_is_skipped() -> None:
    gone = tuple(
        msgspec.structs.replace(one, excluded="rests") if one.tier == "balanced" else one
        for one in considered()
    )
    assert ways_up(gone, ["qwen"]) == ("p/opus",)
    assert next_tier("local", gone) == "premium"
    assert next_tier("premium", gone) is None


def test_what_the_budget_does_not_allow_is_not_asked() -> None:
    assert ways_up(considered(), ["qwen"], budget_left_nanos=USD) == ("p/mini",)
    assert ways_up(considered(), ["qwen"], budget_left_nanos=1) == ()
