"""A whole chat completion as an `Answer`."""

from __future__ import annotations

import msgspec

from freehold.dialects.chat.read_tools import read_calls
from freehold.dialects.conversation import Answer, JsonObject, Part, Refusal, Text, Thinking
from freehold.dialects.fields import as_list, as_object, maybe_list, maybe_object, maybe_text
from freehold.dialects.finish import finish_from
from freehold.dialects.usage import usage_of


def read_chat_answer(found: JsonObject, answer_id: str) -> Answer:
    """The first choice's meaning. Tool calls without an id get one made from `answer_id`."""
    choices = as_list(found.get("choices"), "choices")
    choice = as_object(choices[0] if choices else None, "choices[0]")
    message = as_object(choice.get("message"), "choices[0].message")
    refusal = maybe_text(message.get("refusal"))
    parts: list[Part] = [*_thinking(message), *_content(message.get("content"))]
    if refusal:
        parts.append(Refusal(refusal))
    parts.extend(read_calls(_identified(message, answer_id), "choices[0].message"))
    logprobs = maybe_object(choice.get("logprobs")) or {}
    return Answer(
        parts=tuple(parts),
        finish=finish_from("chat", maybe_text(choice.get("finish_reason"))),
        usage=usage_of("chat", msgspec.json.encode(found.get("usage"))),
        logprobs=tuple(
            entry for value in maybe_list(logprobs.get("content")) if (entry := maybe_object(value))
        ),
        service_tier=maybe_text(found.get("service_tier")),
    )


def _identified(message: JsonObject, answer_id: str) -> JsonObject:
    calls: list[object] = []
    for number, value in enumerate(maybe_list(message.get("tool_calls"))):
        call = maybe_object(value) or {}
        calls.append(call if call.get("id") else {**call, "id": f"call_{answer_id}_{number}"})
    return {**message, "tool_calls": calls}


def _thinking(message: JsonObject) -> list[Part]:
    """DeepSeek and llama.cpp say `reasoning_content`, vLLM and OpenRouter `reasoning`."""
    text = maybe_text(message.get("reasoning_content")) or maybe_text(message.get("reasoning"))
    return [Thinking(maker="chat", text=text)] if text else []


def _content(content: object) -> list[Part]:
    """A string, or Mistral's list of parts, whose thinking parts hold text parts themselves."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    parts: list[Part] = []
    for value in maybe_list(content):
        part = maybe_object(value) or {}
        text = maybe_text(part.get("text"))
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            pieces = (maybe_object(item) or {} for item in maybe_list(inner))
            thought = maybe_text(inner) or "".join(maybe_text(piece.get("text")) for piece in pieces)
            parts.append(Thinking(maker="chat", text=thought))
        elif text:
            parts.append(Text(text))
    return parts
