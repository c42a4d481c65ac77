"""One open block at a time: the order that Messages demands and Responses clients expect.

Chat upstreams may interleave (arguments of two parallel tool calls by turns, text between them).
Here every piece of content belongs to a block in a queue; only the head of the queue is written,
the others wait until it is over.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from freehold.dialects.context import TranslationContext
from freehold.dialects.finish import Finish, responses_status
from freehold.dialects.streams.writer import Writer

BlockKind = Literal["text", "refusal", "thinking", "tool"]


class Block:
    """A run of content of one kind; `pieces` holds all of it, written or waiting."""

    __slots__ = ("call_id", "complete", "kind", "name", "opened", "over", "pieces", "seal")

    def __init__(self, kind: BlockKind, call_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.call_id = call_id
        self.name = name
        self.pieces: list[str] = []
        self.opened = False
        self.over = False
        self.complete = True
        self.seal = ""

    @property
    def content(self) -> str:
        return "".join(self.pieces)


class BlockWriter(Writer):
    """A writer that says one block after the other; subclasses write its start, pieces and end."""

    def __init__(self, context: TranslationContext) -> None:
        super().__init__(context)
        self._queue: deque[Block] = deque()
        self._head: Block | None = None
        self._tail: Block | None = None
        self._tools: dict[int, Block] = {}

    def text(self, delta: str) -> None:
        self._add("text", delta)

    def refusal(self, delta: str) -> None:
        self._refused = True
        self._add("refusal", delta)

    def thinking(self, delta: str) -> None:
        self._add("thinking", delta)

    def seal(self, kept: str) -> None:
        block = self._tail
        if block is None or block.kind != "thinking" or block.over:
            block = Block("thinking")
            self._append(block)
        block.seal = kept
        block.over = True
        self._advance()

    def tool(self, index: int, call_id: str, name: str) -> None:
        self._tools_seen += 1
        block = self._tools[index] = Block("tool", call_id, name)
        self._append(block)

    def arguments(self, index: int, delta: str) -> None:
        block = self._tools[index]
        if block is self._head:
            block.pieces.append(delta)
            self._piece(block, delta)
            if len(self._queue) > 1 and delta.rstrip().endswith("}"):
                self._advance()
        elif not block.opened:
            block.pieces.append(delta)
        elif delta.strip():
            self.lose("tool_call.arguments")  # came after a complete object: not JSON any more

    def tool_end(self, index: int) -> None:
        block = self._tools[index]
        block.over = True
        if block is self._head:
            self._advance()

    def _add(self, kind: BlockKind, delta: str) -> None:
        block = self._tail
        if block is None or block.kind != kind or block.over:
            block = Block(kind)
            block.pieces.append(delta)
            self._append(block)
            return
        block.pieces.append(delta)
        if block is self._head:
            self._piece(block, delta)

    def _append(self, block: Block) -> None:
        tail = self._tail
        if tail is not None and tail.kind != "tool":
            tail.over = True
        self._queue.append(block)
        self._tail = block
        self._advance()

    def _advance(self) -> None:
        """Writes the end of heads that are over, and the start and waiting pieces of the next.

        A tool that others wait behind is over when its arguments form a complete object.
        """
        queue = self._queue
        while queue:
            head = self._head = queue[0]
            if not head.opened:
                head.opened = True
                self._start(head)
                for piece in head.pieces:
                    self._piece(head, piece)
            if not (head.over or (len(queue) > 1 and is_object(head.content))):
                return
            queue.popleft()
            self._stop(head)
        self._head = self._tail = None

    def _finish_blocks(self, finish: Finish) -> None:
        """Ends every block. Incomplete are arguments that are no JSON object, and the last block of
        an answer that was cut off."""
        cut = responses_status(finish)[1] is not None
        for block in self._queue:
            block.over = True
            block.complete = is_object(block.content) if block.kind == "tool" and block.pieces else True
        if cut and self._tail is not None and self._tail.kind != "tool":
            self._tail.complete = False
        self._advance()

    def _start(self, block: Block) -> None:
        raise NotImplementedError

    def _piece(self, block: Block, delta: str) -> None:
        raise NotImplementedError

    def _stop(self, block: Block) -> None:
        raise NotImplementedError


def is_object(arguments: str) -> bool:
    """Whether `arguments` is one complete JSON object."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
