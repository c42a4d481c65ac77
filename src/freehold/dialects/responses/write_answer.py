"""An `Answer` as a whole Responses object for a client, in the shape that `streams` ends with."""

from __future__ import annotations

from freehold.dialects.arguments import argument_object, argument_text
from freehold.dialects.context import TranslationContext
from freehold.dialects.conversation import Answer, JsonObject, Part, Refusal, Text, Thinking, ToolCall
from freehold.dialects.finish import responses_status
from freehold.dialects.seals import seal
from freehold.dialects.streams.response_object import response_object
from freehold.dialects.usage import usage_object


def write_responses_answer(answer: Answer, context: TranslationContext) -> JsonObject:
    status, reason = responses_status(answer.finish)
    response = response_object(
        answer_id=context.answer_id,
        model=context.model_asked,
        created_s=context.created_s,
        echo=context.echo,
    )
    return {
        **response,
        "status": status,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _output(answer, context.answer_id, status),
        "usage": usage_object("responses", answer.usage),
    }


def _output(answer: Answer, answer_id: str, status: str) -> list[JsonObject]:
    """One item per part; neighbouring words share a message."""
    items: list[JsonObject] = []
    said: list[object] = []
    logprobs: list[JsonObject] | None = list(answer.logprobs)
    for part in answer.parts:
        number = f"{answer_id}_{len(items)}"
        if isinstance(part, Text | Refusal):
            if not said:
                items.append(_message(number, status, said))
            said.append(_content(part, logprobs or []))
            logprobs = None
            continue
        item = _call(part, number) if isinstance(part, ToolCall) else _reasoning(part, number)
        if item is not None:
            said = []
            items.append(item)
    for item in items[:-1]:
        if "status" in item:
            item["status"] = "completed"  # only the last item was cut off
    return items


def _message(number: str, status: str, content: list[object]) -> JsonObject:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _content(part: Text | Refusal, logprobs: list[JsonObject]) -> JsonObject:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    shown: list[JsonObject] = [{"bytes": [], "top_logprobs": [], **entry} for entry in logprobs]
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": shown}


def _call(call: ToolCall, number: str) -> JsonObject:
    item: JsonObject = {
        "id": f"ctc_{number}" if call.custom else f"fc_{number}",
        "type": "custom_tool_call" if call.custom else "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
    }
    if call.namespace:
        item["namespace"] = call.namespace
    if call.custom:
        return {**item, "input": call.arguments}
    arguments = call.arguments if call.arguments.strip() else argument_text(call)
    if argument_object(call).keys() == {"_raw"}:
        item["status"] = "incomplete"
    return {**item, "arguments": arguments}


def _reasoning(part: Part, number: str) -> JsonObject | None:
    """Told as a summary: clients show it, and send it back in the next turn."""
    if not isinstance(part, Thinking):
        return None
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    item: JsonObject = {"id": f"rs_{number}", "type": "reasoning", "summary": summary}
    kept = seal(part)
    return {**item, "encrypted_content": kept} if kept else item
