"""A whole, non-streamed answer in one dialect, said in another. Streams are translated in `streams`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.dialects.arguments import custom_input
from freehold.dialects.chat.read_answer import read_chat_answer
from freehold.dialects.chat.write_answer import write_chat_answer
from freehold.dialects.context import TranslationContext, TranslationError
from freehold.dialects.conversation import Answer, JsonObject, Part, ToolCall
from freehold.dialects.errors import parse_error
from freehold.dialects.fields import decode_object
from freehold.dialects.finish import Finish
from freehold.dialects.messages.read_answer import read_messages_answer
from freehold.dialects.messages.write_answer import write_messages_answer
from freehold.dialects.ollama.write_answer import write_ollama_answer
from freehold.dialects.responses.read_answer import read_responses_answer
from freehold.dialects.responses.write_answer import write_responses_answer

_READ: dict[Dialect, Callable[[JsonObject, str], Answer]] = {
    "chat": read_chat_answer,
    "messages": read_messages_answer,
    "responses": read_responses_answer,
}
_WRITE: dict[Dialect, Callable[[Answer, TranslationContext], JsonObject]] = {
    "chat": write_chat_answer,
    "messages": write_messages_answer,
    "responses": write_responses_answer,
    "ollama": write_ollama_answer,
}

_encoder = msgspec.json.Encoder()


def translate_answer(body: bytes, context: TranslationContext) -> bytes:
    """`body`, the upstream's whole answer, in the client's dialect.

    Raises `TranslationError` (502, source upstream) when `body` is no answer of the upstream's
    dialect, and with the upstream's own error when it is an error behind a status of success.
    """
    answer = read_answer(body, context)
    return _encoder.encode(_WRITE[context.client](answer, context))


def read_answer(body: bytes, context: TranslationContext) -> Answer:
    """The answer's meaning, with tools by the client's names."""
    try:
        found = decode_object(body)
        if found.get("error") and found.get("status") is None:
            raise TranslationError(parse_error(0, body))
        answer = _READ[context.upstream](found, context.answer_id)
    except TranslationError as error:
        raise _blamed_on_upstream(error) from None
    parts = tuple(_restored(part, context) for part in answer.parts)
    return msgspec.structs.replace(answer, parts=parts, finish=_corrected(answer.finish, parts))


def _blamed_on_upstream(error: TranslationError) -> TranslationError:
    if error.error.source == "upstream":
        return error
    message = f"The model's server sent an answer that cannot be read: {error.error.message}"
    return TranslationError(CallError(kind="upstream", status=502, source="upstream", message=message))


def _restored(part: Part, context: TranslationContext) -> Part:
    """A tool call under the client's name, free-form input unwrapped."""
    origin = context.tools.get(part.name) if isinstance(part, ToolCall) else None
    if not isinstance(part, ToolCall) or origin is None:
        return part
    custom = origin.kind == "custom"
    unwrap = custom and not part.custom
    return ToolCall(
        id=part.id,
        name=origin.name,
        namespace=origin.namespace,
        arguments=custom_input(part.arguments) if unwrap else part.arguments,
        custom=custom,
    )


def _corrected(finish: Finish, parts: tuple[Part, ...]) -> Finish:
    """A word that contradicts the content is corrected: clients run tools only after "tool_calls",
    and wait for one that is not there."""
    called = any(isinstance(part, ToolCall) for part in parts)
    if finish == "stop" and called:
        return "tool_calls"
    return "stop" if finish == "tool_calls" and not called else finish
