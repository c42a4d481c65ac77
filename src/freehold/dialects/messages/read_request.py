"""An Anthropic messages request as a `Conversation`.

Source of the shapes: anthropic-sdk-python `types/`, and Claude Code's traffic: `role: system` inside
`messages`, an attribution line at the head of `system`.
"""

from __future__ import annotations

from freehold.dialects.conversation import (
    ChoiceMode,
    Conversation,
    JsonObject,
    OutputFormat,
    Reasoning,
    Role,
    Sampling,
    Text,
    Tool,
    ToolChoice,
    Turn,
)
from freehold.dialects.efforts import effort_from
from freehold.dialects.fields import (
    Fields,
    Losses,
    as_list,
    as_object,
    as_text,
    maybe_object,
    maybe_text,
    refused,
)
from freehold.dialects.messages.attribution import without_line
from freehold.dialects.messages.read_blocks import read_blocks

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_MODES: dict[str, ChoiceMode] = {"auto": "auto", "any": "required", "none": "none"}
_TIERS = {"auto": "auto", "standard_only": "default"}


def read_messages(found: JsonObject, losses: Losses) -> Conversation:
    """The request's meaning; raises `TranslationError` (400) where it has none."""
    fields = Fields(found)
    config = fields.object("output_config") or {}
    form = maybe_object(config.get("format")) or fields.object("output_format")
    fields.take("output_format")
    choice = fields.object("tool_choice")
    system = _system(fields.take("system"), losses)
    messages = as_list(fields.take("messages"), "messages")
    turns = [_turn(message, at, losses) for at, message in enumerate(messages)]
    conversation = Conversation(
        model=fields.text("model"),
        turns=((Turn("system", system),) if system else ()) + tuple(turns),
        tools=_tools(fields, losses),
        tool_choice=_choice(choice),
        parallel_tools=_parallel(choice),
        output=_output(form),
        reasoning=_reasoning(fields.object("thinking"), config, losses),
        sampling=_sampling(fields),
        user=_user(fields.object("metadata"), losses),
        service_tier=_TIERS.get(fields.text("service_tier"), ""),
        stream=fields.flag("stream") or False,
    )
    for name in config:
        if name not in ("format", "effort") and config[name] is not None:
            losses.add(f"output_config.{name}")
    for name in fields.unknown():
        losses.add(name)
    return conversation


def _system(value: object, losses: Losses) -> tuple[Text, ...]:
    blocks = read_blocks(value, "system", losses) if value is not None else ()
    texts = (block for block in blocks if isinstance(block, Text))
    return tuple(text for block in texts if (text := _unattributed(block, losses)).text)


def _unattributed(block: Text, losses: Losses) -> Text:
    text = without_line(block.text)
    if text is block.text:
        return block
    losses.add("attribution_line")
    return Text(text, block.cache)


def _turn(value: object, at: int, losses: Losses) -> Turn:
    where = f"messages[{at}]"
    message = as_object(value, where)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise refused(f"{where}.role is {role!r}. Use user, assistant or system.", f"{where}.role")
    content = message.get("content")
    if role == "system":
        return Turn("system", _system(content, losses))
    return Turn(_ROLES[role], read_blocks(content, f"{where}.content", losses))


def _tools(fields: Fields, losses: Losses) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for at, value in enumerate(fields.list("tools")):
        where = f"tools[{at}]"
        tool = as_object(value, where)
        kind = maybe_text(tool.get("type"))
        if kind not in ("", "custom"):
            losses.add(f"tool.{_undated(kind)}")
            continue
        strict = tool.get("strict")
        if tool.get("input_examples"):
            losses.add("tools.input_examples")
        tools.append(
            Tool(
                name=as_text(tool.get("name"), f"{where}.name"),
                description=maybe_text(tool.get("description")),
                parameters=maybe_object(tool.get("input_schema")),
                strict=strict if isinstance(strict, bool) else None,
                cache=maybe_object(tool.get("cache_control")),
            )
        )
    return tuple(tools)


def _undated(kind: str) -> str:
    """`web_search_20250305` -> `web_search`: a loss code must not change with a tool's version."""
    head, _, tail = kind.rpartition("_")
    return head if head and tail.isdigit() else kind


def _choice(found: JsonObject | None) -> ToolChoice | None:
    kind = found.get("type") if found else None
    if found is None or kind is None:
        return None
    if kind == "tool":
        return ToolChoice(mode="tool", name=as_text(found.get("name"), "tool_choice.name"))
    mode = _MODES.get(kind) if isinstance(kind, str) else None
    if mode is None:
        raise refused(f"tool_choice.type is {kind!r}. Use auto, any, tool or none.", "tool_choice.type")
    return ToolChoice(mode=mode)


def _parallel(choice: JsonObject | None) -> bool | None:
    alone = choice.get("disable_parallel_tool_use") if choice else None
    return None if alone is None else not alone


def _output(found: JsonObject | None) -> OutputFormat | None:
    if found is None:
        return None
    if found.get("type") != "json_schema":
        raise refused(
            f"output_config.format.type is {found.get('type')!r}. Use json_schema.", "output_config.format"
        )
    return OutputFormat(schema=as_object(found.get("schema"), "output_config.format.schema"), strict=True)


def _reasoning(thinking: JsonObject | None, config: JsonObject, losses: Losses) -> Reasoning | None:
    """Thinking is off unless asked for, as in Messages. An effort without thinking steers only how
    much is said, which others cannot do."""
    named = effort_from(config.get("effort"))
    kind = thinking.get("type") if thinking else None
    if thinking is None or kind == "disabled":
        if config.get("effort") is not None:
            losses.add("output_config.effort")
        return None
    budget = thinking.get("budget_tokens")
    if kind == "enabled" and not isinstance(budget, int):
        raise refused("thinking.budget_tokens must be a whole number.", "thinking.budget_tokens")
    if kind not in ("enabled", "adaptive"):
        raise refused(f"thinking.type is {kind!r}. Use enabled, adaptive or disabled.", "thinking.type")
    return Reasoning(effort=named, budget_tokens=budget if isinstance(budget, int) else None, asked=False)


def _sampling(fields: Fields) -> Sampling:
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        max_tokens=fields.whole("max_tokens"),
        stop=tuple(as_text(word, "stop_sequences") for word in fields.list("stop_sequences")),
    )


def _user(metadata: JsonObject | None, losses: Losses) -> str:
    """`metadata.user_id`. OpenAI takes 64 characters; Claude Code sends more, which names nobody."""
    for name in metadata or {}:
        if name != "user_id":
            losses.add(f"metadata.{name}")
    user = maybe_text((metadata or {}).get("user_id"))
    if len(user) > 64:
        losses.add("metadata.user_id")
        return ""
    return user
