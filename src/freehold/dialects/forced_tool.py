"""A tool forced by name, said so that llama.cpp understands it.

Its server knows `tool_choice` "auto", "none" and "required" and takes an object for "auto"; one tool and
"required" mean the same as naming that tool.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Function(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    function: _Function
    type: Literal["function"] = "function"


def one_forced_tool(body: bytes) -> bytes:
    """A chat request with the named tool alone, required; any other body unchanged."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        forced = msgspec.json.decode(fields["tool_choice"], type=_Named).function.name
        tools = msgspec.json.decode(fields["tools"], type=list[msgspec.Raw])
        kept = [tool for tool in tools if msgspec.json.decode(tool, type=_Named).function.name == forced]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return body
    if not kept:
        return body
    changed: dict[str, object] = {**fields, "tools": kept, "tool_choice": "required"}
    return msgspec.json.encode(changed)
