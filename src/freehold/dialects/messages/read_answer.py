"""A whole Anthropic message as an `Answer`."""

from __future__ import annotations

import msgspec

from freehold.dialects.conversation import Answer, JsonObject, Refusal
from freehold.dialects.fields import Losses, as_list, maybe_object, maybe_text
from freehold.dialects.finish import finish_from
from freehold.dialects.messages.read_blocks import read_blocks
from freehold.dialects.usage import usage_of


def read_messages_answer(found: JsonObject, answer_id: str) -> Answer:
    del answer_id  # every block of a message brings what it needs
    parts = read_blocks(as_list(found.get("content"), "content"), "content", Losses())
    details = maybe_object(found.get("stop_details")) or {}
    why = maybe_text(details.get("explanation")) if found.get("stop_reason") == "refusal" else ""
    return Answer(
        parts=(*parts, Refusal(why)) if why else parts,
        finish=finish_from("messages", maybe_text(found.get("stop_reason"))),
        stop_sequence=maybe_text(found.get("stop_sequence")) or None,
        usage=usage_of("messages", msgspec.json.encode(found.get("usage"))),
    )
