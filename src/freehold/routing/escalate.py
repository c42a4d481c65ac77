"""Is a cheap answer good enough, as far as that shows on its outside? And who is asked next. Pure.

Signs are taken from whole answers, and from the beginning of streams as long as no byte has gone to the
client. They are few and sure: a wrong alarm costs a second, dearer call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from freehold.core.config_routing import Tier
from freehold.dialects.conversation import Answer, Refusal, Text, Thinking, ToolCall
from freehold.routing.fitting import misfit
from freehold.routing.reading import Wanted
from freehold.routing.refusals import refusal_in
from freehold.routing.tiers import above, highest
from freehold.routing.world import Considered

LEAST_LOGPROB = -1.6
"""Mean natural logarithm below which the model was guessing: each token had a chance of a fifth."""
_LEAST_TOKENS = 8
_TAIL = 1200
_LOOP_CHARS = 300
_LOOP_TIMES = 6
_LONGEST_UNIT = 150


class CallSign(msgspec.Struct, frozen=True):
    """A tool call as the model wrote it; `arguments` is its JSON text."""

    name: str
    arguments: str


class AnswerSigns(msgspec.Struct, frozen=True, kw_only=True):
    """What shows of an answer. `whole` False: only its beginning is there."""

    text: str = ""
    finish: str = "stop"
    """In the house's words: stop, length, tool_calls, refusal, ..."""
    calls: tuple[CallSign, ...] = ()
    wanted: Wanted = Wanted()
    mean_logprob: float | None = None
    tokens: int = 0
    thinks: bool = False
    """There is reasoning besides the text."""
    whole: bool = True


def signs_of(answer: Answer, wanted: Wanted) -> AnswerSigns:
    """The signs of a whole answer, as `dialects.answers.read_answer` reads it."""
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    refused = answer.refusal or next((part.text for part in answer.parts if isinstance(part, Refusal)), "")
    calls = [
        CallSign(part.name, part.arguments)
        for part in answer.parts
        if isinstance(part, ToolCall) and not part.custom
    ]
    logprobs = [value for entry in answer.logprobs if isinstance(value := entry.get("logprob"), int | float)]
    return AnswerSigns(
        text=text or refused,
        finish="refusal" if refused and not text else answer.finish,
        calls=tuple(calls),
        wanted=wanted,
        mean_logprob=math.fsum(logprobs) / len(logprobs) if len(logprobs) >= _LEAST_TOKENS else None,
        tokens=answer.usage.output_total,
        thinks=any(isinstance(part, Thinking) for part in answer.parts),
    )


def insufficient(answer: AnswerSigns) -> str | None:
    """Why an answer is not good enough, in words; None when nothing shows."""
    if answer.finish == "refusal":
        return "refused"
    if not answer.calls and (words := refusal_in(answer.text)):
        return f'refused ("{words[:40]}")' if answer.whole or len(answer.text) > 40 else None
    if loop := looping(answer.text):
        return f"repeats itself ({loop[:30]!r})"
    if not answer.whole:
        return None
    if not answer.calls and not answer.text.strip():
        return "only thought, and said nothing" if answer.thinks else "empty"
    for call in answer.calls:
        if wrong := broken_call(call, answer.wanted.tools):
            return wrong
    if answer.finish in ("length", "context_window") and _cut_unasked(answer):
        return "cut before its end"
    if answer.wanted.json and not answer.calls and (wrong := _wrong_json(answer.text, answer.wanted.schema)):
        return wrong
    if answer.mean_logprob is not None and answer.mean_logprob < LEAST_LOGPROB:
        return f"unsure of its words (mean log-probability {answer.mean_logprob:.1f})"
    return None


def broken_call(call: CallSign, tools: Mapping[str, object]) -> str:
    """What is wrong with a tool call: no such tool, arguments that are no JSON object, or that do not fit
    its schema (`fitting.misfit`). Empty when nothing is. Without `tools` only the JSON is looked at."""
    try:
        arguments: object = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, UnicodeError):
        return f"broken JSON in a call of {call.name}"
    if not isinstance(arguments, dict):
        return f"no object as arguments of {call.name}"
    if not tools:
        return ""
    if call.name not in tools:
        return f"called {call.name[:60]}, which is no tool here"
    wrong = misfit(tools[call.name], cast("object", arguments), null_fits=True)
    return f"{wrong} in a call of {call.name}" if wrong else ""


def looping(text: str) -> str:
    """The piece that a text repeats over and over at its end; empty when it does not.

    At least `_LOOP_CHARS` characters of one piece, at least six times. Rulers of one sign are no loop.
    """
    tail = text[-_TAIL:].rstrip()
    if len(tail) < _LOOP_CHARS:
        return ""
    period = _period(tail[-_LOOP_CHARS:])
    unit = tail[-period:] if period else ""
    if not period or period > _LONGEST_UNIT or period * _LOOP_TIMES > len(tail):
        return ""
    times = 1
    while tail.endswith(unit * (times + 1)):
        times += 1
    said = sum(sign.isalnum() for sign in unit)
    return unit.strip() if times >= _LOOP_TIMES and said and period * times >= _LOOP_CHARS else ""


def _period(text: str) -> int:
    """The smallest shift under which the text looks the same; 0 when that is more than a sixth of it.
    (The failure function of Knuth, Morris and Pratt.)"""
    fail = [0] * len(text)
    at = 0
    for n in range(1, len(text)):
        while at and text[n] != text[at]:
            at = fail[at - 1]
        at += text[n] == text[at]
        fail[n] = at
    shift = len(text) - fail[-1]
    return shift if shift * 2 <= len(text) else 0


def _cut_unasked(answer: AnswerSigns) -> bool:
    """Cut by its length, though the client set no limit, or one that was not used up."""
    limit = answer.wanted.max_tokens
    return limit is None or (answer.tokens > 0 and answer.tokens < 0.9 * limit)


def _wrong_json(text: str, schema: object) -> str:
    """Why a text is not the JSON that was asked for; empty when nothing shows."""
    stripped = text.strip()
    if stripped.startswith("```"):
        stripped = stripped.strip("`").removeprefix("json").strip()
    try:
        value: object = msgspec.json.decode(stripped)
    except (msgspec.DecodeError, UnicodeError):
        return "no valid JSON, which was asked for"
    except RecursionError:
        return ""
    wrong = misfit(schema, value)
    return f"JSON of another form than was asked for ({wrong})" if wrong else ""


def next_tier(tier: Tier, considered: Sequence[Considered]) -> Tier | None:
    """The next tier up in which somebody may be asked; None when there is none."""
    there = {one.tier for one in considered if not one.excluded}
    higher = above(tier)
    while higher is not None and higher not in there:
        higher = above(higher)
    return higher


def ways_up(
    considered: Sequence[Considered], failed: Sequence[str], budget_left_nanos: int | None = None
) -> tuple[str, ...]:
    """Whom to ask after answers of `failed` (names) were not good enough: places of the next tier up that
    were open to the call and that the budget still allows, the cheapest good enough one first. Empty: nobody,
    and the answer that is there has to do."""
    ranks: list[Tier] = [one.tier for one in considered if one.name in failed]
    if not ranks:
        return ()
    left = [one for one in considered if one.name not in failed and _affordable(one, budget_left_nanos)]
    tier = next_tier(highest(ranks), left)
    there = [one for one in left if one.tier == tier and not one.excluded]
    best = max((one.chance for one in there), default=0.0)
    there.sort(key=lambda one: (one.chance < 0.95 * best, one.weight, -one.chance))
    return tuple(one.name for one in there)


def _affordable(one: Considered, left_nanos: int | None) -> bool:
    return left_nanos is None or (one.price_nanos is not None and one.price_nanos <= left_nanos)
