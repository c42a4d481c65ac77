"""What goes on beside the calls: begun early or late, ended one by one or all at once, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from freehold.app.beside import Beside


class Works:
    """Works that say when they begin and end."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.beside = Beside(self.told.put_nowait)

    def begin(self, name: str) -> None:
        async def work() -> None:
            self.told.put_nowait(f"{name} begins")
            try:
                await asyncio.Event().wait()
            finally:
                self.told.put_nowait(f"{name} ends")

        self.beside.begin(name, work)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.beside.run())
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return await self.told.get()


async def test_works_begin_before_and_while_it_runs_and_end_with_it() -> None:
    works = Works()
    works.begin("a")
    async with works.running():
        assert await works.next() == "a begins"
        works.begin("b")
        assert await works.next() == "b begins"
        works.begin("b")  # it goes on already
    assert {await works.next(), await works.next()} == {"a ends", "b ends"}
    assert works.told.empty()


async def test_one_is_ended_alone_and_may_begin_again() -> None:
    works = Works()
    works.begin("a")
    works.begin("b")
    async with works.running():
        assert [await works.next(), await works.next()] == ["a begins", "b begins"]
        await works.beside.end("a")
        assert works.told.get_nowait() == "a ends", "it has ended when `end` returns"
        works.begin("a")
        assert await works.next() == "a begins"
        await works.beside.end("nobody")


async def test_one_that_fails_is_told_and_the_others_go_on() -> None:
    works = Works()

    async def broken() -> None:
        raise OSError("no room")

    works.begin("a")
    works.beside.begin("b", broken)
    async with works.running():
        assert await works.next() == "a begins"
        assert await works.next() == "b stopped: OSError: no room"
        works.begin("c")
        assert await works.next() == "c begins"
