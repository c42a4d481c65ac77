"""Which tools an upstream is offered, and how it must choose."""

from __future__ import annotations

import msgspec

from freehold.dialects.conversation import Conversation, Tool, ToolChoice
from freehold.dialects.fields import Losses


class Offer(msgspec.Struct, frozen=True):
    """`choice` is None where the upstream's default (auto) is meant."""

    tools: tuple[Tool, ...]
    choice: ToolChoice | None


def offered(conversation: Conversation, losses: Losses) -> Offer:
    """Tools without doubles (the last of a name wins), cut to `allowed`; the choice that still makes
    sense with them. A choice that names a tool which was dropped becomes auto."""
    tools = tuple({(tool.namespace, tool.name): tool for tool in conversation.tools}.values())
    choice = conversation.tool_choice
    if choice is not None and choice.allowed:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed)
        choice = ToolChoice(mode=choice.mode)
    if choice is None or not tools:
        if choice is not None and choice.mode in ("required", "tool"):
            losses.add("tool_choice")
        return Offer(tools, None)
    if choice.mode == "tool" and not any(tool.name == choice.name for tool in tools):
        losses.add("tool_choice")
        return Offer(tools, None)
    return Offer(tools, choice)


def chosen(choice: ToolChoice, tools: tuple[Tool, ...]) -> Tool | None:
    """The tool that `choice` names; a namespace decides between tools of one name when given."""
    named = [tool for tool in tools if tool.name == choice.name]
    exact = [tool for tool in named if tool.namespace == choice.namespace]
    return (exact or named or [None])[0]
