"""An Ollama `/api/chat` request as a `Conversation`.

Source of the shapes: Ollama's `docs/api.md`. Tool calls have no ids there: they get them by order,
and a result belongs to the oldest call without one (of its `tool_name`, where it is said).
"""

from __future__ import annotations

from freehold.dialects.arguments import wire_arguments
from freehold.dialects.conversation import (
    Conversation,
    Image,
    JsonObject,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
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
    maybe_list,
    maybe_object,
    maybe_text,
    refused,
)
from freehold.dialects.media import image_from_url, sniffed

_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
}


def read_ollama(found: JsonObject, losses: Losses) -> Conversation:
    """The request's meaning; raises `TranslationError` (400) where it has none. Streams by default."""
    fields = Fields(found)
    options = Fields(fields.object("options") or {})
    stream = fields.flag("stream")
    reader = _TurnReader()
    for at, message in enumerate(as_list(fields.take("messages"), "messages")):
        reader.read(as_object(message, f"messages[{at}]"), f"messages[{at}]")
    conversation = Conversation(
        model=fields.text("model"),
        turns=tuple(reader.turns),
        tools=tuple(
            _tool(as_object(tool, f"tools[{at}]"), f"tools[{at}]")
            for at, tool in enumerate(fields.list("tools"))
        ),
        output=_output(fields.take("format")),
        reasoning=_reasoning(fields.take("think"), losses),
        sampling=_sampling(options),
        stream=True if stream is None else stream,
        include_usage=True,
    )
    for name in options.unknown():
        losses.add(f"options.{name}")
    for name in fields.unknown():
        losses.add(name)
    return conversation


class _TurnReader:
    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._open: list[ToolCall] = []
        self._calls = 0

    def read(self, message: JsonObject, where: str) -> None:
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise refused(f"{where}.role is {role!r}. Use system, user, assistant or tool.", f"{where}.role")
        text = maybe_text(message.get("content"))
        said: tuple[Part, ...] = (Text(text),) if text else ()
        if role == "tool":
            self.turns.append(Turn("user", (self._result(message, text),)))
            return
        if role == "assistant":
            thinking = maybe_text(message.get("thinking"))
            thought: tuple[Part, ...] = (Thinking(maker="chat", text=thinking),) if thinking else ()
            self.turns.append(Turn("assistant", (*thought, *said, *self._made(message, where))))
            return
        images = (_image(as_text(image, f"{where}.images")) for image in maybe_list(message.get("images")))
        self.turns.append(Turn(_ROLES[role], (*said, *images)))

    def _made(self, message: JsonObject, where: str) -> tuple[ToolCall, ...]:
        calls: list[ToolCall] = []
        for value in maybe_list(message.get("tool_calls")):
            call = as_object(value, f"{where}.tool_calls")
            inner = as_object(call.get("function"), f"{where}.tool_calls.function")
            given = maybe_text(call.get("id"))
            calls.append(
                ToolCall(
                    id=given or f"call_{self._calls}",
                    name=as_text(inner.get("name"), f"{where}.tool_calls.function.name"),
                    arguments=wire_arguments(inner.get("arguments")),
                )
            )
            self._calls += 1
        self._open = list(calls)
        return tuple(calls)

    def _result(self, message: JsonObject, text: str) -> ToolResult:
        given = maybe_text(message.get("tool_call_id"))
        name = maybe_text(message.get("tool_name")) or maybe_text(message.get("name"))
        fitting = [call for call in self._open if (call.id == given if given else name in ("", call.name))]
        if fitting:
            self._open.remove(fitting[0])
        call_id = fitting[0].id if fitting else given or "unknown"
        return ToolResult(call_id=call_id, parts=(Text(text),))


def _image(data: str) -> Image:
    if data.startswith(("data:", "http:", "https:")):
        return image_from_url(data)
    return Image(media_type=sniffed(data), data=data)


def _tool(tool: JsonObject, where: str) -> Tool:
    function = as_object(tool.get("function"), f"{where}.function")
    return Tool(
        name=as_text(function.get("name"), f"{where}.function.name"),
        description=maybe_text(function.get("description")),
        parameters=maybe_object(function.get("parameters")),
    )


def _output(value: object) -> OutputFormat | None:
    if value is None or value == "":
        return None
    if value == "json":
        return OutputFormat()
    return OutputFormat(schema=as_object(value, "format"))


def _reasoning(value: object, losses: Losses) -> Reasoning | None:
    """`think`: true, false or an effort. A bare yes leaves the effort to the model."""
    named = effort_from(value)
    if named is not None:
        return Reasoning(effort=named)
    if value is False:
        return Reasoning(effort="none", asked=False)
    if value is True:
        return Reasoning(effort="medium", asked=False)
    if value is not None:
        losses.add("think")
    return None


def _sampling(options: Fields) -> Sampling:
    stop = options.take("stop")
    words = [stop] if isinstance(stop, str) else as_list(stop if stop is not None else [], "options.stop")
    limit = options.whole("num_predict")
    return Sampling(
        temperature=options.number("temperature"),
        top_p=options.number("top_p"),
        top_k=options.whole("top_k"),
        seed=options.whole("seed"),
        frequency_penalty=options.number("frequency_penalty"),
        presence_penalty=options.number("presence_penalty"),
        max_tokens=limit if limit is not None and limit > 0 else None,  # -1: without limit, -2: fill context
        stop=tuple(as_text(word, "options.stop") for word in words),
    )
