"""What hooks kept is taken in while the house runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from freehold.app.spooled import keep_taking
from freehold.receipts import spool
from freehold.receipts.journal import LedgerError


class Book:
    """Refuses as often as it is told to; then takes everything."""

    def __init__(self, home: Path, refusals: int = 0) -> None:
        self.home = home
        self.refusals = refusals
        self.taken: list[bytes] = []

    async def take_spool(self) -> int:
        if self.refusals:
            self.refusals -= 1
            raise LedgerError("the disk is full")
        found = list(spool.take(self.home))
        self.taken += found
        return len(found)


async def looking(home: Path, book: Book, told: list[str], until: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        task = asyncio.create_task(keep_taking(home, lambda: book, told.append, look_s=0))
        while not until():
            assert not task.done()
            await asyncio.sleep(0)
        task.cancel()


async def test_what_comes_later_is_taken_too(tmp_path: Path) -> None:
    book = Book(tmp_path)
    spool.add(tmp_path, b"1")
    await looking(tmp_path, book, [], lambda: book.taken == [b"1"])
    spool.add(tmp_path, b"2")
    await looking(tmp_path, book, [], lambda: book.taken == [b"1", b"2"])


async def test_what_cannot_be_recorded_is_tried_again_and_told_once(tmp_path: Path) -> None:
    book, told = Book(tmp_path, refusals=3), list[str]()
    spool.add(tmp_path, b"1")
    await looking(tmp_path, book, told, lambda: book.taken == [b"1"])
    assert told == ["uses of tools that hooks kept cannot be recorded: the disk is full"]
