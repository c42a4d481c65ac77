"""One engine process: started, waited for, stopped with all its children, its output kept in a file.

Knows nothing of models or states. The process runs in a session of its own, so closing the terminal
does not reach it, and its whole group can be signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path

from freehold.core.servers import Launch

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_LIMIT = 8 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_KILL_WAIT_S = 5.0


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now. Someone may take it before the engine does;
    the engine then exits and the next try gets another port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def log_path(folder: Path, server: str) -> Path:
    """Where a server's output goes; odd characters in its name become underscores."""
    return folder / (re.sub(r"[^A-Za-z0-9._-]", "_", server) + ".log")


class EngineProcess:
    """A running process. Made by `start`; `wait` may be called by many, `stop` more than once."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    @classmethod
    async def start(cls, launch: Launch, log: Path) -> EngineProcess:
        """Start the program with its output appended to `log`. Raises OSError when the log cannot be
        written; a program that cannot be run shows as an exit with code 126 or 127."""
        descriptor, position = _open_log(log)
        command = (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *launch.argv)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(launch.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                cwd=log.parent,
            )
        finally:
            os.close(descriptor)
        return cls(process, log, position)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The exit code (negative: a signal), once the process is gone; its children are killed then."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)
        return code

    async def stop(self, within_s: float) -> int:
        """Ask the group to end (SIGTERM); kill it if it has not ended `within_s` seconds later."""
        self._signal_group(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), within_s)
        except TimeoutError:
            self._signal_group(signal.SIGKILL)
            return await asyncio.wait_for(self.wait(), _KILL_WAIT_S)

    def last_lines(self, count: int = 40) -> tuple[str, ...]:
        """The last lines with something in them that the process wrote since it started."""
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - _TAIL_BYTES))
                text = log.read(_TAIL_BYTES).decode(errors="replace")
        except OSError as error:
            return (f"(its log cannot be read: {error.strerror})",)
        return tuple(line.strip() for line in text.splitlines() if line.strip())[-count:]

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _open_log(log: Path) -> tuple[int, int]:
    """A descriptor that appends to `log`, and its length now. A log that grew large is set aside first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return descriptor, os.fstat(descriptor).st_size
