"""Uses of tools, told over the control API and by hooks of agents: into the ledger, each of them once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.query import find
from freehold.receipts.spool import take
from freehold.receipts.tools import ToolUse, ToolView, read_tool, tool_id, tool_receipt, tool_view

_MOST_REMEMBERED = 4_096
_AT_ONCE_BYTES = 64 * 1024
"""What is longer is hashed in a thread."""


class ToolBook:
    """For the event loop's thread. `append` writes to the ledger."""

    def __init__(
        self, home: Path, append: Callable[[Receipt], None], next_id: Callable[[int], str], clock: Clock
    ) -> None:
        self._home = home
        self._append = append
        self._next_id = next_id
        self._clock = clock
        self._newest: OrderedDict[str, Receipt] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def post(self, raw: bytes) -> ToolView:
        """Record one use. The same call in the same session has one entry, however often it is posted.

        Raises FreeholdError with what is wrong with `raw`, LedgerError when it cannot be recorded.
        """
        now_ms = self._clock.now_ms()
        if len(raw) <= _AT_ONCE_BYTES:
            use = read_tool(raw, now_ms)
        else:
            use = await asyncio.to_thread(read_tool, raw, now_ms)
        if not use.call_id:
            return tool_view(self._record(use, self._next_id(now_ms)))
        async with self._one_at_a_time:
            receipt_id = tool_id(use.session, use.call_id)
            before = self._newest.get(receipt_id) or await asyncio.to_thread(self._find, receipt_id)
            if before is not None:
                return tool_view(before, repeated=True)
            receipt = self._record(use, receipt_id)
            self._newest[receipt_id] = receipt
            if len(self._newest) > _MOST_REMEMBERED:
                self._newest.popitem(last=False)
            return tool_view(receipt)

    async def take_spool(self) -> int:
        """Record what hooks have kept while no Freehold answered; so many were new. What cannot be read is
        left out. Raises LedgerError or OSError; then the rest is taken the next time."""
        events, new = take(self._home), 0
        while True:
            event = await asyncio.to_thread(_next, events)
            if event is None:
                return new
            try:
                view = await self.post(event)
            except LedgerError:
                raise
            except FreeholdError:
                continue
            new += not view.repeated

    def _record(self, use: ToolUse, receipt_id: str) -> Receipt:
        receipt = tool_receipt(use, receipt_id)
        self._append(receipt)
        return receipt

    def _find(self, receipt_id: str) -> Receipt | None:
        try:
            return find(self._home, receipt_id)[1]
        except LedgerError:  # there is none
            return None


def _next(events: Iterator[bytes]) -> bytes | None:
    return next(events, None)
