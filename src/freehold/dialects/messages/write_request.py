"""A `Conversation` as an Anthropic messages request for an upstream."""

from __future__ import annotations

from freehold.dialects.arguments import bridged, dump
from freehold.dialects.conversation import Conversation, JsonObject, Text, Tool, ToolCall, Turn
from freehold.dialects.efforts import Claude, claude
from freehold.dialects.facts import RequestFacts
from freehold.dialects.fields import Losses, maybe_list, maybe_object
from freehold.dialects.messages.thinking import thinking_and_sampling
from freehold.dialects.messages.write_blocks import BlockWriter
from freehold.dialects.schemas import closed
from freehold.dialects.settings import lose_sampling, lose_settings
from freehold.dialects.toolchoice import Offer, chosen, offered
from freehold.dialects.toolnames import ToolNames
from freehold.dialects.turns import arranged

_TIERS = {"auto": "auto", "default": "standard_only"}


def write_messages(
    conversation: Conversation, facts: RequestFacts, names: ToolNames, losses: Losses
) -> JsonObject:
    """The request's body."""
    model = claude(facts.model)
    keeps = model.system_turns if facts.system_anywhere is None else facts.system_anywhere
    system, turns = arranged(conversation.turns, "after_user" if keeps else "head", losses)
    offer = offered(conversation, losses)
    writer = BlockWriter(names, facts.same_maker, losses)
    body: JsonObject = {"model": facts.model, "messages": _turns(turns, writer, losses)}
    shape = _output(conversation, model, losses)
    system = system + ((Text(shape),) if isinstance(shape, str) else ())
    if system:
        body["system"] = _system(system)
    body.update(_tools(offer, conversation, model, names, losses))
    body.update(thinking_and_sampling(conversation, offer, facts, model, losses))
    if isinstance(shape, dict):
        config = body.setdefault("output_config", {})
        assert isinstance(config, dict)
        config["format"] = shape
    body.update(_rest(conversation, losses))
    if conversation.stream:
        body["stream"] = True
    return body


def _turns(turns: list[Turn], writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    """Messages with the user first; an assistant's last words without trailing white space, which
    the API refuses."""
    if turns and turns[0].role == "assistant":
        losses.add("messages.first_role")
        turns = [Turn("user", (Text("(The conversation so far was cut.)"),)), *turns]
    messages: list[JsonObject] = []
    for turn in turns:
        blocks = writer.blocks(turn.parts)
        if blocks:
            messages.append({"role": turn.role, "content": blocks})
    if messages and messages[-1]["role"] == "assistant":
        _trim_last(messages[-1])
    return messages


def _trim_last(message: JsonObject) -> None:
    last = maybe_object(maybe_list(message["content"])[-1]) or {}
    text = last.get("text")
    if isinstance(text, str):
        last["text"] = text.rstrip()


def _system(system: tuple[Text, ...]) -> str | list[JsonObject]:
    if len(system) == 1 and not system[0].cache:
        return system[0].text
    blocks: list[JsonObject] = []
    for part in system:
        block: JsonObject = {"type": "text", "text": part.text}
        if part.cache:
            block["cache_control"] = part.cache
        blocks.append(block)
    return blocks


def _tools(
    offer: Offer, conversation: Conversation, model: Claude, names: ToolNames, losses: Losses
) -> JsonObject:
    if not offer.tools:
        return _named_in_history(conversation, names)
    found: JsonObject = {"tools": [_tool(tool, model, names, losses) for tool in offer.tools]}
    choice = _choice(offer, names)
    if conversation.parallel_tools is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice:
        found["tool_choice"] = choice
    return found


def _named_in_history(conversation: Conversation, names: ToolNames) -> JsonObject:
    """Tools for a history with calls but without tools, which some Anthropic endpoints refuse: bare
    ones, not to be called."""
    called = {
        names.give(part.name, part.namespace)
        for turn in conversation.turns
        for part in turn.parts
        if isinstance(part, ToolCall)
    }
    if not called:
        return {}
    tools: list[JsonObject] = [
        {"name": name, "description": "No longer available.", "input_schema": {"type": "object"}}
        for name in sorted(called)
    ]
    return {"tools": tools, "tool_choice": {"type": "none"}}


def _choice(offer: Offer, names: ToolNames) -> JsonObject | None:
    choice = offer.choice
    if choice is None:
        return None
    if choice.mode == "tool":
        tool = chosen(choice, offer.tools)
        return {"type": "tool", "name": names.give(tool.name, tool.namespace) if tool else choice.name}
    return {"type": "any" if choice.mode == "required" else choice.mode}


def _tool(tool: Tool, model: Claude, names: ToolNames, losses: Losses) -> JsonObject:
    plain = bridged(tool, losses)
    schema: JsonObject = {"type": "object", **(plain.parameters or {"properties": {}})}
    found: JsonObject = {"name": names.give(tool.name, tool.namespace, custom=tool.custom)}
    if plain.description:
        found["description"] = plain.description
    found["input_schema"] = schema
    if plain.strict and model.schemas and closed(schema) == schema:
        found["strict"] = True
    elif plain.strict:
        losses.add("tools.strict")
    if tool.cache:
        found["cache_control"] = tool.cache
    return found


def _output(conversation: Conversation, model: Claude, losses: Losses) -> JsonObject | str | None:
    """`output_config.format`, or, where the model has none, words for the system prompt."""
    output = conversation.output
    if output is None:
        return None
    if output.schema is not None and model.schemas:
        schema = closed(output.schema)
        if schema != output.schema:
            losses.add("response_format.schema")
        return {"type": "json_schema", "schema": schema}
    losses.add("response_format")
    wish = "Answer with one JSON object and nothing else: no words around it, no code fence."
    return wish if output.schema is None else f"{wish} It must match this JSON schema:\n{dump(output.schema)}"


def _rest(conversation: Conversation, losses: Losses) -> JsonObject:
    sampling = conversation.sampling
    lose_sampling(
        conversation, losses, "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"
    )
    lose_settings(conversation, losses, kept=("safety_identifier",))
    found: JsonObject = {}
    stops = [word for word in sampling.stop if word.strip()]
    if len(stops) < len(sampling.stop):
        losses.add("stop")
    if stops:
        found["stop_sequences"] = stops
    user = conversation.settings.get("safety_identifier") or conversation.user
    if user:
        found["metadata"] = {"user_id": user}
    tier = conversation.service_tier
    if tier in _TIERS:
        found["service_tier"] = _TIERS[tier]
    elif tier:
        losses.add("service_tier")
    return found
