"""An OpenAI responses request as a `Conversation`.

Source of the shapes: openai-python `types/responses`, and Codex's traffic: `developer` messages,
`namespace` and `custom` tools, reasoning items with `encrypted_content`.
"""

from __future__ import annotations

from freehold.dialects.conversation import (
    Conversation,
    JsonObject,
    OutputFormat,
    Reasoning,
    Sampling,
    Text,
    Tool,
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
from freehold.dialects.responses.read_items import ItemReader
from freehold.dialects.responses.read_tools import read_choice, read_tools
from freehold.dialects.settings import take_settings

_ELSEWHERE = {
    "previous_response_id": "an earlier response",
    "conversation": "a stored conversation",
    "prompt": "a stored prompt",
}
_MET = ("reasoning.encrypted_content",)
_LOGPROBS = "message.output_text.logprobs"


def read_responses(found: JsonObject, losses: Losses) -> Conversation:
    """The request's meaning; raises `TranslationError` (400) where it has none."""
    fields = Fields(found)
    _all_here(fields)
    instructions = fields.take("instructions")
    lead = (Turn("system", (Text(as_text(instructions, "instructions")),)),) if instructions else ()
    items, later_tools = _input(fields.take("input"), losses)
    includes = fields.list("include")
    shape = fields.object("text") or {}
    if shape.get("verbosity") is not None:
        found_settings: JsonObject = {"verbosity": shape["verbosity"]}
    else:
        found_settings = {}
    conversation = Conversation(
        model=fields.text("model"),
        turns=lead + items,
        tools=read_tools(fields.list("tools"), losses) + later_tools,
        tool_choice=read_choice(fields, losses),
        parallel_tools=fields.flag("parallel_tool_calls"),
        output=_output(maybe_object(shape.get("format"))),
        reasoning=_reasoning(fields.object("reasoning"), losses),
        sampling=_sampling(fields, _LOGPROBS in includes),
        user=fields.text("user"),
        service_tier=fields.text("service_tier"),
        settings={**take_settings(fields), **found_settings},
        stream=fields.flag("stream") or False,
    )
    _lose_rest(fields, includes, losses)
    return conversation


def _all_here(fields: Fields) -> None:
    """Translated models keep no state between calls: everything must stand in the request."""
    for name, what in _ELSEWHERE.items():
        if fields.take(name) is not None:
            raise refused(
                f"{name} refers to {what}, but Freehold keeps no response history for translated models. "
                "Send the whole conversation in `input` (store: false).",
                name,
            )


def _input(value: object, losses: Losses) -> tuple[tuple[Turn, ...], tuple[Tool, ...]]:
    if value is None:
        return (), ()
    if isinstance(value, str):
        return (Turn("user", (Text(value),)),), ()
    reader = ItemReader(losses)
    for at, item in enumerate(as_list(value, "input")):
        reader.read(as_object(item, f"input[{at}]"), f"input[{at}]")
    return tuple(reader.turns), tuple(reader.tools)


def _sampling(fields: Fields, logprobs: bool) -> Sampling:
    top = fields.whole("top_logprobs")
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        max_tokens=fields.whole("max_output_tokens"),
        logprobs=logprobs or bool(top),
        top_logprobs=top or None,
    )


def _reasoning(found: JsonObject | None, losses: Losses) -> Reasoning | None:
    effort = (found or {}).get("effort")
    named = effort_from(effort)
    if effort is not None and named is None:
        losses.add("reasoning_effort")
    return Reasoning(effort=named) if named else None


def _output(found: JsonObject | None) -> OutputFormat | None:
    kind = found.get("type") if found else None
    if found is None or kind in (None, "text"):
        return None
    if kind == "json_object":
        return OutputFormat()
    if kind != "json_schema":
        raise refused(f"text.format.type is {kind!r}. Use text, json_object or json_schema.", "text.format")
    strict = found.get("strict")
    return OutputFormat(
        schema=as_object(found.get("schema"), "text.format.schema"),
        name=maybe_text(found.get("name")),
        description=maybe_text(found.get("description")),
        strict=strict if isinstance(strict, bool) else None,
    )


def _lose_rest(fields: Fields, includes: list[object], losses: Losses) -> None:
    for name in includes:
        if name not in (*_MET, _LOGPROBS):
            losses.add(f"include.{name}")
    if fields.take("truncation") == "auto":
        losses.add("truncation")
    if fields.take("background") is True:
        losses.add("background")
    fields.take("stream_options")
    for name in fields.unknown():
        losses.add(name)
