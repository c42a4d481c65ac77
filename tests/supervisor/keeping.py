"""Real engines for tests of the process layer: started in a home of their own, and none left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import psutil

from freehold.core.servers import Launch
from freehold.supervisor.process import EngineProcess

PYTHON = (sys.executable, "-I", "-S", "-c")


def python(code: str, env: Mapping[str, str] | None = None) -> Launch:
    return Launch(argv=(*PYTHON, code), env=env or {}, program="a test")


def shell(code: str) -> Launch:
    return Launch(argv=("/bin/sh", "-c", code), env={"PATH": "/bin:/usr/bin"}, program="a test")


SLEEPER = Launch(argv=("/bin/sleep", "600"), env={}, program="a sleeper")


async def until(check: Callable[[], object], within_s: float = 5.0) -> None:
    """For what nobody tells of: a file of another process, the end of a stranger."""
    async with asyncio.timeout(within_s):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def server_folder(home: Path, name: str = "x") -> AsyncIterator[Path]:
    """home/servers/NAME. What still works there when the test has ended is killed, and fails it."""
    folder = home / "servers" / name
    yield folder
    left = [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and concerns(process, folder)
    ]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    assert not left, f"left running: {left}"


def concerns(process: psutil.Process, folder: Path) -> bool:
    """A keeper of this folder, or what it started: that works there."""
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return str(folder) in process.cmdline() or process.cwd().startswith(str(folder))
    return False


async def end(process: EngineProcess) -> None:
    await process.stop(signal.SIGKILL, 5, "the test is over")
