"""What the stand-in says in Anthropic messages."""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.testing.standin.behaviour import Behaviour
from freehold.testing.standin.sse import named_event


def usage(told: Behaviour, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": told.input_tokens - told.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": told.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def stop_reason(told: Behaviour) -> str:
    return "tool_use" if told.tool_calls else "max_tokens" if told.cut_short else "end_turn"


def message_answer(request: dict[str, Any], told: Behaviour, number: int) -> dict[str, Any]:
    return _message(request, number) | {
        "content": [block for block, _ in _blocks(told, number)],
        "stop_reason": stop_reason(told),
        "usage": usage(told, told.output_tokens),
    }


def message_events(request: dict[str, Any], told: Behaviour, number: int) -> list[bytes]:
    payloads: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(request, number) | {"usage": usage(told, 1)}},
        {"type": "ping"},
    ]
    for index, (block, deltas) in enumerate(_blocks(told, number)):
        payloads.append({"type": "content_block_start", "index": index, "content_block": _emptied(block)})
        payloads += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        payloads.append({"type": "content_block_stop", "index": index})
    payloads.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(told), "stop_sequence": None},
            "usage": usage(told, told.output_tokens),
        }
    )
    payloads.append({"type": "message_stop"})
    return [named_event(payload, told.line_end) for payload in payloads]


def _message(request: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": f"msg_standin{number}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(told: Behaviour, number: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each finished block beside the deltas that build it."""
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if told.thinking:
        signature = "c2lnbmVkIGJ5IHRoZSBzdGFuZC1pbg=="
        deltas = [{"type": "thinking_delta", "thinking": told.thinking}]
        deltas.append({"type": "signature_delta", "signature": signature})
        blocks.append(({"type": "thinking", "thinking": told.thinking, "signature": signature}, deltas))
    if told.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in told.pieces]
        blocks.append(({"type": "text", "text": told.text}, deltas))
    for at, call in enumerate(told.tool_calls):
        block = {
            "type": "tool_use",
            "id": f"toolu_{number}_{at}",
            "name": call.name,
            "input": msgspec.json.decode(call.arguments),
        }
        middle = len(call.arguments) // 2
        parts = ("", call.arguments[:middle], call.arguments[middle:])
        blocks.append((block, [{"type": "input_json_delta", "partial_json": part} for part in parts]))
    return blocks


def _emptied(block: dict[str, Any]) -> dict[str, Any]:
    """The block as it opens: its parts come as deltas."""
    empty: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: empty.get(key, value) for key, value in block.items()}
