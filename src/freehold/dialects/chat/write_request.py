"""A `Conversation` as a chat completions request for an upstream.

Local servers and small providers take the grammar of 2023: one system message at the head, text as
plain strings, `max_tokens`. What only OpenAI's own service knows is sent to it alone, because others
refuse unknown fields or ignore them.
"""

from __future__ import annotations

from freehold.dialects.arguments import argument_text, bridged
from freehold.dialects.chat.write_parts import assistant_text, user_content
from freehold.dialects.conversation import (
    Conversation,
    Image,
    JsonObject,
    OutputFormat,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from freehold.dialects.efforts import effort_of, sent_temperature, takes_effort
from freehold.dialects.facts import RequestFacts
from freehold.dialects.fields import Losses
from freehold.dialects.schemas import is_strict
from freehold.dialects.settings import lose_caches, lose_sampling, lose_settings
from freehold.dialects.toolchoice import chosen, offered
from freehold.dialects.toolnames import ToolNames
from freehold.dialects.turns import arranged, joined

_OPENAI_EFFORTS = ("minimal", "xhigh", "max")
"""Efforts that only OpenAI's own chat API is known to take."""


def write_chat(
    conversation: Conversation, facts: RequestFacts, names: ToolNames, losses: Losses
) -> JsonObject:
    """The request's body."""
    openai = facts.provider == "openai"
    anywhere = openai if facts.system_anywhere is None else facts.system_anywhere
    system, turns = arranged(conversation.turns, "anywhere" if anywhere else "head", losses)
    lose_caches(conversation, losses)
    messages: list[JsonObject] = []
    if system:
        messages.append({"role": "system", "content": joined(system, "\n\n")})
    for turn in turns:
        messages.extend(_messages(turn, facts, names, losses))
    body: JsonObject = {"model": facts.model, "messages": messages}
    body.update(_tools(conversation, names, losses))
    body.update(_sampling(conversation, facts, losses))
    if conversation.output is not None:
        body["response_format"] = response_format(conversation.output)
    body.update(_reasoning(conversation, facts, losses))
    body.update(_settings(conversation, openai, losses))
    if conversation.stream:
        body["stream"] = True
        if facts.ask_usage:
            body["stream_options"] = {"include_usage": True}
    return body


def _messages(turn: Turn, facts: RequestFacts, names: ToolNames, losses: Losses) -> list[JsonObject]:
    if turn.role == "system":
        return [{"role": "system", "content": joined(turn.parts, "\n\n")}]
    if turn.role == "assistant":
        return [_assistant(turn.parts, facts, names, losses)]
    results = [part for part in turn.parts if isinstance(part, ToolResult)]
    messages = [_result(result, losses) for result in results]
    shown: list[Part] = [part for result in results for part in _shown(result, losses)]
    shown.extend(part for part in turn.parts if not isinstance(part, ToolResult))
    if shown:
        messages.append({"role": "user", "content": user_content(shown, losses)})
    return messages


def _result(result: ToolResult, losses: Losses) -> JsonObject:
    """Chat has no error flag: a result that does not say so itself is given the word."""
    text = joined(result.parts, "\n")
    if result.is_error:
        losses.add("tool_result.is_error")
        if "error" not in text[:200].lower():
            text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _shown(result: ToolResult, losses: Losses) -> list[Part]:
    """Images and files of a result: tool messages take text only, so the user shows them."""
    media = [part for part in result.parts if not isinstance(part, Text)]
    if not media:
        return []
    losses.add("tool_result.image" if isinstance(media[0], Image) else "tool_result.document")
    return [Text(f"[Attachment of the tool result {result.call_id}]"), *media]


def _assistant(parts: tuple[Part, ...], facts: RequestFacts, names: ToolNames, losses: Losses) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": assistant_text(parts)}
    calls = [_call(part, names, losses) for part in parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = calls
    elif message["content"] is None:
        message["content"] = ""
    reasoning = "".join(_own_reasoning(parts, facts, losses))
    if reasoning:
        message["reasoning_content"] = reasoning
    return message


def _own_reasoning(parts: tuple[Part, ...], facts: RequestFacts, losses: Losses) -> list[str]:
    """Reasoning that a chat server made goes back to one (DeepSeek answers 400 without it in a tool
    loop; templates drop what they do not want). OpenAI's own service has no field for it."""
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, Thinking):
            continue
        if part.maker == "chat" and facts.provider != "openai":
            texts.append(part.text)
        else:
            losses.add("reasoning" if part.maker == "responses" else "thinking")
    return texts


def _call(call: ToolCall, names: ToolNames, losses: Losses) -> JsonObject:
    name = names.give(call.name, call.namespace, custom=call.custom)
    function = {"name": name, "arguments": argument_text(call, losses)}
    return {"id": call.id, "type": "function", "function": function}


def _tools(conversation: Conversation, names: ToolNames, losses: Losses) -> JsonObject:
    offer = offered(conversation, losses)
    if not offer.tools:
        return {}
    found: JsonObject = {"tools": [_tool(tool, names, losses) for tool in offer.tools]}
    choice = offer.choice
    if choice is not None and choice.mode == "tool":
        tool = chosen(choice, offer.tools)
        name = names.give(tool.name, tool.namespace) if tool else choice.name
        found["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif choice is not None:
        found["tool_choice"] = choice.mode
    if conversation.parallel_tools is not None:
        found["parallel_tool_calls"] = conversation.parallel_tools
    return found


def _tool(tool: Tool, names: ToolNames, losses: Losses) -> JsonObject:
    plain = bridged(tool, losses)
    function: JsonObject = {"name": names.give(tool.name, tool.namespace, custom=tool.custom)}
    if plain.description:
        function["description"] = plain.description
    function["parameters"] = plain.parameters or {"type": "object", "properties": {}}
    if plain.strict and is_strict(plain.parameters):
        function["strict"] = True
    elif plain.strict:
        losses.add("tools.strict")
    return {"type": "function", "function": function}


def response_format(output: OutputFormat) -> JsonObject:
    """`response_format`: strict only where OpenAI would accept the schema as strict."""
    if output.schema is None:
        return {"type": "json_object"}
    inner: JsonObject = {"name": output.name or "answer", "schema": output.schema}
    if output.description:
        inner["description"] = output.description
    if output.strict is not None:
        inner["strict"] = output.strict and is_strict(output.schema)
    return {"type": "json_schema", "json_schema": inner}


def _sampling(conversation: Conversation, facts: RequestFacts, losses: Losses) -> JsonObject:
    sampling = conversation.sampling
    limit = "max_completion_tokens" if facts.provider == "openai" else "max_tokens"
    lose_sampling(conversation, losses, "top_k")
    found: JsonObject = {
        "temperature": sent_temperature(conversation, facts),
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        limit: sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "logprobs": sampling.logprobs or None,
        "top_logprobs": sampling.top_logprobs if sampling.logprobs else None,
        "user": conversation.user or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _reasoning(conversation: Conversation, facts: RequestFacts, losses: Losses) -> JsonObject:
    """An effort is sent where the client asked for it, or the model is known to take one: many
    models answer 400 to it, and Claude Code sends one with every call."""
    wish = conversation.reasoning
    if wish is None:
        return {}
    knows = takes_effort(facts.model) if facts.takes_effort is None else facts.takes_effort
    effort = wish.effort
    if effort is None and wish.budget_tokens:
        effort = effort_of(wish.budget_tokens)
        losses.add("thinking.budget_tokens")
    if not (knows or (wish.asked and facts.takes_effort is None)):
        losses.add("reasoning_effort" if wish.asked else "thinking")
        return {}
    if effort is None:
        return {}
    if facts.provider != "openai" and effort in _OPENAI_EFFORTS:
        losses.add("reasoning_effort")
        effort = "low" if effort == "minimal" else "high"
    return {"reasoning_effort": effort}


def _settings(conversation: Conversation, openai: bool, losses: Losses) -> JsonObject:
    tier = conversation.service_tier
    if openai:
        found = dict(conversation.settings)
        return {**found, "service_tier": tier} if tier else found
    lose_settings(conversation, losses)
    if tier not in ("", "auto"):
        losses.add("service_tier")
    return {}
