"""OpenAI chat completion chunks for the client.

Grammar: `data:` lines only; first the role, then content, reasoning (`reasoning_content`, the
name that DeepSeek and llama.cpp use) and tool call deltas by index, one chunk with
`finish_reason`, the usage chunk with `choices: []` when asked for, `data: [DONE]`.
"""

from __future__ import annotations

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import TranslationContext
from freehold.dialects.errors import error_event
from freehold.dialects.finish import Finish, finish_to
from freehold.dialects.streams.custom_input import InputText
from freehold.dialects.streams.writer import Writer, json_bytes
from freehold.dialects.usage import usage_object

KEEPALIVE = b": keepalive\n\n"


class ChatWriter(Writer):
    """Writes chat chunks; parallel tool calls may interleave, as the grammar allows."""

    def __init__(self, context: TranslationContext) -> None:
        super().__init__(context)
        self._frame = json_bytes(
            {
                "id": f"chatcmpl-{context.answer_id}",
                "object": "chat.completion.chunk",
                "created": context.created_s,
                "model": context.model_asked,
            }
        )[:-1]
        self._delta_head = b'data: %s,"choices":[{"index":0,"delta":' % self._frame
        # With usage asked for, every chunk before the usage chunk says null.
        self._after = b',"usage":null}\n\n' if context.include_usage else b"}\n\n"
        self._delta_tail = b',"logprobs":null,"finish_reason":null}]' + self._after
        self._without_arguments: set[int] = set()
        self._inputs: dict[int, InputText] = {}

    def ping(self) -> None:
        self._out.append(KEEPALIVE)

    def _delta(self, delta: bytes) -> None:
        self._out.append(b"%s%s%s" % (self._delta_head, delta, self._delta_tail))

    def _opening(self, usage: Usage) -> None:
        self._delta(b'{"role":"assistant","content":""}')

    def text(self, delta: str) -> None:
        self._delta(b'{"content":%s}' % json_bytes(delta))

    def refusal(self, delta: str) -> None:
        self._delta(b'{"refusal":%s}' % json_bytes(delta))

    def thinking(self, delta: str) -> None:
        self._delta(b'{"reasoning_content":%s}' % json_bytes(delta))

    def tool(self, index: int, call_id: str, name: str) -> None:
        self._tools_seen += 1
        origin = self._origin(name)
        call: dict[str, object] = {"index": index, "id": call_id}
        if origin.kind == "custom":
            self._inputs[index] = InputText()
            call |= {"type": "custom", "custom": {"name": origin.name, "input": ""}}
        else:
            self._without_arguments.add(index)
            call |= {"type": "function", "function": {"name": origin.name, "arguments": ""}}
        self._delta(b'{"tool_calls":[%s]}' % json_bytes(call))

    def arguments(self, index: int, delta: str) -> None:
        custom = self._inputs.get(index)
        if custom is not None:
            self._input(index, custom.feed(delta))
            return
        self._without_arguments.discard(index)
        self._delta(b'{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}' % (index, json_bytes(delta)))

    def tool_end(self, index: int) -> None:
        custom = self._inputs.pop(index, None)
        if custom is not None:
            self._input(index, custom.end())
        elif index in self._without_arguments:
            self.arguments(index, "{}")  # clients parse the arguments, and "" is not JSON

    def _input(self, index: int, text: str) -> None:
        if text:
            self._delta(b'{"tool_calls":[{"index":%d,"custom":{"input":%s}}]}' % (index, json_bytes(text)))

    def _closing(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        for index in sorted(self._without_arguments | self._inputs.keys()):
            self.tool_end(index)
        self._out.append(
            b'%s{},"logprobs":null,"finish_reason":"%s"}]%s'
            % (self._delta_head, finish_to("chat", finish).encode(), self._after)
        )
        if self.context.include_usage and usage is not None:
            body = json_bytes(usage_object("chat", usage))
            self._out.append(b'data: %s,"choices":[],"usage":%s}\n\n' % (self._frame, body))
        self._out.append(b"data: [DONE]\n\n")

    def _failing(self, error: CallError) -> None:
        self._out.append(error_event(error, "chat", f"req_{self.context.answer_id}"))
