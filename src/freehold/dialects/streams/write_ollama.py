"""Ollama chat lines (NDJSON) for the client.

Grammar: one JSON object per line; content and thinking in pieces, each tool call whole with its
arguments as an object, a last line with `done: true` and the counts (ollama `docs/api.md`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import TranslationContext
from freehold.dialects.errors import error_event
from freehold.dialects.finish import Finish, finish_to
from freehold.dialects.streams.writer import Writer, json_bytes
from freehold.dialects.usage import usage_object


class _Call:
    __slots__ = ("name", "pieces")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces: list[str] = []


class OllamaWriter(Writer):
    """Writes Ollama lines; tool calls are held until their arguments are complete."""

    def __init__(self, context: TranslationContext) -> None:
        super().__init__(context)
        self._frame: dict[str, object] = {
            "model": context.model_asked,
            "created_at": datetime.fromtimestamp(context.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._calls: dict[int, _Call] = {}

    def _opening(self, usage: Usage) -> None:
        pass

    def _line(self, message: dict[str, object]) -> None:
        body = {**self._frame, "message": {"role": "assistant", "content": "", **message}, "done": False}
        self._out.append(json_bytes(body) + b"\n")

    def text(self, delta: str) -> None:
        self._line({"content": delta})

    def refusal(self, delta: str) -> None:
        self._line({"content": delta})

    def thinking(self, delta: str) -> None:
        self._line({"thinking": delta})

    def tool(self, index: int, call_id: str, name: str) -> None:
        self._tools_seen += 1
        self._calls[index] = _Call(self._origin(name).name)

    def arguments(self, index: int, delta: str) -> None:
        call = self._calls.get(index)
        if call is not None:
            call.pieces.append(delta)

    def tool_end(self, index: int) -> None:
        call = self._calls.pop(index, None)
        if call is not None:
            function = {"name": call.name, "arguments": self._object("".join(call.pieces))}
            self._line({"tool_calls": [{"function": function}]})

    def _object(self, arguments: str) -> dict[str, Any]:
        try:
            found: object = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            found = None
        if isinstance(found, dict):
            return cast(dict[str, Any], found)
        self.lose("tool_call.arguments")  # this dialect has no place for broken JSON
        return {}

    def _closing(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        for index in sorted(self._calls):
            self.tool_end(index)
        body = {
            **self._frame,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": finish_to("ollama", finish),
            **(usage_object("ollama", usage) if usage is not None else {}),
        }
        self._out.append(json_bytes(body) + b"\n")

    def _failing(self, error: CallError) -> None:
        self._out.append(error_event(error, "ollama", f"req_{self.context.answer_id}"))
