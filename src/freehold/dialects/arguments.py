"""Tool-call arguments: JSON text that a model wrote, which is not always JSON.

A truncated call that stays in a client's history must not make every later turn fail, so whatever
is not a JSON object travels as one: `{"_raw": text}`. Free-form (custom) tools travel as functions
with one string, `{"input": text}`.
"""

from __future__ import annotations

import msgspec

from freehold.dialects.conversation import JsonObject, Tool, ToolCall
from freehold.dialects.fields import Losses, maybe_object, maybe_text

_BROKEN = "tool_call.arguments"

_shallow = msgspec.json.Decoder(dict[str, msgspec.Raw])
_deep = msgspec.json.Decoder(dict[str, object])


def argument_text(call: ToolCall, losses: Losses | None = None) -> str:
    """`call.arguments` as JSON text of an object, unchanged where it already is one."""
    if call.custom:
        return dump({"input": call.arguments})
    text = call.arguments
    if not text.strip():
        return "{}"
    try:
        _shallow.decode(text)
        return text
    except (msgspec.DecodeError, RecursionError):
        return dump(_raw(text, losses))


def argument_object(call: ToolCall, losses: Losses | None = None) -> JsonObject:
    """`call.arguments` as an object."""
    if call.custom:
        return {"input": call.arguments}
    text = call.arguments
    if not text.strip():
        return {}
    try:
        return _deep.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _raw(text, losses)


def wire_arguments(value: object) -> str:
    """Arguments as text from a history where some clients put the object itself."""
    return value if isinstance(value, str) else "" if value is None else dump(value)


def custom_input(arguments: str) -> str:
    """The free text that a bridged custom tool was called with; the whole text where a model did
    not keep to `{"input": text}`."""
    try:
        found = _deep.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    value = found.get("input")
    if isinstance(value, str):
        return value
    return maybe_text(found.get("_raw")) or arguments


def dump(value: object) -> str:
    """Compact JSON text."""
    return msgspec.json.encode(value).decode()


def bridged(tool: Tool, losses: Losses) -> Tool:
    """A custom tool as a function that takes its free text as `input`; others unchanged."""
    if not tool.custom:
        return tool
    losses.add("tool.custom")
    return Tool(
        name=tool.name,
        namespace=tool.namespace,
        description=_with_format(tool),
        parameters={
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The tool's whole input, as text."}},
            "required": ["input"],
            "additionalProperties": False,
        },
        cache=tool.cache,
    )


def _with_format(tool: Tool) -> str:
    """The description, and the grammar that the input must follow: the upstream cannot enforce it."""
    form = tool.format or {}
    grammar = maybe_object(form.get("grammar")) or form
    definition = maybe_text(grammar.get("definition"))
    if not definition:
        return tool.description
    syntax = maybe_text(grammar.get("syntax")) or "grammar"
    return f"{tool.description}\n\nThe input must follow this {syntax} grammar:\n{definition}".strip()


def _raw(text: str, losses: Losses | None) -> JsonObject:
    if losses is not None:
        losses.add(_BROKEN)
    return {"_raw": text}
