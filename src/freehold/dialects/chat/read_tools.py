"""Tools, tool choice and tool calls of a chat request."""

from __future__ import annotations

from freehold.dialects.arguments import wire_arguments
from freehold.dialects.conversation import JsonObject, Tool, ToolCall, ToolChoice
from freehold.dialects.fields import (
    Fields,
    Losses,
    as_list,
    as_object,
    as_text,
    maybe_list,
    maybe_object,
    maybe_text,
    refused,
)


def read_tools(fields: Fields, losses: Losses) -> tuple[Tool, ...]:
    """`tools`, and the `functions` that came before them."""
    tools: list[Tool] = []
    for at, value in enumerate(fields.list("tools")):
        where = f"tools[{at}]"
        tool = as_object(value, where)
        kind = tool.get("type")
        if kind == "function":
            function = as_object(tool.get("function"), f"{where}.function")
            tools.append(_function(function, where, maybe_object(tool.get("cache_control"))))
        elif kind == "custom":
            tools.append(_custom(as_object(tool.get("custom"), f"{where}.custom"), where))
        else:
            losses.add(f"tool.{kind}")
    for at, value in enumerate(fields.list("functions")):
        losses.add("functions")
        where = f"functions[{at}]"
        tools.append(_function(as_object(value, where), where, None))
    return tuple(tools)


def _function(function: JsonObject, where: str, cache: JsonObject | None) -> Tool:
    strict = function.get("strict")
    return Tool(
        name=as_text(function.get("name"), f"{where}.function.name"),
        description=maybe_text(function.get("description")),
        parameters=maybe_object(function.get("parameters")),
        strict=strict if isinstance(strict, bool) else None,
        cache=cache,
    )


def _custom(custom: JsonObject, where: str) -> Tool:
    return Tool(
        name=as_text(custom.get("name"), f"{where}.custom.name"),
        description=maybe_text(custom.get("description")),
        custom=True,
        format=_flat_format(maybe_object(custom.get("format"))),
    )


def _flat_format(found: JsonObject | None) -> JsonObject | None:
    """Chat nests a grammar's definition where Responses does not; the flat form is the neutral one."""
    grammar = maybe_object(found.get("grammar")) if found else None
    return {"type": "grammar", **grammar} if grammar else found


def read_choice(fields: Fields, losses: Losses) -> ToolChoice | None:
    value = fields.take("tool_choice")
    older = fields.take("function_call")
    if value is None and older is not None:
        losses.add("function_call")
        named = maybe_object(older)
        value = {"type": "function", "function": named} if named else older
    if value is None:
        return None
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    choice = as_object(value, "tool_choice")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        inner = as_object(choice.get(kind), f"tool_choice.{kind}")
        return ToolChoice(mode="tool", name=as_text(inner.get("name"), f"tool_choice.{kind}.name"))
    if kind == "allowed_tools":
        return _allowed(as_object(choice.get("allowed_tools"), "tool_choice.allowed_tools"))
    raise refused(
        f"tool_choice.type is {kind!r}. Use auto, none, required, or an object of type function, custom "
        "or allowed_tools.",
        "tool_choice",
    )


def _allowed(found: JsonObject) -> ToolChoice:
    names: list[str] = []
    for value in maybe_list(found.get("tools")):
        tool = maybe_object(value) or {}
        inner = maybe_object(tool.get("function")) or maybe_object(tool.get("custom")) or tool
        names.append(maybe_text(inner.get("name")))
    mode = "required" if found.get("mode") == "required" else "auto"
    return ToolChoice(mode=mode, allowed=tuple(names))


def read_calls(message: JsonObject, where: str) -> tuple[ToolCall, ...]:
    """`tool_calls` of an assistant message (an empty list beside text is no call), and the older
    `function_call`, whose result is found by its name."""
    calls: list[ToolCall] = []
    value = message.get("tool_calls")
    for at, item in enumerate(as_list(value, f"{where}.tool_calls") if value is not None else []):
        calls.append(_call(as_object(item, f"{where}.tool_calls[{at}]"), f"{where}.tool_calls[{at}]"))
    older = maybe_object(message.get("function_call"))
    if older:
        name = maybe_text(older.get("name"))
        calls.append(ToolCall(id=name, name=name, arguments=wire_arguments(older.get("arguments"))))
    return tuple(calls)


def _call(call: JsonObject, where: str) -> ToolCall:
    custom = maybe_object(call.get("custom"))
    inner = custom or as_object(call.get("function"), f"{where}.function")
    return ToolCall(
        id=as_text(call.get("id"), f"{where}.id"),
        name=as_text(inner.get("name"), f"{where}.function.name"),
        arguments=wire_arguments(inner.get("input" if custom else "arguments")),
        custom=custom is not None,
        cache=maybe_object(call.get("cache_control")),
    )
