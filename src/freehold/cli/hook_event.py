"""What agents hand to a hook after they used a tool, as one use of a tool. Pure.

Claude Code (`PostToolUse`, `PostToolUseFailure`) and Codex (`PostToolUse`) write the same JSON; everyone else
may write the body of POST /api/v1/receipts/tool. Nothing that a tool was given or gave leaves this module but
as a hash, also no text of an error: it may quote both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from freehold.core.errors import FreeholdError
from freehold.core.half_characters import without_halves
from freehold.receipts.tools import ToolUse, hash_of, read_tool, told_use

_EVENTS = ("PostToolUse", "PostToolUseFailure")
_EXIT = re.compile(r"exit(?:ed with)? (?:code|status)[: ]+(-?\d{1,5})", re.IGNORECASE)
_LONGEST_NAME = 256
_LONGEST_MS = 10**10
_FAILED = ("is_error", "isError")
_INTERRUPTED = ("interrupted", "is_interrupt")


def use_of(raw: bytes, now_ms: int) -> ToolUse:
    """The use of a tool that has just ended. Raises FreeholdError with what is wrong with `raw`."""
    raw = without_halves(raw)
    try:
        event = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FreeholdError(f"what the hook was given is no JSON object: {error}") from error
    if "hook_event_name" not in event:
        return read_tool(raw, now_ms)
    name = event["hook_event_name"]
    if name not in _EVENTS:
        raise FreeholdError(f"this hook is for {' and '.join(_EVENTS)}, not for {str(name)[:80]}")
    return _from_agent(event, now_ms)


def _from_agent(event: Mapping[str, Any], now_ms: int) -> ToolUse:
    tool, server = mcp_name(_text(event, "tool_name"))
    if not tool.strip():
        raise FreeholdError("the event names no tool: `tool_name` is missing or empty")
    named = event.get("mcp_server")
    given: Any = event.get("tool_response")
    if given is None:
        given = event.get("tool_output")
    told: dict[str, Any] = {
        "tool": tool[:_LONGEST_NAME],
        "server": (named if isinstance(named, str) and named else server)[:_LONGEST_NAME],
        "call_id": _text(event, "tool_use_id")[:_LONGEST_NAME],
        "session": _text(event, "session_id")[:_LONGEST_NAME],
        "error": _error(event, given),
        "arguments_sha256": hash_of(event.get("tool_input")),
        "result_sha256": hash_of(given),
    }
    duration: Any = event.get("duration_ms")
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 <= duration < _LONGEST_MS:
        told["duration_ms"] = duration
    return told_use(told, now_ms)


def _error(event: Mapping[str, Any], given: Any) -> str:
    """How it failed, in words of ours; empty when it did not."""
    facts = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    if any(told.get(name) is True for told in (event, facts) for name in _INTERRUPTED):
        return "interrupted"
    code = facts.get("exit_code")
    if isinstance(code, int) and not isinstance(code, bool) and code:
        return f"exit code {code}"
    if event["hook_event_name"] == "PostToolUseFailure":
        found = _EXIT.search(_text(event, "error") or _text(event, "error_message"))
        return f"exit code {found[1]}" if found else "failed"
    failed = any(facts.get(name) is True for name in _FAILED) or facts.get("success") is False
    return "failed" if failed else ""


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def mcp_name(tool: str) -> tuple[str, str]:
    """Tool and MCP server of a name that agents write as `mcp__SERVER__TOOL`; others have no server."""
    first, *rest = tool.split("__", 2)
    if first == "mcp" and len(rest) == 2 and all(rest):
        return rest[1], rest[0]
    return tool, ""
