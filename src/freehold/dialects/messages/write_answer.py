"""An `Answer` as a whole Anthropic message for a client."""

from __future__ import annotations

from freehold.dialects.arguments import argument_object
from freehold.dialects.context import TranslationContext
from freehold.dialects.conversation import Answer, JsonObject, Part, Refusal, Text, Thinking, ToolCall
from freehold.dialects.finish import finish_to
from freehold.dialects.seals import seal
from freehold.dialects.usage import usage_object


def write_messages_answer(answer: Answer, context: TranslationContext) -> JsonObject:
    finish = answer.finish
    if finish == "stop" and any(isinstance(part, Refusal) for part in answer.parts):
        finish = "refusal"
    return {
        "id": f"msg_{context.answer_id}",
        "type": "message",
        "role": "assistant",
        "model": context.model_asked,
        "content": [block for part in answer.parts if (block := _block(part)) is not None],
        "stop_reason": finish_to("messages", finish),
        "stop_sequence": answer.stop_sequence,
        "usage": usage_object("messages", answer.usage),
    }


def _block(part: Part) -> JsonObject | None:
    if isinstance(part, Text | Refusal):
        return {"type": "text", "text": part.text} if part.text else None
    if isinstance(part, Thinking):
        return {"type": "thinking", "thinking": part.text, "signature": seal(part)}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": argument_object(part)}
    return None
