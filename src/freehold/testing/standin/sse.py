"""Server-sent events as each dialect writes them."""

from __future__ import annotations

from typing import Any

import msgspec


def data_event(payload: Any, line_end: str = "\n") -> bytes:
    """OpenAI chat: a data line, no event name."""
    return b"data: " + msgspec.json.encode(payload) + line_end.encode() * 2


def named_event(payload: dict[str, Any], line_end: str = "\n") -> bytes:
    """Anthropic messages and OpenAI responses: the event's name repeats the payload's `type`."""
    end = line_end.encode()
    return b"event: " + payload["type"].encode() + end + data_event(payload, line_end)
