"""Content blocks of Anthropic messages, written for an upstream's request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from freehold.dialects.arguments import argument_object
from freehold.dialects.conversation import (
    Audio,
    File,
    Image,
    JsonObject,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from freehold.dialects.fields import Losses
from freehold.dialects.toolnames import ToolNames

_UNSAFE_ID = re.compile(r"[^a-zA-Z0-9_-]")


class BlockWriter:
    """Writes one request's blocks in order. Keeps tool-call ids legal and unique, which chat servers
    that count calls per answer do not (`functions.bash:0`, twice)."""

    def __init__(self, names: ToolNames, same_maker: bool, losses: Losses) -> None:
        self._names = names
        self._same_maker = same_maker
        self._losses = losses
        self._used: set[str] = set()
        self._now: dict[str, str] = {}

    def blocks(self, parts: Sequence[Part]) -> list[JsonObject]:
        """Blocks of one turn; text without a visible character is left out (the API refuses it)."""
        written = (self._block(part) for part in parts)
        return [block for block in written if block is not None]

    def _block(self, part: Part) -> JsonObject | None:
        block = self._bare(part)
        cache = getattr(part, "cache", None)
        if block is not None and cache:
            block["cache_control"] = cache
        return block

    def _bare(self, part: Part) -> JsonObject | None:
        if isinstance(part, Text | Refusal):
            return {"type": "text", "text": part.text} if part.text.strip() else None
        if isinstance(part, ToolCall):
            return {
                "type": "tool_use",
                "id": self._fresh_id(part.id),
                "name": self._names.give(part.name, part.namespace, custom=part.custom),
                "input": argument_object(part, self._losses),
            }
        if isinstance(part, ToolResult):
            return self._result(part)
        if isinstance(part, Thinking):
            return self._thinking(part)
        if isinstance(part, Image):
            return self._image(part)
        if isinstance(part, File):
            return self._file(part)
        return self._audio(part)

    def _fresh_id(self, wanted: str) -> str:
        safe = _UNSAFE_ID.sub("_", wanted) or "call"
        free, count = safe, 1
        while free in self._used:
            count += 1
            free = f"{safe}_{count}"
        self._used.add(free)
        self._now[wanted] = free
        return free

    def _result(self, result: ToolResult) -> JsonObject:
        block: JsonObject = {
            "type": "tool_result",
            "tool_use_id": self._now.get(result.call_id, result.call_id),
        }
        inner = self.blocks(result.parts)
        if len(inner) == 1 and set(inner[0]) == {"type", "text"}:
            block["content"] = inner[0]["text"]
        elif inner:
            block["content"] = inner
        if result.is_error:
            block["is_error"] = True
        return block

    def _thinking(self, part: Thinking) -> JsonObject | None:
        """Only what this maker signed goes back: anything else is "Invalid signature" there."""
        if part.maker != "messages" or not self._same_maker:
            self._losses.add("reasoning" if part.maker == "responses" else "reasoning_content")
            return None
        if part.redacted:
            return {"type": "redacted_thinking", "data": part.redacted}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}

    def _image(self, image: Image) -> JsonObject:
        if image.detail:
            self._losses.add("image.detail")
        if image.data:
            source: JsonObject = {"type": "base64", "media_type": image.media_type, "data": image.data}
        elif image.url:
            source = {"type": "url", "url": image.url}
        else:
            self._losses.add("image.file_id")
            return {"type": "text", "text": "[An uploaded image that cannot be shown here]"}
        return {"type": "image", "source": source}

    def _file(self, file: File) -> JsonObject:
        if file.data and file.media_type == "application/pdf":
            source: JsonObject = {"type": "base64", "media_type": file.media_type, "data": file.data}
        elif file.url:
            source = {"type": "url", "url": file.url}
        else:
            self._losses.add("file.media_type" if file.data else "file.file_id")
            return {"type": "text", "text": f"[A file that cannot be shown here: {file.name or 'unnamed'}]"}
        return {"type": "document", "source": source, **({"title": file.name} if file.name else {})}

    def _audio(self, audio: Audio) -> JsonObject:
        self._losses.add("input_audio")
        return {"type": "text", "text": f"[A {audio.format} recording that this model cannot hear]"}
