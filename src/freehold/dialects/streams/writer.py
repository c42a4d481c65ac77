"""The neutral steps of an answer, and the half of every client's writer that does not depend on its grammar.

Readers (`read_*`) turn an upstream's events into calls of these methods; writers (`write_*`) turn
the calls into the client's bytes. Calls instead of event objects: one streamed token costs one call.
"""

from __future__ import annotations

import msgspec

from freehold.core.errors import CallError
from freehold.core.usage import Usage
from freehold.dialects.context import ToolOrigin, TranslationContext
from freehold.dialects.finish import Finish

json_bytes = msgspec.json.Encoder().encode


class Writer:
    """One answer on its way to the client, as bytes.

    Order of calls: `begin` first (again is harmless), then content in any order, then exactly one
    of `close` and `fail`; whatever comes after is ignored. Tools are numbered 0, 1, ... by `tool`.
    `take` hands out the bytes made since it was last called.
    """

    def __init__(self, context: TranslationContext) -> None:
        self.context = context
        self.finished = False
        self.failure = ""
        self._begun = False
        self._tools_seen = 0
        self._refused = False
        self._out: list[bytes] = []
        self._losses: dict[str, None] = {}

    @property
    def losses(self) -> tuple[str, ...]:
        return tuple(self._losses)

    def lose(self, code: str) -> None:
        """Something of the upstream's answer has no place in the client's dialect."""
        self._losses[code] = None

    def take(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def begin(self, usage: Usage | None = None) -> None:
        """The upstream has begun; `usage` is what it told so far."""
        if not self._begun:
            self._begun = True
            self._opening(usage or Usage())

    def close(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        """The answer is complete: everything that is still owed, and the terminal event.

        A word that contradicts what was seen is corrected: "stop" after tool calls (clients would
        not run them), "tool_calls" without one (clients would wait for it).
        """
        if self.finished:
            return
        self.begin()
        if finish == "stop" and self._tools_seen:
            finish = "tool_calls"
        elif finish == "tool_calls" and not self._tools_seen:
            finish = "stop"
        self._closing(finish, stop_sequence, usage)
        self.finished = True

    def fail(self, error: CallError) -> None:
        """The answer ends here, honestly."""
        if not self.finished:
            self.failure = error.message
            self._failing(error)
            self.finished = True

    def ping(self) -> None:
        """A sign of life, when the upstream gives one."""

    def text(self, delta: str) -> None:
        raise NotImplementedError

    def refusal(self, delta: str) -> None:
        raise NotImplementedError

    def thinking(self, delta: str) -> None:
        raise NotImplementedError

    def seal(self, kept: str) -> None:
        """The thought just told is over, and signed: `kept` is its `seals.seal` (maybe of no text)."""
        self.lose("thinking.signature")

    def tool(self, index: int, call_id: str, name: str) -> None:
        """A tool call begins; `name` is the upstream's name for it."""
        raise NotImplementedError

    def arguments(self, index: int, delta: str) -> None:
        raise NotImplementedError

    def tool_end(self, index: int) -> None:
        """The upstream said that this call's arguments are complete."""
        raise NotImplementedError

    def _opening(self, usage: Usage) -> None:
        raise NotImplementedError

    def _closing(self, finish: Finish, stop_sequence: str | None, usage: Usage | None) -> None:
        raise NotImplementedError

    def _failing(self, error: CallError) -> None:
        raise NotImplementedError

    def _origin(self, name: str) -> ToolOrigin:
        return self.context.tools.get(name) or ToolOrigin(name=name)
