"""What clients ask and upstreams answer in these tests, and turns of the loop to wait for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}

WHOLE: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def event(**fields: Any) -> bytes:
    return (
        b"data: "
        + json.dumps({"id": "c1", "object": "chat.completion.chunk", "model": "m"} | fields).encode()
        + b"\n\n"
    )


STREAM = (
    event(choices=[{"index": 0, "delta": {"role": "assistant", "content": "h"}, "finish_reason": None}]),
    event(choices=[{"index": 0, "delta": {"content": "i"}, "finish_reason": None}]),
    event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    event(choices=[], usage=WHOLE["usage"]),
    b"data: [DONE]\n\n",
)

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


def asking(dialect: str, model: str, *, stream: bool) -> dict[str, Any]:
    turn = {"input": "hi"} if dialect == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
    return {"model": model, "max_tokens": 9, "stream": stream} | turn


async def turns() -> None:
    """Let the loop do what is due, and what follows from that."""
    for _ in range(3):
        await asyncio.sleep(0)


async def until(met: Callable[[], bool]) -> None:
    """Turn the loop until it is so; what is waited for goes on in tasks and timers of the gateway's own."""
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
