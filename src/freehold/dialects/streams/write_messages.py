"""Anthropic Messages events for the client.

Grammar: `message_start`, per block `content_block_start`, deltas, `content_block_stop` with rising
indexes and one block open at a time, then one `message_delta` (stop reason, cumulative usage) and
`message_stop`; `ping` any time; `error` instead of the rest (anthropic-sdk-python, `types/`).
"""

from __future__ import annotations

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import TranslationContext
from freehold.dialects.errors import error_event
from freehold.dialects.finish import Finish, finish_to
from freehold.dialects.streams.blocks import Block, BlockWriter
from freehold.dialects.streams.writer import json_bytes
from freehold.dialects.usage import usage_object

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_DELTAS: dict[str, bytes] = {
    "text": b'"delta":{"type":"text_delta","text":',
    "refusal": b'"delta":{"type":"text_delta","text":',
    "thinking": b'"delta":{"type":"thinking_delta","thinking":',
    "tool": b'"delta":{"type":"input_json_delta","partial_json":',
}


def event(name: str, body: dict[str, object]) -> bytes:
    """A server-sent event whose name is also its `type`."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), json_bytes({"type": name, **body}))


class MessagesWriter(BlockWriter):
    """Writes Messages events; a thinking delta after text opens a new thinking block."""

    def __init__(self, context: TranslationContext) -> None:
        super().__init__(context)
        self._index = -1
        self._delta_head = b""

    def ping(self) -> None:
        self._out.append(PING)

    def _opening(self, usage: Usage) -> None:
        message: dict[str, object] = {
            "id": f"msg_{self.context.answer_id}",
            "type": "message",
            "role": "assistant",
            "model": self.context.model_asked,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object("messages", usage),
        }
        self._out.append(event("message_start", {"message": message}))

    def _start(self, block: Block) -> None:
        self._index += 1
        body: dict[str, object] = {"index": self._index, "content_block": self._content_block(block)}
        self._out.append(event("content_block_start", body))
        self._delta_head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,%s'
            % (self._index, _DELTAS[block.kind])
        )

    def _content_block(self, block: Block) -> dict[str, object]:
        if block.kind == "thinking":
            # The field is required; a signature, if there is one, comes as the block's last delta.
            return {"type": "thinking", "thinking": "", "signature": ""}
        if block.kind == "tool":
            name = self._origin(block.name).name
            return {"type": "tool_use", "id": block.call_id, "name": name, "input": {}}
        return {"type": "text", "text": ""}

    def _piece(self, block: Block, delta: str) -> None:
        self._out.append(b"%s%s}}\n\n" % (self._delta_head, json_bytes(delta)))

    def _stop(self, block: Block) -> None:
        if block.seal:
            self._out.append(
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"signature_delta","signature":%s}}\n\n'
                % (self._index, json_bytes(block.seal))
            )
        self._out.append(
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index
        )

    def _closing(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        if self._refused and finish == "stop":
            finish = "refusal"
        self._finish_blocks(finish)
        body: dict[str, object] = {
            "delta": {"stop_reason": finish_to("messages", finish), "stop_sequence": stop_sequence},
            "usage": usage_object("messages", usage or Usage()),
        }
        self._out.append(event("message_delta", body))
        self._out.append(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')

    def _failing(self, error: CallError) -> None:
        # An open text block is closed. A tool call whose arguments broke off is not: agents run a
        # tool when its block stops, and half an argument is worse than none.
        head = self._head
        if head is not None and head.kind != "tool":
            self._stop(head)
        self._out.append(error_event(error, "messages", f"req_{self.context.answer_id}"))
