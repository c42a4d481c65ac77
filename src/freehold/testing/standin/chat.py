"""What the stand-in says in OpenAI chat completions and completions."""

from __future__ import annotations

from typing import Any

from freehold.testing.standin.behaviour import Behaviour
from freehold.testing.standin.sse import data_event

CREATED_S = 1_700_000_000


def usage(told: Behaviour) -> dict[str, Any]:
    return {
        "prompt_tokens": told.input_tokens,
        "completion_tokens": told.output_tokens,
        "total_tokens": told.input_tokens + told.output_tokens,
        "prompt_tokens_details": {"cached_tokens": told.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": told.reasoning_tokens},
    }


def finish_reason(told: Behaviour) -> str:
    return "tool_calls" if told.tool_calls else "length" if told.cut_short else "stop"


def chat_answer(request: dict[str, Any], told: Behaviour, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": told.text or None, "refusal": None}
    if told.thinking:
        message["reasoning_content"] = told.thinking
    if told.tool_calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{at}",
                "type": "function",
                "function": _function(call.name, call.arguments),
            }
            for at, call in enumerate(told.tool_calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(told)}
    return _envelope(request, "chat.completion", number) | {"choices": [choice], "usage": usage(told)}


def chat_events(request: dict[str, Any], told: Behaviour, number: int) -> list[bytes]:
    sends_usage = _sends_usage(request, told)
    base = _envelope(request, "chat.completion.chunk", number)
    if sends_usage or told.usage == "null":
        base["usage"] = None
    chunks = [_chunk(base, delta) for delta in _deltas(told, number)]
    chunks.append(_chunk(base, {}, finish_reason(told)))
    if sends_usage:
        chunks.append(base | {"choices": [], "usage": usage(told)})
    return [data_event(chunk, told.line_end) for chunk in chunks] + [
        b"data: [DONE]" + told.line_end.encode() * 2
    ]


def text_answer(request: dict[str, Any], told: Behaviour, number: int) -> dict[str, Any]:
    choice = {"index": 0, "text": told.text, "logprobs": None, "finish_reason": finish_reason(told)}
    return _envelope(request, "text_completion", number) | {"choices": [choice], "usage": usage(told)}


def text_events(request: dict[str, Any], told: Behaviour, number: int) -> list[bytes]:
    base = _envelope(request, "text_completion", number)
    last = len(told.pieces) - 1
    chunks = [
        base
        | {
            "choices": [
                {
                    "index": 0,
                    "text": piece,
                    "logprobs": None,
                    "finish_reason": finish_reason(told) if at == last else None,
                }
            ]
        }
        for at, piece in enumerate(told.pieces)
    ]
    if _sends_usage(request, told):
        chunks.append(base | {"choices": [], "usage": usage(told)})
    return [data_event(chunk, told.line_end) for chunk in chunks] + [
        b"data: [DONE]" + told.line_end.encode() * 2
    ]


def _sends_usage(request: dict[str, Any], told: Behaviour) -> bool:
    options: dict[str, Any] = request.get("stream_options") or {}
    return told.usage == "always" or (told.usage == "asked" and bool(options.get("include_usage")))


def _envelope(request: dict[str, Any], kind: str, number: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-standin{number}",
        "object": kind,
        "created": CREATED_S,
        "model": request.get("model"),
        "system_fingerprint": "fp_standin",
    }


def _chunk(base: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


def _deltas(told: Behaviour, number: int) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": word} for word in told.thinking.split(" ") if word]
    deltas += [{"content": piece} for piece in told.pieces]
    for at, call in enumerate(told.tool_calls):
        opening = {
            "index": at,
            "id": f"call_{number}_{at}",
            "type": "function",
            "function": _function(call.name, ""),
        }
        deltas.append({"tool_calls": [opening]})
        deltas += [
            {"tool_calls": [{"index": at, "function": {"arguments": part}}]}
            for part in _halves(call.arguments)
        ]
    return deltas


def _function(name: str, arguments: str) -> dict[str, str]:
    return {"name": name, "arguments": arguments}


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]
