"""A `Conversation` as an OpenAI responses request for an upstream.

Nothing is stored there unless the client said so: Responses stores by default, other dialects do not.
"""

from __future__ import annotations

from freehold.dialects.conversation import Conversation, JsonObject, OutputFormat, Tool
from freehold.dialects.efforts import effort_of, sent_temperature, takes_effort
from freehold.dialects.facts import RequestFacts
from freehold.dialects.fields import Losses
from freehold.dialects.responses.write_items import ItemWriter
from freehold.dialects.schemas import is_strict
from freehold.dialects.settings import lose_caches, lose_sampling, lose_settings
from freehold.dialects.toolchoice import chosen, offered
from freehold.dialects.toolnames import ToolNames
from freehold.dialects.turns import arranged, joined

_LEAST_TOKENS = 16
"""`max_output_tokens` below this is a 400 at OpenAI."""


def write_responses(
    conversation: Conversation, facts: RequestFacts, names: ToolNames, losses: Losses
) -> JsonObject:
    """The request's body."""
    system, turns = arranged(conversation.turns, "anywhere", losses)
    lose_caches(conversation, losses)
    writer = ItemWriter(names, facts.same_maker, losses)
    body: JsonObject = {"model": facts.model}
    if system:
        body["instructions"] = joined(system, "\n\n")
    body["input"] = [item for turn in turns for item in writer.items(turn)]
    body.update(_tools(conversation, names, losses))
    body.update(_sampling(conversation, facts, losses))
    body.update(_reasoning_and_includes(conversation, facts, losses))
    text = _text(conversation, facts)
    if text:
        body["text"] = text
    body.update(_settings(conversation, facts.provider == "openai", losses))
    if conversation.stream:
        body["stream"] = True
    return body


def _tools(conversation: Conversation, names: ToolNames, losses: Losses) -> JsonObject:
    offer = offered(conversation, losses)
    if not offer.tools:
        return {}
    found: JsonObject = {"tools": [_tool(tool, names, losses) for tool in offer.tools]}
    choice = offer.choice
    if choice is not None and choice.mode == "tool":
        tool = chosen(choice, offer.tools)
        kind = "custom" if tool and tool.custom else "function"
        found["tool_choice"] = {"type": kind, "name": names.give(choice.name)}
    elif choice is not None:
        found["tool_choice"] = choice.mode
    if conversation.parallel_tools is not None:
        found["parallel_tool_calls"] = conversation.parallel_tools
    return found


def _tool(tool: Tool, names: ToolNames, losses: Losses) -> JsonObject:
    """Strictness is always said: left out, Responses means true, and other dialects mean false."""
    name = names.give(tool.name, custom=tool.custom)
    found: JsonObject = {"type": "custom" if tool.custom else "function", "name": name}
    if tool.description:
        found["description"] = tool.description
    if tool.custom:
        return {**found, "format": tool.format} if tool.format else found
    found["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    found["strict"] = bool(tool.strict) and is_strict(tool.parameters)
    if tool.strict and not found["strict"]:
        losses.add("tools.strict")
    return found


def _sampling(conversation: Conversation, facts: RequestFacts, losses: Losses) -> JsonObject:
    sampling = conversation.sampling
    lose_sampling(conversation, losses, "top_k", "seed", "frequency_penalty", "presence_penalty", "stop")
    limit = sampling.max_tokens
    if limit is not None and limit < _LEAST_TOKENS:
        losses.add("max_tokens")
        limit = _LEAST_TOKENS
    found: JsonObject = {
        "max_output_tokens": limit,
        "temperature": sent_temperature(conversation, facts),
        "top_p": sampling.top_p,
        "top_logprobs": (sampling.top_logprobs or None) if sampling.logprobs else None,
        "user": conversation.user or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _reasoning_and_includes(conversation: Conversation, facts: RequestFacts, losses: Losses) -> JsonObject:
    """Reasoning models are asked for their encrypted reasoning, which the client keeps for the next
    turn, because nothing is stored there."""
    knows = takes_effort(facts.model) if facts.takes_effort is None else facts.takes_effort
    include = ["message.output_text.logprobs"] if conversation.sampling.logprobs else []
    if knows:
        include.append("reasoning.encrypted_content")
    found: JsonObject = {"include": include} if include else {}
    wish = conversation.reasoning
    if wish is None:
        return found
    if not (knows or (wish.asked and facts.takes_effort is None)):
        losses.add("reasoning_effort" if wish.asked else "thinking")
        return found
    effort = wish.effort
    if effort is None and wish.budget_tokens:
        effort = effort_of(wish.budget_tokens)
        losses.add("thinking.budget_tokens")
    return {**found, "reasoning": {"effort": effort}} if effort else found


def _text(conversation: Conversation, facts: RequestFacts) -> JsonObject:
    found: JsonObject = {}
    if conversation.output is not None:
        found["format"] = text_format(conversation.output)
    if facts.provider == "openai" and "verbosity" in conversation.settings:
        found["verbosity"] = conversation.settings["verbosity"]
    return found


def text_format(output: OutputFormat) -> JsonObject:
    """`text.format`: strict only where OpenAI would accept the schema as strict."""
    if output.schema is None:
        return {"type": "json_object"}
    found: JsonObject = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema}
    if output.description:
        found["description"] = output.description
    found["strict"] = bool(output.strict) and is_strict(output.schema)
    return found


def _settings(conversation: Conversation, openai: bool, losses: Losses) -> JsonObject:
    found: JsonObject = {"store": conversation.settings.get("store") is True}
    tier = conversation.service_tier
    if not openai:
        lose_settings(conversation, losses, kept=("store",))
        if tier not in ("", "auto"):
            losses.add("service_tier")
        return found
    found.update({k: v for k, v in conversation.settings.items() if k not in ("store", "verbosity")})
    if tier:
        found["service_tier"] = tier
    return found
