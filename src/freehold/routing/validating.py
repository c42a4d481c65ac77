"""What a validator is told of an answer, and what its end means. Pure; running it is `app.validators`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.dialects.conversation import Answer, Text, ToolCall
from freehold.routing.reading import turns_of
from freehold.routing.world import Check

EVERY = "*"
"""The validator of all kinds of task that have none of their own."""
_WHY = 160


class Verdict(msgspec.Struct, frozen=True):
    """`why`: in words, of a bad answer or of none."""

    good: bool | None
    """None: nobody can say."""
    why: str = ""


class _Turn(msgspec.Struct, frozen=True):
    role: str
    text: str


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    v: Literal[1] = 1
    task: str
    model: str
    receipt: str
    messages: tuple[_Turn, ...]
    answer: str
    finish: str


def check_for(checks: Mapping[str, Check], task: str) -> Check | None:
    """Who checks answers to this kind of task; None: nobody."""
    return (checks.get(task) or checks.get(EVERY)) if checks else None


def calls_tools(answer: Answer) -> bool:
    return any(isinstance(part, ToolCall) for part in answer.parts)


def document_of(request: bytes, answer: Answer, *, task: str, deployment: str, receipt: str) -> bytes:
    """What a validator reads: one JSON object, UTF-8, and nothing of the call's headers."""
    turns = tuple(_Turn(role, text) for role, text in turns_of(request))
    return msgspec.json.encode(
        _Document(
            task=task,
            model=deployment,
            receipt=receipt,
            messages=turns,
            answer="".join([part.text for part in answer.parts if isinstance(part, Text)]) or answer.refusal,
            finish=answer.finish,
        )
    )


def verdict_of(status: int, said: bytes) -> Verdict:
    """By its exit status (negative: the signal that ended it) and the beginning of what it printed."""
    if status == 0:
        return Verdict(True)
    if status == 1:
        return Verdict(False, _first_line(said))
    return Verdict(None, f"ended by signal {-status}" if status < 0 else f"ended with status {status}")


def words_of(verdict: Verdict) -> str:
    """What a route says of the place whose answer was checked."""
    if verdict.good:
        return "passed the check"
    if verdict.good is None:
        return f"was not checked ({verdict.why})"
    return f"failed the check ({verdict.why})" if verdict.why else "failed the check"


def _first_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    line = "".join([sign for sign in lines[0] if sign.isprintable()]).strip() if lines else ""
    return line if len(line) <= _WHY else f"{line[:_WHY]}..."
