"""Content of chat messages: plain strings where all is text, parts where it is not."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.dialects.conversation import (
    Audio,
    File,
    Image,
    JsonObject,
    Part,
    Refusal,
    Text,
)
from freehold.dialects.fields import Losses
from freehold.dialects.media import data_url, image_url
from freehold.dialects.turns import joined


def assistant_text(parts: Sequence[Part]) -> str | None:
    """What the assistant said, refusals included; None when it only called tools. Pieces are joined
    with nothing between, as both vendors' SDKs do."""
    texts = [part.text for part in parts if isinstance(part, Text | Refusal)]
    return "".join(texts) if texts else None


def user_content(parts: Sequence[Part], losses: Losses) -> str | list[JsonObject]:
    """A string where all is text (many servers and templates take nothing else), else parts."""
    if all(isinstance(part, Text) for part in parts):
        return joined(parts, "\n\n")
    return [_part(part, losses) for part in parts]


def _part(part: Part, losses: Losses) -> JsonObject:
    if isinstance(part, Text | Refusal):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image) and not part.file_id:
        inner: JsonObject = {"url": image_url(part)}
        if part.detail:
            inner["detail"] = part.detail
        return {"type": "image_url", "image_url": inner}
    if isinstance(part, File) and not part.url:
        return {"type": "file", "file": _file(part)}
    if isinstance(part, Audio):
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if isinstance(part, File):
        losses.add("document.url")
        return {"type": "text", "text": f"[Document at {part.url}]"}
    losses.add("image.file_id")
    return {"type": "text", "text": "[An uploaded image that cannot be shown here]"}


def _file(part: File) -> JsonObject:
    found: JsonObject = {}
    if part.name or part.data:
        found["filename"] = part.name or "document"
    if part.data:
        found["file_data"] = data_url(part.media_type, part.data)
    else:
        found["file_id"] = part.file_id
    return found
