"""Input items of a Responses request, and output items of an answer, as turns."""

from __future__ import annotations

from freehold.dialects.arguments import dump, wire_arguments
from freehold.dialects.conversation import (
    Audio,
    File,
    Image,
    JsonObject,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from freehold.dialects.fields import (
    Losses,
    as_list,
    as_object,
    as_text,
    maybe_list,
    maybe_object,
    maybe_text,
    refused,
)
from freehold.dialects.media import file_from_data, image_from_url
from freehold.dialects.responses.read_tools import read_tools
from freehold.dialects.seals import unsealed

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_CALLS = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}
"""Calls of OpenAI's built-in client tools: their name as a function, and where their input stands."""


class ItemReader:
    """Reads items in order into `turns` (one per item; `turns.arranged` joins them) and `tools`."""

    def __init__(self, losses: Losses) -> None:
        self.turns: list[Turn] = []
        self.tools: list[Tool] = []
        self._losses = losses

    def read(self, item: JsonObject, where: str) -> None:
        kind = item.get("type")
        if kind == "message" or (kind is None and "role" in item):
            self._message(item, where)
        elif kind == "function_call":
            self._call(item, where, wire_arguments(item.get("arguments")), custom=False)
        elif kind == "custom_tool_call":
            self._call(item, where, maybe_text(item.get("input")), custom=True)
        elif isinstance(kind, str) and kind in _CALLS:
            name, key = _CALLS[kind]
            call = {**item, "name": name}
            self._call(call, where, dump(item.get(key) or {}), custom=False)
        elif isinstance(kind, str) and kind.endswith("_call_output"):
            self._result(item, where)
        elif kind == "reasoning":
            self.turns.append(Turn("assistant", (_reasoning(item),)))
        elif kind == "additional_tools":
            self.tools.extend(read_tools(maybe_list(item.get("tools")), self._losses, f"{where}.tools"))
        elif kind == "item_reference" or (kind is None and set(item) == {"id"}):
            raise refused(
                f"{where} refers to a stored item, but Freehold keeps no response history for translated "
                "models. Send the item itself (store: false).",
                where,
            )
        else:
            self._losses.add(f"input.{kind}")

    def _message(self, item: JsonObject, where: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise refused(
                f"{where}.role is {role!r}. Use user, assistant, system or developer.", f"{where}.role"
            )
        content = item.get("content")
        self.turns.append(Turn(_ROLES[role], read_content(content, f"{where}.content", self._losses)))

    def _call(self, item: JsonObject, where: str, arguments: str, *, custom: bool) -> None:
        call = ToolCall(
            id=as_text(item.get("call_id") or item.get("id"), f"{where}.call_id"),
            name=as_text(item.get("name"), f"{where}.name"),
            namespace=maybe_text(item.get("namespace")),
            arguments=arguments,
            custom=custom,
        )
        self.turns.append(Turn("assistant", (call,)))

    def _result(self, item: JsonObject, where: str) -> None:
        content = maybe_list(item.get("output")) if item.get("type") != "shell_call_output" else []
        if content:
            parts = read_content(content, f"{where}.output", self._losses)
        else:
            parts = (Text(wire_arguments(item.get("output"))),)
        result = ToolResult(
            call_id=as_text(item.get("call_id") or item.get("id"), f"{where}.call_id"),
            parts=tuple(part for part in parts if isinstance(part, Text | Image | File)),
        )
        self.turns.append(Turn("user", (result,)))


def _reasoning(item: JsonObject) -> Thinking:
    """Sealed reasoning is its maker's; encrypted is OpenAI's; plain text came from a chat server."""
    text = _joined(item.get("summary")) or _joined(item.get("content"))
    kept = maybe_text(item.get("encrypted_content"))
    if not kept:
        return Thinking(maker="chat", text=text)
    own = Thinking(maker="responses", text=text, signature=kept, id=maybe_text(item.get("id")))
    return unsealed(kept, text) or own


def _joined(parts: object) -> str:
    found = (maybe_object(part) or {} for part in maybe_list(parts))
    return "\n\n".join(maybe_text(part.get("text")) for part in found)


def read_content(content: object, where: str, losses: Losses) -> tuple[Part, ...]:
    """Content of a message or of a tool's output."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    read = (_part(as_object(part, where), where, losses) for part in as_list(content, where))
    return tuple(part for part in read if part is not None)


def _part(part: JsonObject, where: str, losses: Losses) -> Part | None:
    if "prompt_cache_breakpoint" in part:
        losses.add("prompt_cache_breakpoint")
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return Text(as_text(part.get("text"), f"{where}.text"))
        case "refusal":
            return Refusal(as_text(part.get("refusal"), f"{where}.refusal"))
        case "input_image" | "computer_screenshot":
            url, detail = maybe_text(part.get("image_url")), maybe_text(part.get("detail"))
            if url:
                return image_from_url(url, detail)
            return Image(file_id=maybe_text(part.get("file_id")), detail=detail)
        case "input_file":
            name, data = maybe_text(part.get("filename")), maybe_text(part.get("file_data"))
            if data:
                return file_from_data(data, name)
            url = maybe_text(part.get("file_url"))
            return File(url=url, file_id="" if url else maybe_text(part.get("file_id")), name=name)
        case "input_audio":
            sound = maybe_object(part.get("input_audio")) or part
            return Audio(data=maybe_text(sound.get("data")), format=maybe_text(sound.get("format")))
        case kind:
            losses.add(f"content.{kind}")
            return None
