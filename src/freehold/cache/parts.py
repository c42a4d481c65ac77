"""What a request asks for that forbids keeping its answer. Pure; values in, a reason in words out.

Kept out: what is stored or runs on at the provider, tools that the provider itself runs, sound, uploads, and
content that is only named by an address, which may change behind it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, cast

import msgspec

_STATEFUL: Mapping[str, str] = {
    "previous_response_id": "it goes on from an answer that the provider has stored",
    "conversation": "it goes on with a conversation that the provider has stored",
    "prompt": "its prompt is stored at the provider",
    "container": "it uses a container at the provider",
}
_RESPONSES_ONLY = ("previous_response_id", "conversation", "prompt")
_PROVIDER_RUN = ("web_search_options", "mcp_servers", "plugins", "search_parameters")
"""Top-level fields that make the provider itself look something up or run something."""
_CLIENT_RUN = re.compile(
    r"(?:function|custom|namespace|local_shell|shell|apply_patch|(?:bash|text_editor|computer|memory)_[0-9]+"
    r"|computer(?:_use)?(?:_preview)?)?"
)
"""Types of tools that the client runs. Whatever else there is counts as run by the provider."""
_PLAIN = frozenset(
    (
        "text",
        "input_text",
        "output_text",
        "message",
        "thinking",
        "redacted_thinking",
        "reasoning",
        "function_call",
    )
)
"""Types of pieces that hold what they say."""
_POINTS = "it points to content by an address, and what lies there may change"
_ADDRESS = re.compile(r"https?:", re.IGNORECASE)


class Unkept(msgspec.Struct, frozen=True):
    """Why an answer is not kept, in words."""

    reason: str


def uncacheable(
    endpoint: str, document: Mapping[str, Any], tools: Collection[str] | Literal["*"]
) -> Unkept | None:
    """Why the answer to this request must come from the model; None when it may be kept. `tools`: names and
    types of those that change nothing."""
    for name, why in _STATEFUL.items():
        if document.get(name) is not None and (endpoint == "responses" or name not in _RESPONSES_ONLY):
            return Unkept(why)
    if document.get("store") is True:
        return Unkept("the provider shall store the answer")
    if document.get("background") is True:
        return Unkept("it runs in the background")
    if "audio" in _list(document.get("modalities")) or document.get("audio") is not None:
        return Unkept("it asks for sound")
    if tools != "*":
        for name in _PROVIDER_RUN:
            if document.get(name) not in (None, False, []) and name not in tools:
                return Unkept(f"the provider looks things up or runs something for it ({name})")
        for kind in _tool_types(document.get("tools")):
            if not _CLIENT_RUN.fullmatch(kind) and kind not in tools:
                return Unkept(f"the provider runs a tool for it ({kind})")
    why = _absent_content(document.get("messages")) or _absent_content(document.get("input"))
    return Unkept(why) if why else None


def _tool_types(tools: object) -> Iterator[str]:
    for tool in _list(tools):
        kind: object = cast(dict[str, object], tool).get("type") if isinstance(tool, dict) else None
        yield kind if isinstance(kind, str) else ""


def _absent_content(items: object) -> str:
    """What of a conversation is not in the request itself; empty when all is."""
    if isinstance(items, list):
        for item in cast(list[object], items):
            if isinstance(item, dict):
                found = _absent_piece(cast(dict[str, object], item))
                if found:
                    return found
    return ""


def _absent_piece(piece: dict[str, object]) -> str:
    kind = piece.get("type")
    content = piece.get("content")
    if isinstance(content, list) and (found := _absent_content(cast(object, content))):
        return found
    if kind is None or kind in _PLAIN:
        return ""
    if kind == "input_audio":
        return "it has sound in it"
    return next((_POINTS for value in piece.values() if _is_address(value)), "") or _absent_content(
        piece.get("output")
    )


def _is_address(value: object) -> bool:
    """An address, or an object that gives one: `{"url": ...}`, `{"source": {"url": ...}}`."""
    if isinstance(value, str):
        return _ADDRESS.match(value) is not None
    if not isinstance(value, dict):
        return False
    inner = cast(dict[str, object], value)
    return any(_is_address(inner.get(name)) for name in ("url", "file_url", "source"))


def _list(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []
