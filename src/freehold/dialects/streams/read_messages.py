"""Messages events from an upstream."""

from __future__ import annotations

import msgspec

from freehold.core.usage import Usage
from freehold.dialects.conversation import Thinking
from freehold.dialects.errors import parse_error
from freehold.dialects.finish import finish_from
from freehold.dialects.seals import seal
from freehold.dialects.streams.writer import Writer
from freehold.dialects.usage import merge_usage, usage_of

_NULL = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    usage: msgspec.Raw = _NULL


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _NULL
    data: str | None = None


class _Delta(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = _NULL


_decode = msgspec.json.Decoder(_Event).decode


class _Tool:
    __slots__ = ("index", "initial", "spoke")

    def __init__(self, index: int, initial: str) -> None:
        self.index = index
        self.initial = initial
        self.spoke = False


class MessagesReader:
    """Reads event payloads; the terminal one is `message_stop`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._tools: dict[int, _Tool] = {}
        self.reason: str | None = None
        self._stop_sequence: str | None = None
        self._signature = ""
        self.usage_raw: bytes | None = None

    def read(self, data: bytes) -> None:
        """Raises `msgspec.DecodeError` for what is no Messages event."""
        event = _decode(data)
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None:
                self._delta(event.index, event.delta)
        elif kind == "content_block_start":
            if event.content_block is not None:
                self._start(event.index, event.content_block)
        elif kind == "content_block_stop":
            self._stop(event.index)
        elif kind == "message_start":
            self._learn(event.message.usage if event.message else _NULL)
            self._writer.begin(self._usage())
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_stop":
            self._close()
        elif kind == "ping":
            self._writer.ping()
        elif kind == "error":
            self._writer.fail(parse_error(0, data))

    def end(self) -> bool:
        """The stream ended without `message_stop`; False when the answer is not whole."""
        if self.reason is None:
            return False
        self._close()
        return True

    def _start(self, index: int, block: _Block) -> None:
        self._writer.begin()
        if block.type == "text":
            self._say(block.text)
        elif block.type == "thinking":
            self._signature = block.signature or ""
            self._think(block.thinking)
        elif block.type == "redacted_thinking":
            self._seal(Thinking(maker="messages", redacted=block.data or ""))
        elif block.type == "tool_use":
            tool = self._tools[index] = _Tool(len(self._tools), _initial(block.input))
            call_id = block.id or f"toolu_{self._writer.context.answer_id}_{tool.index}"
            self._writer.tool(tool.index, call_id, block.name or "")
        else:
            self._writer.lose(f"content.{block.type}")

    def _delta(self, index: int, delta: _Delta) -> None:
        kind = delta.type
        if kind == "text_delta":
            self._say(delta.text)
        elif kind == "thinking_delta":
            self._think(delta.thinking)
        elif kind == "input_json_delta":
            tool = self._tools.get(index)
            if tool is not None and delta.partial_json:
                tool.spoke = True
                self._writer.arguments(tool.index, delta.partial_json)
        elif kind == "signature_delta":
            self._signature = delta.signature or ""
        elif kind == "citations_delta":
            self._writer.lose("citations")

    def _stop(self, index: int) -> None:
        if self._signature:
            self._seal(Thinking(maker="messages", signature=self._signature))
            self._signature = ""
        tool = self._tools.get(index)
        if tool is None:
            return
        if not tool.spoke and tool.initial:
            self._writer.arguments(tool.index, tool.initial)
        self._writer.tool_end(tool.index)

    def _say(self, text: str | None) -> None:
        if text:
            self._writer.begin()
            self._writer.text(text)

    def _think(self, thought: str | None) -> None:
        if thought:
            self._writer.begin()
            self._writer.thinking(thought)

    def _seal(self, thought: Thinking) -> None:
        kept = seal(thought)
        if kept:
            self._writer.seal(kept)

    def _message_delta(self, event: _Event) -> None:
        if event.delta is not None:
            self.reason = event.delta.stop_reason or self.reason
            self._stop_sequence = event.delta.stop_sequence or self._stop_sequence
        self._learn(event.usage)

    def _learn(self, raw: msgspec.Raw) -> None:
        if raw != _NULL:
            self.usage_raw = merge_usage(self.usage_raw, bytes(raw))

    def _usage(self) -> Usage | None:
        return None if self.usage_raw is None else usage_of("messages", self.usage_raw)

    def _close(self) -> None:
        self._writer.close(finish_from("messages", self.reason), self._stop_sequence, self._usage())


def _initial(value: msgspec.Raw) -> str:
    """Arguments that came whole with the block's start (servers that do not stream them)."""
    raw = bytes(value).decode()
    return "" if raw.strip() in ("", "null", "{}") else raw
