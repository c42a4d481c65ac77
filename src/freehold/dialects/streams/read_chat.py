"""Chat completion chunks from an upstream, with the habits of the servers that speak it.

Accepted: `reasoning_content` and `reasoning`; content as a list of parts (Mistral); missing role
chunk, tool index, tool id, finish reason or `[DONE]`; tool calls that all claim index 0; name and
arguments in any later chunk; `tool_calls: []` beside text; usage with or without `choices`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.core.errors import CallError
from freehold.dialects.errors import parse_error
from freehold.dialects.finish import finish_from
from freehold.dialects.streams.writer import Writer, json_bytes
from freehold.dialects.usage import usage_of

_NULL = msgspec.Raw(b"null")
_FALSY = {b"", b"null", b"{}", b'""', b"false", b"[]"}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _ToolDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | list[_Part] | None = None


class _Delta(msgspec.Struct):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolDelta] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = _NULL


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    object: str | None = None


_BROKEN = {"error", "abort"}
"""Finish reasons that are no end of an answer: OpenRouter's for a provider that failed, vLLM's and
SGLang's for a request that the engine dropped."""

_decode = msgspec.json.Decoder(_Chunk).decode


class _Tool:
    """A tool call that has been heard of; it is told to the writer when its name is known."""

    __slots__ = ("call_id", "index", "name", "waiting")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.name = ""
        self.index = -1
        self.waiting = ""


class ChatReader:
    """Reads event payloads; the terminal one is `[DONE]`, or the end of the stream."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._tools: dict[int, _Tool] = {}
        self._last_key = 0
        self._told = 0
        self.reason: str | None = None
        self._ended = False
        self.usage_raw: bytes | None = None

    def read(self, data: bytes) -> None:
        """Raises `msgspec.DecodeError` for what is no chunk."""
        if data.startswith(b"[DONE]"):
            self._close()
            return
        chunk = _decode(data)
        if bytes(chunk.error) not in _FALSY or chunk.object == "error":
            self._writer.fail(parse_error(0, data))
            return
        self._writer.begin()
        if bytes(chunk.usage) not in _FALSY:
            self.usage_raw = bytes(chunk.usage)
            self._ended = self._ended or not chunk.choices
        for choice in chunk.choices or ():
            if choice.index:
                self._writer.lose("choices")
            else:
                self._choice(choice)

    def end(self) -> bool:
        """The stream ended without `[DONE]`; False when nothing else said that the answer is whole."""
        if self.reason is None and not self._ended:
            return False
        self._close()
        return True

    def _choice(self, choice: _Choice) -> None:
        delta = choice.delta
        if delta is not None:
            self._delta(delta)
        if choice.finish_reason:
            self.reason = choice.finish_reason
        if choice.logprobs != _NULL:
            self._writer.lose("logprobs")

    def _delta(self, delta: _Delta) -> None:
        writer = self._writer
        # Some servers send the same thought under both names.
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            writer.thinking(thought)
        content = delta.content
        if content:
            if isinstance(content, str):
                writer.text(content)
            else:
                self._parts(content)
        if delta.refusal:
            writer.refusal(delta.refusal)
        for call in delta.tool_calls or ():
            self._tool_delta(call)
        if delta.function_call is not None:
            self._tool_delta(_ToolDelta(index=0, function=delta.function_call))

    def _parts(self, parts: list[_Part]) -> None:
        for part in parts:
            if part.thinking:
                thought = part.thinking
                said = thought if isinstance(thought, str) else "".join(p.text or "" for p in thought)
                self._writer.thinking(said)
            elif part.text:
                self._writer.text(part.text)
            else:
                self._writer.lose(f"content.{part.type}")

    def _tool_delta(self, delta: _ToolDelta) -> None:
        tool = self._tool(delta)
        function = delta.function or _Function()
        if function.name and not tool.name:
            tool.name = function.name
        piece = _arguments(function.arguments)
        if tool.index < 0 and tool.name:
            tool.index = self._told
            self._told += 1
            tool.call_id = tool.call_id or f"call_{self._writer.context.answer_id}_{tool.index}"
            self._writer.tool(tool.index, tool.call_id, tool.name)
            piece = tool.waiting + piece
        if tool.index < 0:
            tool.waiting += piece
        elif piece:
            self._writer.arguments(tool.index, piece)

    def _tool(self, delta: _ToolDelta) -> _Tool:
        """Which call a delta belongs to. A new id at a known index is another call: some servers
        number every call 0, or none at all."""
        key = self._last_key if delta.index is None else delta.index
        tool = self._tools.get(key)
        if tool is None or (delta.id and tool.call_id and tool.call_id != delta.id):
            tool = self._tools[key] = _Tool(delta.id or "")
        elif delta.id and not tool.call_id:
            tool.call_id = delta.id
        self._last_key = key
        return tool

    def _close(self) -> None:
        if any(tool.index < 0 and tool.waiting for tool in self._tools.values()):
            self._writer.lose("tool_call.name")
        if self.reason in _BROKEN:
            message = f"The upstream ended its answer with the finish reason {self.reason!r}."
            self._writer.fail(CallError(kind="upstream", status=502, message=message, source="upstream"))
            return
        usage = None if self.usage_raw is None else usage_of("chat", self.usage_raw)
        self._writer.close(finish_from("chat", self.reason), None, usage)


def _arguments(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json_bytes(value).decode()
