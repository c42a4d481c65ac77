"""Help for Anthropic's prompt cache: marks where they pay, and a prefix that stays the same. Pure.

A marked prefix costs 1.25 times its tokens when it is written (2 times for an hour) and 0.1 times when it is
read again, so one reader within five minutes already pays. At most four marks are taken, prefixes shorter
than a minimum are passed over in silence, and a mark on what changes every time only costs. (Anthropic's
documentation of prompt caching; rates as in its price list.)

Everything but the marks keeps its bytes: signed reasoning goes back as it came.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import cast

import msgspec

from freehold.dialects.messages import attribution

_MARK = msgspec.Raw(b'{"type":"ephemeral"}')
_MARKED = b'"cache_control"'
_BYTES_PER_TOKEN = 4
"""Of a prompt; code and JSON have fewer, so a short prefix is rather taken for too short."""
_KEPT_MS = 300_000
"""So long the provider keeps a prefix after its last use."""
_MOST_PREFIXES = 1024

_MINIMUM_TOKENS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"(opus|fable|mythos)-5(?!\d)"), 512),
    (re.compile(r"opus-4-[567](?!\d)|haiku-4-5"), 4096),
    (re.compile(r"haiku-3|3-5-haiku|3-haiku"), 2048),
)
_USUAL_MINIMUM_TOKENS = 1024
_UNKNOWN_MINIMUM_TOKENS = 4096

_Fields = dict[str, msgspec.Raw]
_encode = msgspec.json.Encoder().encode
_decode_fields = cast("Callable[[bytes], _Fields]", msgspec.json.Decoder(_Fields).decode)
_decode_list = cast("Callable[[bytes], list[msgspec.Raw]]", msgspec.json.Decoder(list[msgspec.Raw]).decode)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A Messages request with marks. `marks`: where, in order: `tools`, `system`, `history`, `turn`."""

    body: bytes
    marks: tuple[str, ...] = ()
    prefix_bytes: int = 0
    """Of what is in front of the last mark."""


def minimum_tokens(model: str) -> int:
    """The shortest prefix that `model` keeps."""
    name = model.lower().replace(".", "-")
    for pattern, tokens in _MINIMUM_TOKENS:
        if pattern.search(name):
            return tokens
    return _USUAL_MINIMUM_TOKENS if "claude" in name else _UNKNOWN_MINIMUM_TOKENS


class PrefixMemory:
    """Which beginnings of prompts came lately: one that comes again is worth being kept."""

    def __init__(self) -> None:
        self._seen_ms: OrderedDict[bytes, int] = OrderedDict()

    def again(self, prefix: bytes, now_ms: int) -> bool:
        """Note a beginning; whether it came within the time that a provider would have kept it."""
        digest = blake2b(prefix, digest_size=16).digest()
        before_ms = self._seen_ms.pop(digest, None)
        self._seen_ms[digest] = now_ms
        if len(self._seen_ms) > _MOST_PREFIXES:
            self._seen_ms.popitem(last=False)
        return before_ms is not None and now_ms - before_ms < _KEPT_MS


def marked(body: bytes, model: str, prefixes: PrefixMemory, now_ms: int) -> Marked:
    """A Messages request with marks where they pay: at the end of the tools, of the system prompt, of the
    last user turn and of the one before. A single question without tools gets one only when its system
    prompt comes again. A request that has marks of its own, or cannot be read, stays as it is."""
    if _MARKED in body:
        return Marked(body=body)
    try:
        fields = _decode_fields(body)
        messages = _items(fields.get("messages"))
        fixed = b"".join([bytes(fields[name]) for name in ("tools", "system") if name in fields])
        again = prefixes.again(fixed, now_ms)
        if not (again or _items(fields.get("tools")) or len(messages) > 1):
            return Marked(body=body)
        return _marked(body, fields, messages, minimum_tokens(model) * _BYTES_PER_TOKEN)
    except _UNREADABLE:
        return Marked(body=body)


def _marked(body: bytes, fields: _Fields, messages: list[msgspec.Raw], least_bytes: int) -> Marked:
    marks, prefix_bytes = _mark_fixed(fields, least_bytes)
    fixed_bytes = sum(len(bytes(fields[name])) for name in ("tools", "system") if name in fields)
    for at, name in _turn_ends(messages):
        upto_bytes = fixed_bytes + sum(len(bytes(message)) for message in messages[: at + 1])
        message = _marked_message(messages[at]) if upto_bytes >= least_bytes else None
        if message is not None:
            messages[at] = message
            fields["messages"] = _list_of(messages)
            marks.append(name)
            prefix_bytes = upto_bytes
    if not marks:
        return Marked(body=body)
    return Marked(body=_encode(fields), marks=tuple(marks), prefix_bytes=prefix_bytes)


def _mark_fixed(fields: _Fields, least_bytes: int) -> tuple[list[str], int]:
    """Mark the ends of tools and system prompt, where the prefix is long enough: (marks, its bytes)."""
    tools, system = _items(fields.get("tools")), fields.get("system")
    tools_bytes = sum(len(bytes(tool)) for tool in tools)
    fixed_bytes = tools_bytes + (0 if system is None else len(bytes(system)))
    marks: list[str] = []
    prefix_bytes = 0
    if tools and tools_bytes >= least_bytes:
        fields["tools"] = _list_of([*tools[:-1], _with_mark(tools[-1])])
        marks.append("tools")
        prefix_bytes = tools_bytes
    said = _marked_content(system) if fixed_bytes >= least_bytes else None
    if said is not None:
        fields["system"] = said
        marks.append("system")
        prefix_bytes = fixed_bytes
    return marks, prefix_bytes


def _turn_ends(messages: list[msgspec.Raw]) -> list[tuple[int, str]]:
    """Which messages end a prefix that will be read again: the last user turn of a talk under way, and the
    one before it, which the call before has written. A single question is no talk yet."""
    users = [at for at, message in enumerate(messages) if _role(message) == "user"]
    if len(users) < 2 or len(messages) < 3:
        return []
    return [(users[-2], "history"), (users[-1], "turn")]


def without_attribution(body: bytes) -> bytes:
    """A Messages request without Claude Code's line about itself; the very same body when there is none."""
    if attribution.MARK.encode() not in body:
        return body
    try:
        fields = _decode_fields(body)
        system = msgspec.json.decode(fields.get("system", msgspec.Raw(b"null")))
        left = attribution.without_attribution(system)
        if left == system:
            return body
        return _encode({**fields, "system": left})
    except _UNREADABLE:
        return body


# -- pieces


def _marked_message(message: msgspec.Raw) -> msgspec.Raw | None:
    fields = _decode_fields(bytes(message))
    content = _marked_content(fields.get("content"))
    if content is None:
        return None
    fields["content"] = content
    return msgspec.Raw(_encode(fields))


def _marked_content(content: msgspec.Raw | None) -> msgspec.Raw | None:
    """Content with a mark on its last block; None when no mark can stand there."""
    raw = b"" if content is None else bytes(content)
    if raw.startswith(b'"'):
        if not raw[1:-1].strip():
            return None  # an empty text takes no mark
        block = b'{"type":"text","text":%b,"cache_control":%b}' % (raw, bytes(_MARK))
        return _list_of([msgspec.Raw(block)])
    if not raw.startswith(b"["):
        return None
    blocks = _decode_list(raw)
    for at in range(len(blocks) - 1, -1, -1):
        fields = _decode_fields(bytes(blocks[at]))
        kind = _text(fields.get("type"))
        if kind in ("thinking", "redacted_thinking") or (
            kind == "text" and not _text(fields.get("text")).strip()
        ):
            continue
        return _list_of([*blocks[:at], _with_mark(blocks[at]), *blocks[at + 1 :]])
    return None


def _with_mark(item: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(_encode({**_decode_fields(bytes(item)), "cache_control": _MARK}))


def _items(value: msgspec.Raw | None) -> list[msgspec.Raw]:
    raw = b"" if value is None else bytes(value)
    return _decode_list(raw) if raw.startswith(b"[") else []


def _list_of(items: list[msgspec.Raw]) -> msgspec.Raw:
    return msgspec.Raw(b"[" + b",".join([bytes(item) for item in items]) + b"]")


def _role(message: msgspec.Raw) -> str:
    return _text(_decode_fields(bytes(message)).get("role"))


def _text(value: msgspec.Raw | None) -> str:
    raw = b"" if value is None else bytes(value)
    return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else ""
