"""A whole Responses object as an `Answer`."""

from __future__ import annotations

import msgspec

from freehold.core.errors import CallError
from freehold.dialects.context import TranslationError
from freehold.dialects.conversation import Answer, JsonObject
from freehold.dialects.errors import parse_error
from freehold.dialects.fields import Losses, as_list, as_object, maybe_list, maybe_object, maybe_text
from freehold.dialects.finish import finish_from
from freehold.dialects.responses.read_items import ItemReader
from freehold.dialects.usage import usage_of


def read_responses_answer(found: JsonObject, answer_id: str) -> Answer:
    """Raises `TranslationError` for an answer that failed or is not finished."""
    status = maybe_text(found.get("status")) or "completed"
    if status not in ("completed", "incomplete"):
        raise TranslationError(_failure(found, status))
    reader = ItemReader(Losses())
    logprobs: list[JsonObject] = []
    for at, value in enumerate(as_list(found.get("output"), "output")):
        item = as_object(value, f"output[{at}]")
        if item.get("type") in ("function_call", "custom_tool_call") and not item.get("call_id"):
            item = {**item, "call_id": f"call_{answer_id}_{at}"}
        reader.read(item, f"output[{at}]")
        logprobs.extend(_logprobs(item))
    details = maybe_object(found.get("incomplete_details")) or {}
    return Answer(
        parts=tuple(part for turn in reader.turns for part in turn.parts),
        finish=finish_from("responses", maybe_text(details.get("reason")) or status),
        usage=usage_of("responses", msgspec.json.encode(found.get("usage"))),
        logprobs=tuple(logprobs),
        service_tier=maybe_text(found.get("service_tier")),
    )


def _failure(found: JsonObject, status: str) -> CallError:
    if status == "failed":
        return parse_error(0, msgspec.json.encode({"error": found.get("error")}))
    return CallError(
        kind="upstream",
        status=502,
        source="upstream",
        message=f"The model's server answered with a response that is {status}, not completed.",
    )


def _logprobs(item: JsonObject) -> list[JsonObject]:
    parts = (maybe_object(part) or {} for part in maybe_list(item.get("content")))
    return [
        entry
        for part in parts
        for value in maybe_list(part.get("logprobs"))
        if (entry := maybe_object(value))
    ]
