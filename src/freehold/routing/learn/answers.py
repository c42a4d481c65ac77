"""Answers of several models to one prompt, side by side: what they finally say, who says the same, how long.

`final_answer` cuts out what an answer comes down to; two answers agree when that is the same. Long free
texts come down to nothing that could be compared: they agree as far as their words do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log

import msgspec

from freehold.routing.learn.features import Features

ALIKE = 0.6
"""Share of common words from which two free texts count as the same."""
LONGEST_FINAL = 160
_LONGEST_NUMBER = 300
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_SAID = re.compile(
    r"(?:final answer|the answer is|answer is|answer:|####|result:)\s*(?:is\s*)?[:=]?\s*([^\n]{1,160})",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\(?([A-Ja-j])[).:]?(?:\s|$)")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?(?:e[-+]?\d{1,3})?")
_WRAPPING = " \t\r\n.*`$\"'"


class GivenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `belief`: the estimator's chance, before the call, that this deployment does well here."""

    deployment: str
    text: str
    out_tokens: float
    belief: float
    refused: bool = False


def final_answer(text: str) -> str:
    """What the answer comes down to, spelled one way; empty when it is a long text without a last word.

    1. JSON, spelled one way
    2. what stands in a box, or after "the answer is"
    3. a short answer as it is
    """
    if json := _json(text):
        return json
    boxed = _BOXED.findall(text)
    said: list[str] = [] if boxed else _SAID.findall(text)
    if boxed or said:
        final = (boxed or said)[-1]
    elif len(text) <= LONGEST_FINAL:
        final = text
    else:
        return ""
    return _spelled(final)


def _json(text: str) -> str:
    """An object or a list with its keys in order; empty when the text is none."""
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    if not bare.startswith(("{", "[")):
        return ""
    try:
        return _plain(msgspec.json.encode(msgspec.json.decode(bare), order="sorted").decode())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""


def _spelled(final: str) -> str:
    """Numbers as numbers, letters of choices as letters, everything else without blanks and capitals."""
    plain = final.strip(_WRAPPING)
    number = plain.replace(",", "").replace("\\!", "").lstrip("$").rstrip("%")
    if len(number) < _LONGEST_NUMBER and _NUMBER.fullmatch(number):
        return f"{float(number):.10g}"
    letter = _LETTER.match(plain)
    if letter:
        return letter[1].upper()
    return _plain(plain)


def _plain(text: str) -> str:
    """Without blanks and capitals, and with one sort of quotes."""
    return "".join(text.lower().split()).replace('"', "'")


def alike(first: str, second: str) -> bool:
    """Whether two answers say the same."""
    one, other = final_answer(first), final_answer(second)
    if one or other:
        return one == other
    words, others = set(first.lower().split()), set(second.lower().split())
    both = len(words & others)
    return bool(both) and both / (len(words) + len(others) - both) >= ALIKE


SIGNS: tuple[str, ...] = (
    "answers", "votes", "share", "length", "length_to_prompt", "length_to_others", "longest", "empty",
    "refused", "number", "whole_number", "letter", "size", "belief", "others_belief", "for_and_against",
)  # fmt: skip
"""What each place of an answer's vector means; the prompt's own vector follows."""


def answer_vectors(features: Features, answers: Sequence[GivenAnswer]) -> list[Features]:
    """Per answer: the prompt's features with the signs of the answer before them."""
    finals = [final_answer(answer.text) for answer in answers]
    same = [[_same(answers, finals, i, j) for j in range(len(answers))] for i in range(len(answers))]
    lengths = [log(answer.out_tokens + 1.0) for answer in answers]
    odds = [log(a.belief / (1.0 - a.belief)) if 0.0 < a.belief < 1.0 else 0.0 for a in answers]
    found: list[Features] = []
    for place, answer in enumerate(answers):
        votes = sum(same[place])
        for_it = sum(o for o, agrees in zip(odds, same[place], strict=True) if agrees)
        others = [odds[i] for i in range(len(answers)) if i != place]
        signs = (
            float(len(answers)),
            float(votes),
            votes / len(answers),
            lengths[place],
            lengths[place] - features.vector[0],
            lengths[place] - sum(lengths) / len(lengths),
            max(lengths),
            float(not answer.text.strip()),
            float(answer.refused),
            *_form(finals[place]),
            odds[place],
            max(others) if others else -2.0,
            2.0 * for_it - sum(odds),
        )
        found.append(Features((*signs, *features.vector), features.task, features.guess))
    return found


def _same(answers: Sequence[GivenAnswer], finals: Sequence[str], one: int, other: int) -> bool:
    if one == other:
        return True
    if finals[one] or finals[other]:
        return finals[one] == finals[other]
    return alike(answers[one].text, answers[other].text)


def _form(final: str) -> tuple[float, float, float, float]:
    """number, whole number, letter of a choice, size."""
    number = bool(_NUMBER.fullmatch(final))
    size = log(min(abs(float(final.replace(",", ""))), 1e9) + 1.0) if number else log(len(final) + 1.0)
    return float(number), float(number and "." not in final), float(len(final) == 1 and not number), size
