"""What the stand-in says in OpenAI responses."""

from __future__ import annotations

from typing import Any

from freehold.testing.standin.behaviour import Behaviour
from freehold.testing.standin.chat import CREATED_S
from freehold.testing.standin.sse import named_event

Payload = dict[str, Any]


def response_answer(request: Payload, told: Behaviour, number: int) -> Payload:
    status = "incomplete" if told.cut_short else "completed"
    return _response(request, number, status) | {
        "output": [item for item, _ in _items(told, number)],
        "incomplete_details": {"reason": "max_output_tokens"} if told.cut_short else None,
        "usage": {
            "input_tokens": told.input_tokens,
            "input_tokens_details": {"cached_tokens": told.cached_tokens},
            "output_tokens": told.output_tokens,
            "output_tokens_details": {"reasoning_tokens": told.reasoning_tokens},
            "total_tokens": told.input_tokens + told.output_tokens,
        },
    }


def response_events(request: Payload, told: Behaviour, number: int) -> list[bytes]:
    opening = _response(request, number, "in_progress")
    payloads: list[Payload] = [
        {"type": "response.created", "response": opening},
        {"type": "response.in_progress", "response": opening},
    ]
    for index, (item, inner) in enumerate(_items(told, number)):
        started = item | {"status": "in_progress"} | _emptied(item)
        payloads.append({"type": "response.output_item.added", "output_index": index, "item": started})
        payloads += [step | {"output_index": index, "item_id": item["id"]} for step in inner]
        payloads.append({"type": "response.output_item.done", "output_index": index, "item": item})
    ending = response_answer(request, told, number)
    payloads.append({"type": f"response.{ending['status']}", "response": ending})
    return [
        named_event({**payload, "sequence_number": sequence}, told.line_end)
        for sequence, payload in enumerate(payloads)
    ]


def _response(request: Payload, number: int, status: str) -> Payload:
    return {
        "id": f"resp_standin{number}",
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "model": request.get("model"),
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "store": request.get("store", True),
        "temperature": 1.0,
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }


def _items(told: Behaviour, number: int) -> list[tuple[Payload, list[Payload]]]:
    """Each finished output item beside the events that build it."""
    items: list[tuple[Payload, list[Payload]]] = []
    if told.thinking:
        items.append(_reasoning_item(told, number))
    if told.text:
        items.append(_message_item(told, number))
    items += [
        _call_item(call.name, call.arguments, f"{number}_{at}") for at, call in enumerate(told.tool_calls)
    ]
    return items


def _reasoning_item(told: Behaviour, number: int) -> tuple[Payload, list[Payload]]:
    part = {"type": "summary_text", "text": told.thinking}
    item = {"id": f"rs_{number}", "type": "reasoning", "summary": [part], "status": "completed"}
    at = {"summary_index": 0}
    steps: list[Payload] = [
        {"type": "response.reasoning_summary_part.added", **at, "part": part | {"text": ""}},
        {"type": "response.reasoning_summary_text.delta", **at, "delta": told.thinking},
        {"type": "response.reasoning_summary_text.done", **at, "text": told.thinking},
        {"type": "response.reasoning_summary_part.done", **at, "part": part},
    ]
    return item, steps


def _message_item(told: Behaviour, number: int) -> tuple[Payload, list[Payload]]:
    part: Payload = {"type": "output_text", "text": told.text, "annotations": [], "logprobs": []}
    item = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    at: Payload = {"content_index": 0}
    steps: list[Payload] = [{"type": "response.content_part.added", **at, "part": part | {"text": ""}}]
    steps += [{"type": "response.output_text.delta", **at, "delta": p, "logprobs": []} for p in told.pieces]
    steps.append({"type": "response.output_text.done", **at, "text": told.text, "logprobs": []})
    steps.append({"type": "response.content_part.done", **at, "part": part})
    return item, steps


def _call_item(name: str, arguments: str, tail: str) -> tuple[Payload, list[Payload]]:
    item = {
        "id": f"fc_{tail}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{tail}",
        "name": name,
        "arguments": arguments,
    }
    middle = len(arguments) // 2
    steps: list[Payload] = [
        {"type": "response.function_call_arguments.delta", "delta": part}
        for part in (arguments[:middle], arguments[middle:])
    ]
    steps.append({"type": "response.function_call_arguments.done", "arguments": arguments, "name": name})
    return item, steps


def _emptied(item: Payload) -> Payload:
    empty: Payload = {"content": [], "summary": [], "arguments": ""}
    return {key: value for key, value in empty.items() if key in item}
