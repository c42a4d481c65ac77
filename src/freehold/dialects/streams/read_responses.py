"""Responses events from an upstream.

An item whose deltas a server left out is read from its `output_item.done`, and a whole output from
the terminal event, so that nothing is lost and nothing said twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.core.usage import Usage
from freehold.dialects.conversation import Thinking
from freehold.dialects.errors import parse_error
from freehold.dialects.finish import finish_from
from freehold.dialects.seals import seal
from freehold.dialects.streams.writer import Writer, json_bytes
from freehold.dialects.usage import usage_of

_NULL = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: Any = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    output: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    incomplete_details: _Incomplete | None = None


class _Event(msgspec.Struct):
    type: str = ""
    output_index: int = 0
    summary_index: int = 0
    delta: Any = None
    item: _Item | None = None
    response: _Response | None = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_items = msgspec.json.Decoder(list[_Item] | None).decode

_THOUGHTS = {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
_TOOLS = {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"}


class _Open:
    """An output item: whether deltas spoke for it, and which tool it is."""

    __slots__ = ("custom", "done", "summary", "tool", "voice")

    def __init__(self) -> None:
        self.voice = ""
        """The kind of delta that speaks for this item; reasoning may come as summary and as text."""
        self.tool = -1
        self.custom = False
        self.done = False
        self.summary = 0


class ResponsesReader:
    """Reads event payloads; terminal are `completed`, `incomplete`, `failed` and `error`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._items: dict[int, _Open] = {}
        self._told = 0
        self.usage_raw: bytes | None = None
        self.reason: str | None = None

    def read(self, data: bytes) -> None:
        """Raises `msgspec.DecodeError` for what is no Responses event."""
        event = _decode(data)
        kind = event.type
        if isinstance(event.delta, str):
            self._writer.begin()
            self._delta(event, kind, event.delta)
        elif kind == "response.output_item.added":
            self._writer.begin()
            self._added(event)
        elif kind == "response.output_item.done":
            self._writer.begin()
            self._done(event.output_index, event.item or _Item())
        elif kind in ("response.completed", "response.incomplete"):
            self._close(kind, event.response or _Response())
        elif kind == "response.failed":
            error = event.response.error if event.response else _NULL
            self._writer.fail(parse_error(0, b'{"error":%s}' % bytes(error)))
        elif kind == "error":
            self._writer.fail(parse_error(0, data))
        elif kind == "response.created":
            self._writer.begin()
        elif kind == "response.in_progress":
            self._writer.ping()
        elif kind == "response.output_text.annotation.added":
            self._writer.lose("annotations")

    def end(self) -> bool:
        """The stream ended without a terminal event: the answer is not whole."""
        return False

    def _open(self, index: int) -> _Open:
        found = self._items.get(index)
        if found is None:
            found = self._items[index] = _Open()
        return found

    def _delta(self, event: _Event, kind: str, delta: str) -> None:
        if not delta:
            return
        item = self._open(event.output_index)
        writer = self._writer
        if kind == "response.output_text.delta":
            item.voice = item.voice or kind
            writer.text(delta)
        elif kind == "response.refusal.delta":
            item.voice = item.voice or kind
            writer.refusal(delta)
        elif kind in _THOUGHTS:
            item.voice = item.voice or kind
            if item.voice == kind:  # a summary repeats the text that it sums up
                if event.summary_index != item.summary:
                    item.summary = event.summary_index
                    delta = "\n\n" + delta
                writer.thinking(delta)
        elif kind in _TOOLS and item.tool >= 0:
            item.voice = kind
            writer.arguments(item.tool, json_bytes(delta)[1:-1].decode() if item.custom else delta)

    def _added(self, event: _Event) -> None:
        if event.item is not None:
            self._begin_item(self._open(event.output_index), event.item)

    def _begin_item(self, known: _Open, item: _Item) -> None:
        if known.tool < 0 and item.type in ("function_call", "custom_tool_call"):
            known.tool = self._told
            self._told += 1
            known.custom = item.type == "custom_tool_call"
            call_id = item.call_id or f"call_{self._writer.context.answer_id}_{known.tool}"
            self._writer.tool(known.tool, call_id, item.name or "")
            if known.custom:
                self._writer.arguments(known.tool, '{"input":"')

    def _done(self, index: int, item: _Item) -> None:
        known = self._open(index)
        if known.done:
            return
        known.done = True
        self._begin_item(known, item)
        if known.tool >= 0:
            self._end_tool(known, item)
        elif item.type == "message":
            if not known.voice:
                self._parts(item.content)
        elif item.type == "reasoning":
            if not known.voice:
                self._writer_thinks(item)
            if item.encrypted_content:
                thought = Thinking(maker="responses", id=item.id or "", signature=item.encrypted_content)
                self._writer.seal(seal(thought))
        else:
            self._writer.lose(f"output.{item.type}")

    def _end_tool(self, known: _Open, item: _Item) -> None:
        whole = item.input if known.custom else item.arguments
        if not known.voice and isinstance(whole, str) and whole:
            said = json_bytes(whole)[1:-1].decode() if known.custom else whole
            self._writer.arguments(known.tool, said)
        if known.custom:
            self._writer.arguments(known.tool, '"}')
        self._writer.tool_end(known.tool)

    def _parts(self, parts: list[_Part] | None) -> None:
        for part in parts or ():
            if part.refusal:
                self._writer.refusal(part.refusal)
            elif part.text:
                self._writer.text(part.text)

    def _writer_thinks(self, item: _Item) -> None:
        for parts in (item.summary, item.content):
            said = "\n\n".join(part.text for part in parts or () if part.text)
            if said:
                self._writer.thinking(said)
                return

    def _close(self, kind: str, response: _Response) -> None:
        self._writer.begin()
        for index, item in enumerate(_decode_items(response.output) or ()):
            if not self._items or index in self._items:
                self._done(index, item)
        usage: Usage | None = None
        if response.usage != _NULL:
            self.usage_raw = bytes(response.usage)
            usage = usage_of("responses", self.usage_raw)
        reason = response.incomplete_details.reason if response.incomplete_details else None
        word = (reason or "incomplete") if kind == "response.incomplete" else "completed"
        self.reason = word
        self._writer.close(finish_from("responses", word), None, usage)
