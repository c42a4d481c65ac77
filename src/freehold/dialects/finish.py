"""Why an answer ended, in one vocabulary, and its spelling in each dialect.

Where an answer's end is *noticed* (a tool call was seen, the stream broke) belongs to `answers`
and `streams`; this module only translates the word.
"""

from __future__ import annotations

from typing import Literal

from freehold.core.catalog import Dialect

Finish = Literal["stop", "length", "tool_calls", "refusal", "pause", "stop_sequence", "context_window"]

# One table for reading: no word means two things in two dialects, so a server that borrows its
# neighbour's word (a chat server that says `end_turn`) is still understood.
_READ: dict[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "incomplete": "length",
    "insufficient_system_resource": "length",  # DeepSeek: cut off because the service was full
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause_turn": "pause",
    "stop_sequence": "stop_sequence",
    "model_context_window_exceeded": "context_window",
    "model_length": "context_window",  # Mistral
}

_CHAT: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
    # A paused turn is not complete; "stop" would tell an agent that the work is done.
    "pause": "length",
    "stop_sequence": "stop",
    "context_window": "length",
}

_MESSAGES: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "pause": "pause_turn",
    "stop_sequence": "stop_sequence",
    "context_window": "model_context_window_exceeded",
}

_RESPONSES: dict[Finish, str] = {
    "stop": "completed",
    "length": "max_output_tokens",
    "tool_calls": "completed",
    "refusal": "content_filter",
    "pause": "max_output_tokens",
    "stop_sequence": "completed",
    "context_window": "max_output_tokens",
}

_OLLAMA: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "refusal": "stop",
    "pause": "length",
    "stop_sequence": "stop",
    "context_window": "length",
}

_WRITE: dict[Dialect, dict[Finish, str]] = {
    "chat": _CHAT,
    "messages": _MESSAGES,
    "responses": _RESPONSES,
    "ollama": _OLLAMA,
}


def finish_from(dialect: Dialect, reason: str | None) -> Finish:
    """The reason that an upstream of `dialect` gave; unknown or missing words mean "stop".

    For `responses` pass `incomplete_details.reason` where there is one, otherwise the status. That a
    Responses answer ended in tool calls is not in its status: the caller has seen the items.
    """
    del dialect  # part of the interface; the words do not collide between dialects
    return _READ.get(reason.lower(), "stop") if reason else "stop"


def finish_to(dialect: Dialect, finish: Finish) -> str:
    """The word for `finish` in `dialect`; for `responses` see `responses_status`."""
    return _WRITE[dialect][finish]


def responses_status(finish: Finish) -> tuple[str, str | None]:
    """`status` and `incomplete_details.reason` of a Responses object that ended for `finish`."""
    word = _RESPONSES[finish]
    return ("completed", None) if word == "completed" else ("incomplete", word)
