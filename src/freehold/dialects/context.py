"""What a request's translation must remember until its answer is translated back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError, FreeholdError


class ToolOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool was in the client's dialect, before it became a plain function upstream.

    `kind` "custom" (Responses free-form tool: its input is text, carried upstream as
    `{"input": text}`), "namespace" (a function inside a Responses namespace) or "function".
    """

    kind: Literal["function", "custom", "namespace"] = "function"
    name: str
    namespace: str = ""


class TranslationContext(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `requests.translate_request`, needed by `answers` and `streams`.

    `client` is the caller's dialect, `upstream` the deployment's. `model_asked` is the name that the
    answer must carry. `tools` maps upstream function names to their origins (only those that differ).
    `include_usage`: the caller asked for usage in a chat stream. `echo` holds request fields that
    the caller's dialect wants back in the answer (Responses objects repeat instructions, tools, ...).
    """

    client: Dialect
    upstream: Dialect
    model_asked: str
    answer_id: str
    """Unique part for ids made by us (`msg_...`, `resp_...`, `chatcmpl-...`)."""
    created_s: int
    """Unix seconds, for `created` / `created_at` fields."""
    stream: bool = False
    include_usage: bool = False
    tools: Mapping[str, ToolOrigin] = {}
    echo: Mapping[str, object] = {}


class TranslatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request in the upstream's dialect. `losses` names every field dropped, changed or
    emulated, as short stable codes such as `top_k`, `cache_control`, `thinking.signature`."""

    body: bytes
    context: TranslationContext
    losses: tuple[str, ...] = ()


class TranslationError(FreeholdError):
    """The request cannot be said in the upstream's dialect, or is malformed; `error` goes to the caller."""

    def __init__(self, error: CallError) -> None:
        self.error = error
        super().__init__(error.message)
