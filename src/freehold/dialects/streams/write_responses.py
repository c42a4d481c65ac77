"""OpenAI Responses events for the client.

Grammar: `event:` equals `type`, `sequence_number` rises by one, `created` and `in_progress` first,
every item and part has its `added`, deltas, `done`, then exactly one of `completed`, `incomplete`
and `failed`, each with the full object (openai-python, `types/responses/`). One item is open at a
time; reasoning is told as a summary, which clients show and send back in the next turn.
"""

from __future__ import annotations

from typing import Any

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import ToolOrigin, TranslationContext
from freehold.dialects.errors import failed_event
from freehold.dialects.finish import Finish, responses_status
from freehold.dialects.streams.blocks import Block, BlockWriter
from freehold.dialects.streams.custom_input import InputText
from freehold.dialects.streams.response_object import response_object
from freehold.dialects.streams.writer import json_bytes
from freehold.dialects.usage import usage_object

_Item = dict[str, Any]


class ResponsesWriter(BlockWriter):
    """Writes Responses events.

    `opened_events` counts the events that `signs` already sent on this stream: then `created` is
    not said again and the numbers go on from there.
    """

    def __init__(self, context: TranslationContext, opened_events: int = 0) -> None:
        super().__init__(context)
        self._sequence = opened_events
        self._response = response_object(
            answer_id=context.answer_id,
            model=context.model_asked,
            created_s=context.created_s,
            echo=context.echo,
        )
        self._opened = opened_events > 0
        self._output: list[_Item] = []
        self._item: _Item = {}
        self._place: dict[str, object] = {}
        self._input: InputText | None = None
        self._delta_head = b""

    def ping(self) -> None:
        self.begin()
        self._event("response.in_progress", {"response": self._response})

    def _event(self, name: str, body: dict[str, object]) -> None:
        data = json_bytes({"type": name, "sequence_number": self._sequence, **body})
        self._sequence += 1
        self._out.append(b"event: %s\ndata: %s\n\n" % (name.encode(), data))

    def _opening(self, usage: Usage) -> None:
        if not self._opened:
            self._event("response.created", {"response": self._response})
            self._event("response.in_progress", {"response": self._response})

    # --- one item after the other

    def _start(self, block: Block) -> None:
        item = self._item = self._new_item(block)
        place = self._place = {"item_id": item["id"], "output_index": len(self._output)}
        self._event("response.output_item.added", {"output_index": len(self._output), "item": item})
        if block.kind in ("text", "refusal"):
            place["content_index"] = 0
            self._event("response.content_part.added", {**place, "part": _part(block, "")})
        elif block.kind == "thinking" and block.pieces:  # a seal alone has no summary
            place["summary_index"] = 0
            self._event("response.reasoning_summary_part.added", {**place, "part": _part(block, "")})
        fixed = json_bytes({"type": _delta_name(item, block), **place, **_logprobs(block)})
        self._delta_head = b'event: %s\ndata: %s,"delta":' % (_delta_name(item, block).encode(), fixed[:-1])

    def _new_item(self, block: Block) -> _Item:
        number = f"{self.context.answer_id}_{len(self._output)}"
        if block.kind == "thinking":
            return {"id": f"rs_{number}", "type": "reasoning", "summary": []}
        if block.kind == "tool":
            return self._new_call(block, number)
        return {
            "id": f"msg_{number}",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }

    def _new_call(self, block: Block, number: str) -> _Item:
        origin: ToolOrigin = self._origin(block.name)
        custom = origin.kind == "custom"
        self._input = InputText() if custom else None
        item: _Item = {
            "id": f"ctc_{number}" if custom else f"fc_{number}",
            "type": "custom_tool_call" if custom else "function_call",
            "status": "in_progress",
            "call_id": block.call_id,
            "name": origin.name,
            "input" if custom else "arguments": "",
        }
        if origin.namespace:
            item["namespace"] = origin.namespace
        return item

    def _piece(self, block: Block, delta: str) -> None:
        if block.kind == "tool" and self._input is not None:
            delta = self._input.feed(delta)
            if not delta:
                return
            self._item["input"] += delta
        self._delta(delta)

    def _delta(self, delta: str) -> None:
        self._out.append(
            b'%s%s,"sequence_number":%d}\n\n' % (self._delta_head, json_bytes(delta), self._sequence)
        )
        self._sequence += 1

    def _stop(self, block: Block) -> None:
        if block.kind == "tool":
            self._stop_call(block)
        elif block.kind == "thinking":
            self._stop_reasoning(block)
        else:
            self._stop_message(block)
        item = self._item
        if "status" in item:
            item["status"] = "completed" if block.complete else "incomplete"
        self._event("response.output_item.done", {"output_index": len(self._output), "item": item})
        self._output.append(item)

    def _stop_message(self, block: Block) -> None:
        text = block.content
        if block.kind == "refusal":
            self._event("response.refusal.done", {**self._place, "refusal": text})
        else:
            self._event("response.output_text.done", {**self._place, "text": text, "logprobs": []})
        part = _part(block, text)
        self._event("response.content_part.done", {**self._place, "part": part})
        self._item["content"] = [part]

    def _stop_reasoning(self, block: Block) -> None:
        text = block.content
        if text:
            part = _part(block, text)
            self._event("response.reasoning_summary_text.done", {**self._place, "text": text})
            self._event("response.reasoning_summary_part.done", {**self._place, "part": part})
            self._item["summary"] = [part]
        if block.seal:
            self._item["encrypted_content"] = block.seal

    def _stop_call(self, block: Block) -> None:
        item = self._item
        if self._input is None:
            item["arguments"] = block.content or "{}"
            body = {**self._place, "name": item["name"], "arguments": item["arguments"]}
            self._event("response.function_call_arguments.done", body)
            return
        rest = self._input.end()
        if rest:
            item["input"] += rest
            self._delta(rest)
        self._event("response.custom_tool_call_input.done", {**self._place, "input": item["input"]})

    # --- the end

    def _closing(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        self._finish_blocks(finish)
        status, reason = responses_status(finish)
        response = {
            **self._response,
            "status": status,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": self._output,
            "usage": None if usage is None else usage_object("responses", usage),
        }
        self._event(f"response.{status}", {"response": response})

    def _failing(self, error: CallError) -> None:
        # Items that did not end get no `done`: Codex runs a call as soon as it is done.
        self.begin()
        response = {**self._response, "output": self._output}
        self._out.append(failed_event(response, error, self._sequence))
        self._sequence += 1


def _part(block: Block, text: str) -> dict[str, object]:
    if block.kind == "refusal":
        return {"type": "refusal", "refusal": text}
    if block.kind == "thinking":
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _delta_name(item: _Item, block: Block) -> str:
    if block.kind == "text":
        return "response.output_text.delta"
    if block.kind == "refusal":
        return "response.refusal.delta"
    if block.kind == "thinking":
        return "response.reasoning_summary_text.delta"
    custom = item["type"] == "custom_tool_call"
    return "response.custom_tool_call_input.delta" if custom else "response.function_call_arguments.delta"


def _logprobs(block: Block) -> dict[str, object]:
    return {"logprobs": []} if block.kind == "text" else {}
