"""What a request's body tells about the choice that it leaves to us. Pure.

Only looked at when there is a choice. Nothing here refuses a request: what cannot be read tells nothing, and
whoever answers will say what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import cast

import msgspec

from freehold.core.catalog import Dialect
from freehold.routing.world import Ask, Needs

BYTES_PER_TOKEN = 4
SAMPLE = 8192
"""Characters of the newest words that are kept, half from the front and half from the end."""
_BEGINNING = 4096
_IMAGE_TOKENS = 1200
_SMALL = 1024
_LOOK_BACK = 24
_MEDIA = re.compile(rb'"type"\s*:\s*"(image|image_url|input_image|input_audio)"')
_BLOB = re.compile(
    rb'(?:"(?:data|file_data)"\s*:\s*"|"images"\s*:\s*\[\s*"|;base64,)([A-Za-z0-9+/=]{1024,})"'
)
"""A file in base64: its bytes say next to nothing about its tokens."""
_FILE_BYTES_PER_TOKEN = 64
_ESCAPE_BYTES = 3
"""`\\u4f60` takes six bytes for a sign that takes three."""
_NOTHING = (b"", b"null", b"[]", b"{}", b'""')
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ITEM = b'"item_reference"'
_OWN_TOOLS = frozenset(("function", "custom", "namespace", "local_shell"))
_Raw = msgspec.Raw


class _Body(msgspec.Struct):
    """The members that are looked at, in all dialects; each as it stands."""

    messages: _Raw = _Raw()
    input: _Raw = _Raw()
    prompt: _Raw = _Raw()
    system: _Raw = _Raw()
    instructions: _Raw = _Raw()
    tools: _Raw = _Raw()
    response_format: _Raw = _Raw()
    text: _Raw = _Raw()
    format: _Raw = _Raw()
    max_tokens: _Raw = _Raw()
    max_completion_tokens: _Raw = _Raw()
    max_output_tokens: _Raw = _Raw()
    previous_response_id: _Raw = _Raw()
    conversation: _Raw = _Raw()
    container: _Raw = _Raw()
    background: _Raw = _Raw()
    mcp_servers: _Raw = _Raw()
    functions: _Raw = _Raw()
    modalities: _Raw = _Raw()
    temperature: _Raw = _Raw()
    seed: _Raw = _Raw()
    n: _Raw = _Raw()


class _Message(msgspec.Struct):
    role: object = None
    content: _Raw = _Raw()
    type: object = None
    images: _Raw = _Raw()


class _Part(msgspec.Struct):
    type: object = None
    text: object = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the call's head says, besides its body."""

    model: str = "auto"
    task: str = ""
    agent: str = ""
    session: str = ""
    critical: bool = False
    streamed: bool = False
    max_wait_s: float | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is held against: the tools' schemas by name, whether JSON was asked for and of which
    form, the client's own limit of tokens."""

    tools: Mapping[str, object] = {}
    json: bool = False
    schema: object = None
    """A JSON Schema; None: any JSON will do."""
    max_tokens: int | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_list = msgspec.json.Decoder(list[_Raw]).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_any = cast("Callable[[bytes], object]", msgspec.json.Decoder().decode)


def read_ask(body: bytes, dialect: Dialect, said: Said) -> Ask:
    """The call as `auto.decide` wants it, but for what only memory knows (`guess`, `failed`)."""
    try:
        found = _decode_body(body)
    except _UNREADABLE:
        found = _Body()
    turns = _turns(found)
    prompt, question = _newest(turns)
    media = [match[1] for match in _MEDIA.finditer(body)]
    images = sum(kind != b"input_audio" for kind in media) + (dialect == "ollama" and _has_images(turns))
    limit = _limit(found)
    return Ask(
        model=said.model,
        task=said.task,
        agent=said.agent,
        session=said.session,
        prompt=prompt,
        question=question,
        needs=Needs(
            tools=_there(found.tools) or _there(found.functions) or _there(found.mcp_servers),
            vision=bool(images),
            audio=b"input_audio" in media or b'"audio"' in bytes(found.modalities),
            json=_wants_json(found),
            native=_native(found, dialect),
        ),
        input_tokens=_tokens(body, images),
        output_tokens=500 if limit is None else min(limit, 500),
        most_out=limit,
        prefix=_prefix(found, turns),
        critical=said.critical,
        streamed=said.streamed,
        max_wait_s=said.max_wait_s,
    )


def read_wanted(body: bytes) -> Wanted:
    """What the answer to a request must fit. For the few answers that are checked."""
    try:
        found = _decode_body(body)
        tools: object = _decode_any(bytes(found.tools)) if _there(found.tools) else None
    except _UNREADABLE:
        return Wanted()
    schemas: dict[str, object] = {}
    for tool in cast("list[object]", tools) if isinstance(tools, list) else []:
        if not isinstance(tool, dict):
            continue
        fields = cast("dict[str, object]", tool)
        inner = fields.get("function")
        fields = cast("dict[str, object]", inner) if isinstance(inner, dict) else fields
        name = fields.get("name")
        if isinstance(name, str) and name not in schemas:
            schemas[name] = fields.get("parameters") or fields.get("input_schema")
    return Wanted(tools=schemas, json=_wants_json(found), schema=_schema(found), max_tokens=_limit(found))


def turns_of(body: bytes) -> list[tuple[str, str]]:
    """(who, what) of everything that a request says, the system's words first; pictures and the like are left
    out. For the few calls whose answers are compared."""
    try:
        found = _decode_body(body)
    except _UNREADABLE:
        return []
    told = [("system", _text_of(bytes(raw))) for raw in (found.system, found.instructions)]
    for raw in _turns(found):
        try:
            message = _decode_message(raw)
        except _UNREADABLE:
            continue
        told.append((str(message.role or "user"), _text_of(bytes(message.content))))
    return [(who, what) for who, what in told if what]


def without_chance(body: bytes) -> bool:
    """Whether the same request again means the same answer: no dice, or a stated seed."""
    try:
        found = _decode_body(body)
    except _UNREADABLE:
        return False
    if bytes(found.n) not in (*_NOTHING, b"1"):
        return False
    return _there(found.seed) or bytes(found.temperature) in (b"0", b"0.0")


def _turns(found: _Body) -> list[_Raw]:
    """The messages, oldest first; a plain text is one message."""
    for raw in (found.messages, found.input, found.prompt):
        text = bytes(raw)
        if text.startswith(b"["):
            try:
                return _decode_list(text)
            except _UNREADABLE:
                return []
        if text.startswith(b'"'):
            return [_Raw(b'{"role":"user","content":' + text + b"}")]
    return []


def _newest(turns: list[_Raw]) -> tuple[str, int]:
    """The person's newest words, and a number that names them when nothing came after them."""
    for back, raw in enumerate(reversed(turns[-_LOOK_BACK:])):
        try:
            message = _decode_message(raw)
        except _UNREADABLE:
            continue
        if message.role != "user":
            continue
        text = _text_of(bytes(message.content))
        if text:
            digest = blake2b(text.encode("utf-8", "replace"), digest_size=8)
            for part in _media_of(bytes(message.content)):  # the same words about another picture
                digest.update(part)
            return _sample(text), 0 if back else int.from_bytes(digest.digest(), "big")
    return "", 0


def _text_of(content: bytes) -> str:
    """The text of a message's content; empty when it has none, as a tool's result."""
    try:
        if content.startswith(b'"'):
            return str(_decode_any(content))
        if content.startswith(b"["):
            parts = _decode_parts(content)
            return "\n".join(part.text for part in parts if isinstance(part.text, str))
    except _UNREADABLE:
        pass
    return ""


def _media_of(content: bytes) -> list[bytes]:
    """The pieces of a message's content that are no text."""
    if not content.startswith(b"["):
        return []
    try:
        parts = _decode_list(content)
        return [bytes(part) for part in parts if not isinstance(_decode_part(part).text, str)]
    except _UNREADABLE:
        return []


def _has_images(turns: list[_Raw]) -> bool:
    """Of Ollama: a message with pictures; clients send empty lists of them, too."""
    for raw in turns:
        try:
            if b'"images"' in bytes(raw) and _there(_decode_message(raw).images):
                return True
        except _UNREADABLE:
            continue
    return False


def _sample(text: str) -> str:
    return text if len(text) <= SAMPLE else f"{text[: SAMPLE // 2]}\n{text[-SAMPLE // 2 :]}"


def _tokens(body: bytes, images: int) -> int:
    """By size; the bytes of a picture, a sound or a document in it say little about its tokens."""
    files = [len(blob) for blob in _BLOB.findall(body)] if len(body) > _SMALL else []
    text = len(body) - sum(files) - _ESCAPE_BYTES * body.count(b"\\u")
    others = sum(files) // _FILE_BYTES_PER_TOKEN if len(files) > images else 0
    return max(0, text) // BYTES_PER_TOKEN + images * _IMAGE_TOKENS + others


def _prefix(found: _Body, turns: list[_Raw]) -> bytes:
    """Names what stands first in the prompt, which stays as it is from call to call."""
    digest = blake2b(digest_size=8)
    for raw in (found.tools, found.system, found.instructions, *turns[:1]):
        digest.update(bytes(raw)[:_BEGINNING])
    return digest.digest()


def _native(found: _Body, dialect: Dialect) -> Dialect | None:
    """State that lies at the vendor cannot be had elsewhere, nor tools that only the vendor runs."""
    if dialect == "responses" and (_there(found.previous_response_id) or _there(found.conversation)):
        return "responses"
    if dialect == "responses" and (
        bytes(found.prompt).startswith(b"{")
        or bytes(found.background) == b"true"
        or _ITEM in bytes(found.input)
    ):
        return "responses"
    if dialect == "messages" and (_there(found.container) or _there(found.mcp_servers)):
        return "messages"
    if dialect in ("messages", "responses") and _there(found.tools):
        try:
            kinds = [_decode_message(tool).type for tool in _decode_list(bytes(found.tools))]
        except _UNREADABLE:
            return None
        if kinds and all(isinstance(kind, str) and kind not in _OWN_TOOLS for kind in kinds):
            return dialect
    return None


def _wants_json(found: _Body) -> bool:
    wish = b"%b %b %b" % (bytes(found.response_format), bytes(found.text), bytes(found.format))
    return (
        b'"json_schema"' in wish
        or b'"json_object"' in wish
        or bytes(found.format)[:1] == b"{"
        or bytes(found.format) == b'"json"'
    )


def _schema(found: _Body) -> object:
    """The form of JSON that was asked for: `response_format` of chat, `text.format` of responses, `format` of
    Ollama."""
    try:
        for raw, name in ((found.response_format, "json_schema"), (found.text, "format")):
            fields = _fields(_decode_any(bytes(raw)) if _there(raw) else None)
            if "schema" in (inner := _fields(fields.get(name))):
                return inner["schema"]
        return _decode_any(bytes(found.format)) if bytes(found.format)[:1] == b"{" else None
    except _UNREADABLE:
        return None


def _fields(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _limit(found: _Body) -> int | None:
    for raw in (found.max_tokens, found.max_completion_tokens, found.max_output_tokens):
        text = bytes(raw)
        if text.isdigit() and len(text) < 10 and int(text) > 0:
            return int(text)
    return None


def _there(raw: _Raw) -> bool:
    return bytes(raw) not in _NOTHING
