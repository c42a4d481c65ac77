"""One neutral form of a request and of an answer, between any two dialects.

Each dialect package reads its wire form into these values and writes them out again; nothing here
knows a wire form. Values are what the client meant: names of tools are the client's, not yet
shortened or flattened for an upstream (`toolnames`), and turns stand in the client's order, not yet
put into the order that an upstream demands (`turns`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.usage import Usage
from freehold.dialects.finish import Finish

JsonObject = dict[str, object]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How hard a reasoning model should think, in the words that OpenAI and Anthropic share."""


class Text(msgspec.Struct, frozen=True):
    """`cache` is Anthropic's `cache_control` object, kept for upstreams that know it."""

    text: str
    cache: JsonObject | None = None


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of `data` (base64, with `media_type`), `url`, `file_id` is set."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    detail: str = ""
    cache: JsonObject | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A document: exactly one of `data` (base64, with `media_type`), `url`, `file_id` is set.

    Documents that are plain text become `Text` when read, because every dialect can say that.
    """

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    cache: JsonObject | None = None


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is base64; `format` is "wav", "mp3", ..."""

    data: str
    format: str


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a model made. `arguments` is JSON text, or free text when `custom`; it is what
    the model wrote, so it may be broken (see `arguments`)."""

    id: str
    name: str
    arguments: str
    namespace: str = ""
    custom: bool = False
    cache: JsonObject | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave back. `parts` hold only text, images and files."""

    call_id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False
    cache: JsonObject | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """A model's reasoning. Only `maker`'s kind of upstream may get it back.

    `signature` is Anthropic's signature or OpenAI's encrypted content; `redacted` is Anthropic's
    opaque data in place of text; `id` is the Responses item's id. A chat server's reasoning has
    text only: it is not signed.
    """

    maker: Dialect
    text: str = ""
    signature: str = ""
    redacted: str = ""
    id: str = ""


class Refusal(msgspec.Struct, frozen=True):
    text: str


Part = Text | Image | File | Audio | ToolCall | ToolResult | Thinking | Refusal

Role = Literal["system", "user", "assistant"]


class Turn(msgspec.Struct, frozen=True):
    """Tool results are parts of user turns, as in Messages; `developer` is `system`."""

    role: Role
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client will run. `custom` tools take free text; `format` may restrict it
    (a grammar). `strict` is None when the client did not say."""

    name: str
    description: str = ""
    parameters: JsonObject | None = None
    strict: bool | None = None
    namespace: str = ""
    custom: bool = False
    format: JsonObject | None = None
    cache: JsonObject | None = None


ChoiceMode = Literal["auto", "none", "required", "tool"]


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """`name` (and `namespace`) when `mode` is "tool"; `allowed` restricts the tools by name."""

    mode: ChoiceMode = "auto"
    name: str = ""
    namespace: str = ""
    allowed: tuple[str, ...] = ()


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """`schema` is None for "any JSON object"."""

    schema: JsonObject | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """`effort` None with `budget_tokens` None: on, as hard as the model likes. `asked` tells an
    explicit wish for this effort from a client's habit (Claude Code sends one with every call)."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    asked: bool = True


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are drawn; None means not said. `max_tokens` counts reasoning too."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. `settings` holds fields that only OpenAI's own service acts on, by their
    OpenAI names (`metadata`, `store`, `prompt_cache_key`, ...)."""

    model: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    sampling: Sampling = Sampling()
    user: str = ""
    service_tier: str = ""
    settings: Mapping[str, object] = {}
    stream: bool = False
    include_usage: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `logprobs` are entries in the shape that chat and Responses share."""

    parts: tuple[Part, ...]
    finish: Finish
    usage: Usage
    stop_sequence: str | None = None
    refusal: str = ""
    logprobs: tuple[JsonObject, ...] = ()
    service_tier: str = ""
