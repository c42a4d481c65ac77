"""The Responses object as it stands in `response.created`, `in_progress` and the terminal events.

Shape: openai-python `types/responses/response.py`. Request fields are echoed from the translation's
context; what the request left out gets OpenAI's default.
"""

from __future__ import annotations

from collections.abc import Mapping

_DEFAULTS: dict[str, object] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}


def response_object(
    *, answer_id: str, model: str, created_s: int, echo: Mapping[str, object] = {}
) -> dict[str, object]:
    """A Responses object in progress, without output. `answer_id` is the part after `resp_`."""
    return {
        **_DEFAULTS,
        **{key: value for key, value in echo.items() if value is not None},
        "id": response_id(answer_id),
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "model": model,
        "output": [],
    }


def response_id(answer_id: str) -> str:
    """The id that a Responses answer made by us carries in all its events."""
    return f"resp_{answer_id}"
