"""Content blocks of Anthropic messages, in requests and answers."""

from __future__ import annotations

from freehold.dialects.arguments import dump
from freehold.dialects.conversation import (
    File,
    Image,
    JsonObject,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from freehold.dialects.fields import (
    Losses,
    as_list,
    as_object,
    as_text,
    maybe_list,
    maybe_object,
    maybe_text,
)
from freehold.dialects.seals import unsealed


def read_blocks(content: object, where: str, losses: Losses) -> tuple[Part, ...]:
    """Blocks that every dialect has a word for; others are dropped and named `content.TYPE`."""
    if isinstance(content, str):
        return (Text(content),)
    parts: list[Part] = []
    for at, value in enumerate(as_list(content, where)):
        parts.extend(_parts(as_object(value, f"{where}[{at}]"), f"{where}[{at}]", losses))
    return tuple(parts)


def _parts(block: JsonObject, where: str, losses: Losses) -> tuple[Part, ...]:
    cache = maybe_object(block.get("cache_control"))
    match block.get("type"):
        case "text":
            if block.get("citations"):
                losses.add("citations")
            return (Text(as_text(block.get("text"), f"{where}.text"), cache),)
        case "image":
            source = as_object(block.get("source"), f"{where}.source")
            return (_image(source, cache, losses),)
        case "document":
            return _document(block, where, cache, losses)
        case "search_result":
            return (_search_result(block, where, cache),)
        case "thinking":
            return (_thinking(block),)
        case "redacted_thinking":
            return (Thinking(maker="messages", redacted=maybe_text(block.get("data"))),)
        case "tool_use":
            return (_call(block, where, cache),)
        case "tool_result":
            return (_result(block, where, cache, losses),)
        case kind:
            losses.add(f"content.{kind}")
            return ()


def _image(source: JsonObject, cache: JsonObject | None, losses: Losses) -> Image | Text:
    kind = source.get("type")
    if kind == "base64":
        data = maybe_text(source.get("data"))
        return Image(media_type=maybe_text(source.get("media_type")), data=data, cache=cache)
    if kind == "url":
        return Image(url=maybe_text(source.get("url")), cache=cache)
    losses.add("image.file_id")
    return Text("[An uploaded image that cannot be shown here]", cache)


def _document(block: JsonObject, where: str, cache: JsonObject | None, losses: Losses) -> tuple[Part, ...]:
    """A document; plain text becomes a text part under its title, which every model can read."""
    source = as_object(block.get("source"), f"{where}.source")
    name = maybe_text(block.get("title"))
    context = maybe_text(block.get("context"))
    lead: tuple[Part, ...] = (Text(context),) if context else ()
    match source.get("type"):
        case "base64":
            kind, data = maybe_text(source.get("media_type")), maybe_text(source.get("data"))
            return (*lead, File(media_type=kind or "application/pdf", data=data, name=name, cache=cache))
        case "url":
            return (*lead, File(url=maybe_text(source.get("url")), name=name, cache=cache))
        case "text":
            return (*lead, Text(_titled(name, maybe_text(source.get("data"))), cache))
        case "content":
            inner = read_blocks(source.get("content"), f"{where}.source.content", losses)
            return (*lead, *((Text(_titled(name, "")),) if name else ()), *inner)
        case _:
            losses.add("document.file_id")
            return (*lead, Text(_titled(name, "[An uploaded document that cannot be shown here]"), cache))


def _titled(name: str, text: str) -> str:
    return f"# {name}\n\n{text}" if name else text


def _search_result(block: JsonObject, where: str, cache: JsonObject | None) -> Text:
    inner = (maybe_object(item) or {} for item in maybe_list(block.get("content")))
    text = "\n".join(maybe_text(item.get("text")) for item in inner)
    title = as_text(block.get("title"), f"{where}.title")
    return Text(_titled(title, f"{maybe_text(block.get('source'))}\n{text}"), cache)


def _thinking(block: JsonObject) -> Thinking:
    """An unsigned block was made by us from a chat server's reasoning; a sealed one from a Responses
    item; the rest are Anthropic's."""
    text = maybe_text(block.get("thinking"))
    signature = maybe_text(block.get("signature"))
    if not signature:
        return Thinking(maker="chat", text=text)
    return unsealed(signature, text) or Thinking(maker="messages", text=text, signature=signature)


def _call(block: JsonObject, where: str, cache: JsonObject | None) -> ToolCall:
    return ToolCall(
        id=as_text(block.get("id"), f"{where}.id"),
        name=as_text(block.get("name"), f"{where}.name"),
        arguments=dump(block.get("input") or {}),
        cache=cache,
    )


def _result(block: JsonObject, where: str, cache: JsonObject | None, losses: Losses) -> ToolResult:
    content = block.get("content")
    parts = read_blocks(content, f"{where}.content", losses) if content is not None else ()
    return ToolResult(
        call_id=as_text(block.get("tool_use_id"), f"{where}.tool_use_id"),
        parts=tuple(part for part in parts if isinstance(part, Text | Image | File)),
        is_error=block.get("is_error") is True,
        cache=cache,
    )
