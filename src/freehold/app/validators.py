"""Runs the validators of the configuration: a process each, a few at once, bounded in time and output.

What they are told and what their end means is `routing.validating`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from freehold.adapters.engines.environment import bare
from freehold.routing.validating import Verdict, verdict_of
from freehold.routing.world import Check

AT_ONCE = 4
"""More wait for their turn, as long as their own time lasts."""
_KEPT_BYTES = 4096
_MOST_BYTES = 1024 * 1024


class Validators:
    """Implements `gateway.parts.Validators`. Lives on the loop."""

    def __init__(self, folder: Path, env: Mapping[str, str] = os.environ) -> None:
        """`folder`: where they run. Of `env` they get what every program needs, and no keys."""
        self._folder = folder
        self._env = bare(env)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(self, check: Check, document: bytes) -> Verdict:
        """Never raises, but for being cancelled. Afterwards nothing of the program's group runs any more."""
        try:
            async with asyncio.timeout(check.timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            return Verdict(None, f"no turn within {check.timeout_s:g} s")
        try:
            return await self._run(check, document)
        except (OSError, ValueError) as error:  # a NUL in a word of the command is a ValueError
            words = error.strerror if isinstance(error, OSError) else None
            return Verdict(None, f"{check.command[0]} cannot be started: {words or error}")
        finally:
            self._turns.release()

    async def _run(self, check: Check, document: bytes) -> Verdict:
        process = await asyncio.create_subprocess_exec(
            *check.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
            env=self._env,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(check.timeout_s), asyncio.TaskGroup() as group:
                group.create_task(_tell(process, document))
                hearing = group.create_task(_hear(process))
                status = await process.wait()
                _kill(process)  # whoever of its group still keeps its output open
            said = hearing.result()
            return Verdict(None, "printed too much") if said is None else verdict_of(status, said)
        except TimeoutError:
            return Verdict(None, f"no answer within {check.timeout_s:g} s")
        finally:
            _kill(process)
            await asyncio.shield(process.wait())


def _kill(process: asyncio.subprocess.Process) -> None:
    """It, and all of its group that still run."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


async def _tell(process: asyncio.subprocess.Process, document: bytes) -> None:
    """It need not read what it is told."""
    pipe = process.stdin
    assert pipe is not None
    with contextlib.suppress(OSError, RuntimeError):  # uvloop's word for a pipe that is closed already
        pipe.write(document)
        await pipe.drain()
        pipe.close()
        await pipe.wait_closed()


async def _hear(process: asyncio.subprocess.Process) -> bytes | None:
    """The beginning of what it prints; None: it prints without end, and was ended for that."""
    pipe, said, heard = process.stdout, bytearray(), 0
    assert pipe is not None
    while data := await pipe.read(65536):
        heard += len(data)
        if heard > _MOST_BYTES:
            _kill(process)
            return None
        said += data[: max(0, _KEPT_BYTES - len(said))]
    return bytes(said)
