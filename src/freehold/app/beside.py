"""What goes on beside the calls: begun at any time, one of each name, awaited by whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

Work = Callable[[], Coroutine[object, object, None]]


class Beside:
    """`begin` and `end` may be called before `run`, and while it runs. A work that fails is told, and the
    others go on: telemetry that stopped is no reason to stop serving."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._wanted: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def begin(self, name: str, work: Work) -> None:
        """Let it go on until it ends by itself, or `end` is called. One of this name that goes on stays."""
        if name in self._wanted:
            return
        self._wanted[name] = work
        if self._group is not None:
            self._start(self._group, name, work)

    async def end(self, name: str) -> None:
        """Cancel it, and wait until it has ended."""
        self._wanted.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def run(self) -> None:
        """Let all of it go on, until cancelled; then all of it has ended."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, work in tuple(self._wanted.items()):
                self._start(group, name, work)
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def _start(self, group: asyncio.TaskGroup, name: str, work: Work) -> None:
        self._tasks[name] = group.create_task(self._through(name, work), name=name)

    async def _through(self, name: str, work: Work) -> None:
        try:
            await work()
        except Exception as error:
            self._complain(f"{name} stopped: {type(error).__name__}: {error}")
