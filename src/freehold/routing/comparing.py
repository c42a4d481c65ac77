"""The words of a comparison: the same request for another place, what both said, and when no judge is needed.

Pure. Which calls are compared is `shadow`'s; sending them is `app.shadow`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import FreeholdError
from freehold.core.usage import Usage
from freehold.dialects.answers import read_answer
from freehold.dialects.context import TranslationContext
from freehold.dialects.conversation import Answer, Text
from freehold.routing.escalate import insufficient, signs_of
from freehold.routing.reading import read_wanted, turns_of
from freehold.routing.shadow import judge_prompt

PATHS: Mapping[str, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "ollama.chat": "/api/chat",
}
"""Where calls of an endpoint go that can be put to another place."""
JUDGE_TOKENS = 2048
"""Of a judge's answer: one number, and what a model thinks before it."""
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, FreeholdError)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer of the cheaper place is worth, 0 to 1, where that shows without a judge."""

    score: float
    why: str


def shadow_body(body: bytes, deployment: str) -> bytes | None:
    """The same request for `deployment`, as one document and kept by nobody; None when it cannot be read."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except _UNREADABLE:
        return None
    fields.pop("stream_options", None)
    fields["model"] = msgspec.Raw(msgspec.json.encode(deployment))
    fields["stream"] = msgspec.Raw(b"false")
    if "store" in fields:
        fields["store"] = msgspec.Raw(b"false")
    return msgspec.json.encode(fields)


def judge_body(judge: str, request: bytes, answer: str, shadow: str) -> bytes:
    """The judge's request, in the chat dialect."""
    prompt = judge_prompt(question_of(request), answer, shadow)
    return msgspec.json.encode(
        {
            "model": judge,
            "messages": [{"role": "user", "content": prompt}],
            "max_completion_tokens": JUDGE_TOKENS,
        }
    )


def question_of(request: bytes) -> str:
    """What was asked, as text: all turns with who said them."""
    return "\n\n".join(f"{role}: {text}" for role, text in turns_of(request) if text)


def read_whole(dialect: Dialect, document: bytes) -> Answer | None:
    """A whole answer in the client's dialect; None when it is none."""
    if dialect == "ollama":
        return _ollama(document)
    context = TranslationContext(
        client=dialect, upstream=dialect, model_asked="", answer_id="compared", created_s=0
    )
    try:
        return read_answer(document, context)
    except _UNREADABLE:
        return None


def _ollama(document: bytes) -> Answer | None:
    try:
        found = msgspec.json.decode(document, type=dict[str, object])
    except _UNREADABLE:
        return None
    message = found.get("message")
    content = cast("dict[str, object]", message).get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        return None
    finish = "length" if found.get("done_reason") == "length" else "stop"
    return Answer(parts=(Text(content),), finish=finish, usage=Usage())


def text_of(answer: Answer) -> str:
    """What it says; a refusal's words where it says nothing else."""
    return "".join(part.text for part in answer.parts if isinstance(part, Text)) or answer.refusal


def comparable(request: bytes, answer: Answer) -> bool:
    """Whether the answer that the client got is one that others can be held against."""
    return bool(text_of(answer).strip()) and insufficient(signs_of(answer, read_wanted(request))) is None


def plain_verdict(request: bytes, answer: Answer, shadow: Answer) -> Verdict | None:
    """What shows without a judge: an answer that is plainly not good enough, or says the very same."""
    wanted = read_wanted(request)
    if insufficient(signs_of(shadow, wanted)):
        return Verdict(score=0.0, why="not good enough by its form")
    one, other = text_of(answer), text_of(shadow)
    if one.split() == other.split():
        return Verdict(score=1.0, why="says the same")
    if wanted.json and _json(one) == _json(other):
        return Verdict(score=1.0, why="is the same JSON")
    return None


def _json(text: str) -> object:
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    try:
        return msgspec.json.decode(bare)
    except _UNREADABLE:
        return bare
