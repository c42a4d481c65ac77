"""Uses of tools are recorded once each, whoever tells of them, and however often."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.app.tool_receipts import ToolBook
from freehold.core.errors import FreeholdError
from freehold.gateway.ids import ReceiptIds
from freehold.receipts import spool
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.ledger import Ledger
from freehold.receipts.tools import tool_of
from tests.receipts.story import START_MS, FakeClock


class Desk:
    """A ledger and the book before it; `again` is the next start of the house."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger.open(home, clock=FakeClock())
        self.book = ToolBook(home, self.ledger.append, ReceiptIds().next, FakeClock())

    def again(self) -> Desk:
        self.ledger.close()
        return Desk(self.home)

    def entries(self) -> list[Receipt]:
        return [receipt for _, receipt in self.ledger.tail(0)]


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def body(**facts: Any) -> bytes:
    return msgspec.json.encode({"tool": "Bash", "call_id": "toolu_1", "session": "s1"} | facts)


async def test_a_use_is_recorded(desk: Desk) -> None:
    view = await desk.book.post(body(server="files", duration_ms=12, error="no", agent="a", task="t"))
    (entry,) = desk.entries()
    use = tool_of(entry)
    assert use is not None
    assert (view.id, view.ok, view.repeated) == (entry.id, False, False)
    assert (use.tool, use.server, use.error, use.agent, use.task) == ("Bash", "files", "no", "a", "t")
    assert (use.started_ms, use.duration_us) == (START_MS - 12, 12_000)


async def test_posting_twice_gives_the_same_receipt_also_after_a_restart(desk: Desk) -> None:
    first = await desk.book.post(body())
    second = await desk.book.post(body(result="told later"))
    assert (second.id, second.repeated) == (first.id, True)
    later = desk.again()
    third = await later.book.post(body())
    assert (third.id, third.repeated, len(later.entries())) == (first.id, True, 1)
    later.ledger.close()


async def test_many_at_once_give_one_receipt(desk: Desk) -> None:
    views = await asyncio.gather(*(desk.book.post(body()) for _ in range(20)))
    assert len({view.id for view in views}) == 1
    assert sum(not view.repeated for view in views) == len(desk.entries()) == 1


async def test_another_session_or_no_call_id_is_another_use(desk: Desk) -> None:
    for facts in ({}, {"session": "s2"}, {"call_id": ""}, {"call_id": ""}):
        await desk.book.post(body(**facts))
    assert len({entry.id for entry in desk.entries()}) == 4


async def test_what_is_wrong_is_said_and_not_recorded(desk: Desk) -> None:
    with pytest.raises(FreeholdError, match="no use of a tool"):
        await desk.book.post(b'{"tol": 1}')
    with pytest.raises(FreeholdError, match="no use of a tool"):
        await desk.book.post(b"[" * 100_000)
    assert desk.entries() == []


async def test_a_start_takes_in_what_hooks_have_kept(desk: Desk) -> None:
    await desk.book.post(body())
    for event in (body(), b"torn", body(call_id="toolu_2", started_ms=START_MS - 5)):
        spool.add(desk.home, event)
    assert await desk.book.take_spool() == 1
    assert [entry.started_ms for entry in desk.entries()] == [START_MS, START_MS - 5]
    assert await desk.book.take_spool() == 0


async def test_a_ledger_that_cannot_write_keeps_them_for_the_next_start(desk: Desk) -> None:
    def full(_: Receipt) -> None:
        raise LedgerError("the disk is full")

    for number in range(3):
        spool.add(desk.home, body(call_id=f"toolu_{number}"))
    with pytest.raises(LedgerError, match="full"):
        await ToolBook(desk.home, full, ReceiptIds().next, FakeClock()).take_spool()
    assert await desk.book.take_spool() == 3
