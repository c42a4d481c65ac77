"""Tools and tool choice of a Responses request."""

from __future__ import annotations

from freehold.dialects.conversation import JsonObject, Tool, ToolChoice
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


def read_tools(values: list[object], losses: Losses, where: str = "tools") -> tuple[Tool, ...]:
    """Functions, free-form tools and namespaces of both; tools that OpenAI's servers run are dropped
    and named `tool.TYPE`."""
    tools: list[Tool] = []
    for at, value in enumerate(values):
        tool = as_object(value, f"{where}[{at}]")
        kind = tool.get("type")
        if kind == "namespace":
            losses.add("tool.namespace")
            namespace = as_text(tool.get("name"), f"{where}[{at}].name")
            for number, inner in enumerate(as_list(tool.get("tools"), f"{where}[{at}].tools")):
                here = f"{where}[{at}].tools[{number}]"
                tools.extend(_tool(as_object(inner, here), here, namespace, losses))
        else:
            tools.extend(_tool(tool, f"{where}[{at}]", "", losses))
    return tuple(tools)


def _tool(tool: JsonObject, where: str, namespace: str, losses: Losses) -> tuple[Tool, ...]:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        losses.add(f"tool.{kind}")
        return ()
    strict = tool.get("strict")
    read = Tool(
        name=as_text(tool.get("name"), f"{where}.name"),
        namespace=namespace,
        description=maybe_text(tool.get("description")),
        parameters=maybe_object(tool.get("parameters")),
        strict=strict if isinstance(strict, bool) else None,
        custom=kind == "custom",
        format=maybe_object(tool.get("format")),
    )
    return (read,)


def read_choice(fields: Fields, losses: Losses) -> ToolChoice | None:
    value = fields.take("tool_choice")
    if value is None:
        return None
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    choice = as_object(value, "tool_choice")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        name = as_text(choice.get("name"), "tool_choice.name")
        return ToolChoice(mode="tool", name=name, namespace=maybe_text(choice.get("namespace")))
    if kind == "allowed_tools":
        named = (maybe_object(tool) or {} for tool in maybe_list(choice.get("tools")))
        mode = "required" if choice.get("mode") == "required" else "auto"
        return ToolChoice(mode=mode, allowed=tuple(maybe_text(tool.get("name")) for tool in named))
    if isinstance(kind, str):
        losses.add("tool_choice")  # a tool that OpenAI's servers run
        return None
    raise refused(
        "tool_choice must be auto, none, required, or an object with a type such as function.", "tool_choice"
    )
