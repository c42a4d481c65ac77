"""An `Answer` as a whole chat completion for a client."""

from __future__ import annotations

from freehold.dialects.arguments import argument_text
from freehold.dialects.context import TranslationContext
from freehold.dialects.conversation import Answer, JsonObject, Part, Refusal, Text, Thinking, ToolCall
from freehold.dialects.finish import finish_to
from freehold.dialects.usage import usage_object


def write_chat_answer(answer: Answer, context: TranslationContext) -> JsonObject:
    logprobs = {"content": list(answer.logprobs), "refusal": None} if answer.logprobs else None
    choice: JsonObject = {
        "index": 0,
        "message": _message(answer),
        "logprobs": logprobs,
        "finish_reason": finish_to("chat", answer.finish),
    }
    return {
        "id": f"chatcmpl-{context.answer_id}",
        "object": "chat.completion",
        "created": context.created_s,
        "model": context.model_asked,
        "choices": [choice],
        "usage": usage_object("chat", answer.usage),
    }


def _message(answer: Answer) -> JsonObject:
    text = _said(answer, Text)
    refusal = _said(answer, Refusal)
    message: JsonObject = {"role": "assistant", "content": text, "refusal": refusal}
    thought = _said(answer, Thinking)
    if thought:
        message["reasoning_content"] = thought
    calls = [_call(part) for part in answer.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = calls
    elif text is None and refusal is None:
        message["content"] = ""
    return message


def _said(answer: Answer, kind: type[Text] | type[Refusal] | type[Thinking]) -> str | None:
    """All pieces of one kind, joined as both vendors' SDKs do; None when there are none."""
    texts = [_text(part) for part in answer.parts if isinstance(part, kind)]
    return "".join(texts) if texts else None


def _text(part: Part) -> str:
    return part.text if isinstance(part, Text | Refusal | Thinking) else ""


def _call(call: ToolCall) -> JsonObject:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    # Not repaired: a client may show or mend what the model wrote; only its empty form is no JSON.
    arguments = call.arguments if call.arguments.strip() else argument_text(call)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
