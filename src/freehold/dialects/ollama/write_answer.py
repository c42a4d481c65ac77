"""An `Answer` as a whole Ollama chat object for a client."""

from __future__ import annotations

from datetime import UTC, datetime

from freehold.dialects.arguments import argument_object
from freehold.dialects.context import TranslationContext
from freehold.dialects.conversation import Answer, JsonObject, Refusal, Text, Thinking, ToolCall
from freehold.dialects.finish import finish_to
from freehold.dialects.usage import usage_object


def write_ollama_answer(answer: Answer, context: TranslationContext) -> JsonObject:
    made_at = datetime.fromtimestamp(context.created_s, UTC)
    return {
        "model": context.model_asked,
        "created_at": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": _message(answer),
        "done": True,
        "done_reason": finish_to("ollama", answer.finish),
        **usage_object("ollama", answer.usage),
    }


def _message(answer: Answer) -> JsonObject:
    texts = (part.text for part in answer.parts if isinstance(part, Text | Refusal))
    message: JsonObject = {"role": "assistant", "content": "".join(texts)}
    thought = "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    if thought:
        message["thinking"] = thought
    calls = [
        {"function": {"name": part.name, "arguments": argument_object(part)}}
        for part in answer.parts
        if isinstance(part, ToolCall)
    ]
    if calls:
        message["tool_calls"] = calls
    return message
