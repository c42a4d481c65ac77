"""A request in one dialect, said in another.

Reading and writing belong to the packages of the dialects; this module only joins them. Requests
whose dialects agree never come here: they are relayed byte for byte.

How losses are named: an unknown top-level field by its key; dropped pieces by what they are
(`content.TYPE`, `input.TYPE`, `tool.TYPE`, `options.NAME`, `include.NAME`, `output_config.NAME`);
known fields that the upstream lacks in chat's words (`stop`, `response_format`, `reasoning_effort`,
`top_k`, ...), reasoning as `thinking` (signed by Anthropic, or a Messages client's wish), `reasoning`
(encrypted by OpenAI) or `reasoning_content` (a chat server's). Changed rather than dropped:
`attribution_line`, `system.position`, `messages.first_role`, `tool_call.arguments` (broken JSON),
`tool_result.orphaned|missing|is_error|image|document`, `tool.custom|namespace`, `tools.strict`,
`response_format.schema`, `image.detail`, `max_tokens`, `temperature`, `thinking.budget_tokens`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.dialects.chat.read_request import read_chat
from freehold.dialects.chat.write_request import write_chat
from freehold.dialects.context import TranslatedRequest, TranslationContext, TranslationError
from freehold.dialects.conversation import Conversation, JsonObject
from freehold.dialects.facts import RequestFacts
from freehold.dialects.fields import Losses, decode_object
from freehold.dialects.messages.read_request import read_messages
from freehold.dialects.messages.write_request import write_messages
from freehold.dialects.ollama.read_request import read_ollama
from freehold.dialects.responses.echo import echoed
from freehold.dialects.responses.read_request import read_responses
from freehold.dialects.responses.write_request import write_responses
from freehold.dialects.toolnames import ToolNames

__all__ = ["RequestFacts", "translate_request"]

_Read = Callable[[JsonObject, Losses], Conversation]
_Write = Callable[[Conversation, RequestFacts, ToolNames, Losses], JsonObject]

_READ: dict[Dialect, _Read] = {
    "chat": read_chat,
    "messages": read_messages,
    "responses": read_responses,
    "ollama": read_ollama,
}
_WRITE: dict[Dialect, _Write] = {
    "chat": write_chat,
    "messages": write_messages,
    "responses": write_responses,
}

_encoder = msgspec.json.Encoder()


def translate_request(
    body: bytes, *, client: Dialect, upstream: Dialect, facts: RequestFacts
) -> TranslatedRequest:
    """`body`, a request in `client`'s dialect, as a request in `upstream`'s.

    Raises `TranslationError`: 400 with the field and what to do when the body is malformed or cannot
    be said in `upstream`'s dialect, 501 when nothing can be said in it (`ollama` is spoken with
    clients only; its servers also speak chat).
    """
    write = _WRITE.get(upstream)
    if write is None:
        raise TranslationError(
            CallError(
                kind="unsupported",
                status=501,
                message=f"Freehold does not speak {upstream} to upstreams; use its chat endpoint.",
            )
        )
    losses = Losses()
    found = decode_object(body)
    conversation = _READ[client](found, losses)
    names = ToolNames(upstream)
    written = write(conversation, facts, names, losses)
    context = TranslationContext(
        client=client,
        upstream=upstream,
        model_asked=conversation.model,
        answer_id=facts.answer_id,
        created_s=facts.created_s,
        stream=conversation.stream,
        include_usage=conversation.include_usage,
        tools=names.origins(),
        echo=echoed(found) if client == "responses" else {},
    )
    return TranslatedRequest(body=_encoder.encode(written), context=context, losses=losses.codes())
