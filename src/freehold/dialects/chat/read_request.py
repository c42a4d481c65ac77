"""A chat completions request as a `Conversation`.

Source of the shapes: openai-python `types/chat`, and what local servers add (`reasoning_content`,
`reasoning`, `top_k`, `cache_control` on parts).
"""

from __future__ import annotations

from freehold.dialects.chat.read_tools import read_calls, read_choice, read_tools
from freehold.dialects.conversation import (
    Audio,
    Conversation,
    File,
    Image,
    JsonObject,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolResult,
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
from freehold.dialects.media import file_from_data, image_from_url
from freehold.dialects.settings import take_settings

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
    "function": "user",
}


def read_chat(found: JsonObject, losses: Losses) -> Conversation:
    """The request's meaning; raises `TranslationError` (400) where it has none."""
    fields = Fields(found)
    _one_choice(fields)
    options = fields.object("stream_options") or {}
    effort = fields.take("reasoning_effort")
    named = effort_from(effort)
    if effort is not None and named is None:
        losses.add("reasoning_effort")
    model = fields.text("model")
    messages = as_list(fields.take("messages"), "messages")
    conversation = Conversation(
        model=model,
        turns=tuple(_turn(message, at, losses) for at, message in enumerate(messages)),
        tools=read_tools(fields, losses),
        tool_choice=read_choice(fields, losses),
        parallel_tools=fields.flag("parallel_tool_calls"),
        output=_output(fields.object("response_format")),
        reasoning=Reasoning(effort=named) if named else None,
        sampling=_sampling(fields),
        user=fields.text("user"),
        service_tier=fields.text("service_tier"),
        settings=take_settings(fields),
        stream=fields.flag("stream") or False,
        include_usage=options.get("include_usage") is True,
    )
    if fields.take("modalities") not in (None, ["text"]):
        losses.add("modalities")
    for name in fields.unknown():
        losses.add(name)
    return conversation


def _one_choice(fields: Fields) -> None:
    wanted = fields.whole("n")
    if wanted not in (None, 1):
        raise refused(
            f"n={wanted}: this model is reached through an API that gives one answer per call. "
            "Send n=1, and call again for more.",
            "n",
        )


def _sampling(fields: Fields) -> Sampling:
    limit = fields.whole("max_completion_tokens")
    older = fields.whole("max_tokens")
    stop = fields.take("stop")
    words = [stop] if isinstance(stop, str) else as_list(stop if stop is not None else [], "stop")
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        seed=fields.whole("seed"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        max_tokens=limit if limit is not None else older,
        stop=tuple(as_text(word, "stop") for word in words),
        logprobs=fields.flag("logprobs") or False,
        top_logprobs=fields.whole("top_logprobs"),
    )


def _output(found: JsonObject | None) -> OutputFormat | None:
    kind = found.get("type") if found else None
    if found is None or kind in (None, "text"):
        return None
    if kind == "json_object":
        return OutputFormat()
    if kind != "json_schema":
        raise refused(
            f"response_format.type is {kind!r}. Use text, json_object or json_schema.", "response_format.type"
        )
    inner = as_object(found.get("json_schema"), "response_format.json_schema")
    strict = inner.get("strict")
    return OutputFormat(
        schema=maybe_object(inner.get("schema")) or {"type": "object"},
        name=maybe_text(inner.get("name")),
        description=maybe_text(inner.get("description")),
        strict=strict if isinstance(strict, bool) else None,
    )


def _turn(value: object, at: int, losses: Losses) -> Turn:
    where = f"messages[{at}]"
    message = as_object(value, where)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise refused(
            f"{where}.role is {role!r}. Use system, developer, user, assistant or tool.", f"{where}.role"
        )
    if message.get("name") is not None and role != "function":
        losses.add("messages.name")
    parts = _parts(message.get("content"), f"{where}.content", losses)
    if role in ("tool", "function"):
        return Turn("user", (_result(message, parts, role, where),))
    if role == "assistant":
        return Turn(
            "assistant", (*_thinking(message), *parts, *_spoken(message), *read_calls(message, where))
        )
    return Turn(_ROLES[role], parts)


def _result(message: JsonObject, parts: tuple[Part, ...], role: str, where: str) -> ToolResult:
    key = "name" if role == "function" else "tool_call_id"
    return ToolResult(
        call_id=as_text(message.get(key), f"{where}.{key}"),
        parts=tuple(part for part in parts if isinstance(part, Text | Image | File)),
        cache=maybe_object(message.get("cache_control")),
    )


def _thinking(message: JsonObject) -> tuple[Thinking, ...]:
    """Reasoning that a chat server gave: DeepSeek and llama.cpp say `reasoning_content`, vLLM and
    OpenRouter `reasoning`."""
    text = maybe_text(message.get("reasoning_content")) or maybe_text(message.get("reasoning"))
    return (Thinking(maker="chat", text=text),) if text else ()


def _spoken(message: JsonObject) -> tuple[Refusal, ...]:
    refusal = maybe_text(message.get("refusal"))
    return (Refusal(refusal),) if refusal else ()


def _parts(content: object, where: str, losses: Losses) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    read = (_part(as_object(part, where), where, losses) for part in as_list(content, where))
    return tuple(part for part in read if part is not None)


def _part(part: JsonObject, where: str, losses: Losses) -> Part | None:
    if "prompt_cache_breakpoint" in part:
        losses.add("prompt_cache_breakpoint")
    cache = maybe_object(part.get("cache_control"))
    kind = part.get("type")
    if kind == "text":
        return Text(as_text(part.get("text"), f"{where}.text"), cache)
    if kind == "image_url":
        image = part.get("image_url")
        inner = {"url": image} if isinstance(image, str) else as_object(image, f"{where}.image_url")
        url = as_text(inner.get("url"), f"{where}.image_url.url")
        return image_from_url(url, maybe_text(inner.get("detail")), cache)
    if kind == "file":
        return _file(as_object(part.get("file"), f"{where}.file"), cache)
    if kind == "input_audio":
        sound = as_object(part.get("input_audio"), f"{where}.input_audio")
        return Audio(data=maybe_text(sound.get("data")), format=maybe_text(sound.get("format")))
    if kind == "refusal":
        return Refusal(as_text(part.get("refusal"), f"{where}.refusal"))
    losses.add(f"content.{kind}")
    return None


def _file(found: JsonObject, cache: JsonObject | None) -> File:
    name = maybe_text(found.get("filename"))
    data = maybe_text(found.get("file_data"))
    if data:
        return file_from_data(data, name, cache)
    return File(file_id=maybe_text(found.get("file_id")), name=name, cache=cache)
