"""Input items of a Responses request for an upstream."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.dialects.arguments import argument_text
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
    Turn,
)
from freehold.dialects.fields import Losses
from freehold.dialects.media import data_url, image_url
from freehold.dialects.toolnames import ToolNames


class ItemWriter:
    """Writes one request's turns in order; remembers which calls were free-form, because their
    outputs have another type."""

    def __init__(self, names: ToolNames, same_maker: bool, losses: Losses) -> None:
        self._names = names
        self._same_maker = same_maker
        self._losses = losses
        self._custom: set[str] = set()

    def items(self, turn: Turn) -> list[JsonObject]:
        if turn.role == "assistant":
            return self._assistant(turn.parts)
        results = [self._result(part) for part in turn.parts if isinstance(part, ToolResult)]
        said = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if said:
            role = "user" if turn.role == "user" else "developer"
            results.append({"type": "message", "role": role, "content": self._content(said)})
        return results

    def _assistant(self, parts: Sequence[Part]) -> list[JsonObject]:
        """Text before a call and after it stand in messages of their own, in order. Their content is
        plain text: content parts are for messages that OpenAI itself made, with its ids."""
        items: list[JsonObject] = []
        said: list[str] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                said.append(part.text)
                continue
            item = self._call(part) if isinstance(part, ToolCall) else self._reasoning(part)
            if item is not None:
                items.extend(_spoken(said))
                said = []
                items.append(item)
        return [*items, *_spoken(said)]

    def _call(self, call: ToolCall) -> JsonObject:
        name = self._names.give(call.name, call.namespace)
        if call.custom:
            self._custom.add(call.id)
            found: JsonObject = {"type": "custom_tool_call", "call_id": call.id, "name": name}
            return {**found, "input": call.arguments}
        self._custom.discard(call.id)
        found = {"type": "function_call", "call_id": call.id, "name": name}
        return {**found, "arguments": argument_text(call, self._losses)}

    def _result(self, result: ToolResult) -> JsonObject:
        kind = "custom_tool_call_output" if result.call_id in self._custom else "function_call_output"
        parts: list[Part] = list(result.parts)
        if result.is_error:
            self._losses.add("tool_result.is_error")
            if not any(isinstance(part, Text) and "error" in part.text[:200].lower() for part in parts):
                parts.insert(0, Text("Error:"))
        if all(isinstance(part, Text) for part in parts):
            output: object = "\n".join(part.text for part in parts if isinstance(part, Text))
        else:
            output = self._content(parts)
        return {"type": kind, "call_id": result.call_id, "output": output}

    def _reasoning(self, part: Part) -> JsonObject | None:
        """Only OpenAI's own encrypted reasoning goes back, as the item it was."""
        if not isinstance(part, Thinking):
            return None
        if part.maker != "responses" or not self._same_maker:
            self._losses.add("reasoning_content" if part.maker == "chat" else "thinking")
            return None
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        found: JsonObject = {"type": "reasoning", "id": part.id, "summary": summary}
        return {**found, "encrypted_content": part.signature}

    def _content(self, parts: Sequence[Part]) -> list[JsonObject]:
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> JsonObject:
        if isinstance(part, Text | Refusal):
            return {"type": "input_text", "text": part.text}
        if isinstance(part, Image):
            found: JsonObject = {"type": "input_image", "detail": part.detail or "auto"}
            return (
                {**found, "file_id": part.file_id}
                if part.file_id
                else {**found, "image_url": image_url(part)}
            )
        if isinstance(part, File):
            return _file(part)
        self._losses.add("input_audio")
        kind = part.format if isinstance(part, Audio) else "sound"
        return {"type": "input_text", "text": f"[A {kind} recording that this model cannot hear]"}


def _spoken(said: list[str]) -> list[JsonObject]:
    return [{"type": "message", "role": "assistant", "content": "".join(said)}] if said else []


def _file(part: File) -> JsonObject:
    found: JsonObject = {"type": "input_file"}
    if part.data:
        found["filename"] = part.name or "document"
        found["file_data"] = data_url(part.media_type, part.data)
    elif part.url:
        found["file_url"] = part.url
    else:
        found["file_id"] = part.file_id
    return found
