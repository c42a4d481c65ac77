"""One engine process: started, found again, waited for, stopped with all its children.

Between Freehold and the engine stands its keeper (`supervisor.keeper`), a small program that is the engine's
parent. It outlives Freehold, so the engine does, and what it leaves in the server's folder lets the next
Freehold go on where the last one ended. Knows nothing of models or states.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from freehold.core.deaths import ExitFacts, Order
from freehold.core.servers import Launch
from freehold.supervisor.engine_folder import (
    EngineState,
    KeptExit,
    add_order,
    forget,
    kill_leftovers,
    last_words_ms,
    prepare,
    read_exit,
    read_orders,
    read_state,
)
from freehold.supervisor.output import OutputPlace, lines
from freehold.supervisor.process_end import ProcessEnd
from freehold.supervisor.processes import boot_id, kill

if TYPE_CHECKING:
    from freehold.supervisor.keeper import Spec

T = TypeVar("T")

_KEEPER = Path(__file__).with_name("keeper.py")
_KILL_WAIT_S = 5.0
_POLL_S = 0.05
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What Python itself may need to start; the keeper gets nothing else of our environment."""


class LeftExit(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an engine that nobody saw: no Freehold ran then."""

    pid: int
    port: int
    program: str
    launch_key: str
    started_ms: int
    exit: ExitFacts
    orders: tuple[Order, ...]
    last_lines: tuple[str, ...]
    log: Path
    rebooted: bool = False
    """The machine was started anew meanwhile; `exit.died_ms` is then the time of its last words."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now. Someone may take it before the engine does;
    the engine then exits and the next try gets another port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def file_name(server: str) -> str:
    """The server's name as a file may have it; odd characters become underscores."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", server).lstrip(".") or "_"


def log_path(logs: Path, server: str) -> Path:
    """Where a server's output goes."""
    return logs / (file_name(server) + ".log")


def launch_key(launch: Launch) -> str:
    """The same for launches that would run the same program in the same way."""
    told = json.dumps([launch.argv, sorted(launch.env.items()), launch.cwd])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


class OwnerLock:
    """Says to all keepers of a home that its Freehold lives; released by the kernel when it does not."""

    def __init__(self, servers: Path) -> None:
        """`servers`: the folder of all servers' folders. Raises BlockingIOError when another Freehold holds
        the lock, OSError when it cannot be written."""
        servers.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(servers / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for again in (True, True, True, True, False):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not again:
                    os.close(self._file)
                    raise
                time.sleep(0.005)  # a keeper may be looking whether somebody holds it

    def release(self) -> None:
        os.close(self._file)


class EngineProcess:
    """A running engine and its keeper. Made by `start` or `find`; `wait` may be called by many, `stop` more
    than once."""

    def __init__(self, folder: Path, state: EngineState) -> None:
        self._folder = folder
        self._state = state
        self._facts: ExitFacts | None = None
        self._keeps_end = False
        self._remarks: tuple[str, ...] = ()
        self._own_orders: list[Order] = []
        self._told_orders: tuple[Order, ...] | None = None
        self._keeper_end = ProcessEnd(state.keeper_pid, state.keeper_born, reaped_by_us=True)
        self._learning = asyncio.Lock()

    # Made

    @classmethod
    async def start(
        cls,
        launch: Launch,
        folder: Path,
        *,
        port: int,
        cage_files: Sequence[str] = (),
        orphan_stop_s: float = 600.0,
    ) -> EngineProcess:
        """Start the program; `folder` (home/servers/NAME) holds its state, and is where it works if the
        launch does not say.

        `cage_files`: files that the engine enters by writing its pid before it is executed. `orphan_stop_s`:
        it is stopped when no Freehold held the `OwnerLock` for so long. Raises OSError when the log or the
        folder cannot be written, or one is running there; a program that cannot be run shows as an exit
        with code 126 or 127."""
        folder = folder.absolute()  # noqa: ASYNC240
        if cls.find(folder) is not None:
            raise OSError(errno.EBUSY, "an engine is running there", str(folder))
        log = log_path(folder.parent.parent / "logs", folder.name)
        prepare(folder, log)
        spec: Spec = {
            "argv": list(launch.argv),
            "env": dict(launch.env),
            "cage_files": list(cage_files),
            "log": str(log),
            "owner_lock": str(folder.parent / "owner.lock"),
            "orphan_stop_s": orphan_stop_s,
            "stop_within_s": _KILL_WAIT_S,
            "facts": {
                "port": port,
                "program": launch.program,
                "launch_key": launch_key(launch),
                "cwd": launch.cwd or str(folder),
                "log": str(log),
            },
        }
        return cls(folder, await _run_keeper(folder, spec))

    @classmethod
    def find(cls, folder: Path) -> EngineProcess | None:
        """The engine that an earlier Freehold left running, if it still does. One whose keeper is gone is
        ended; `left_exit` tells of it."""
        state = read_state(folder)
        if state is None:
            return None
        if state.keeper_lives:
            return cls(folder, state)
        kill_leftovers(state, unseen=True)
        return None

    @classmethod
    def left_exit(cls, folder: Path) -> LeftExit | None:
        """How the last engine here ended, when no Freehold ran to see it. Told once; None while it runs."""
        state = read_state(folder)
        if state is None or state.keeper_lives:
            return None
        ended = read_exit(folder)
        if ended is None:
            kill_leftovers(state, unseen=True)
        process = cls(folder, state)
        process._conclude(ended or ExitFacts(died_ms=last_words_ms(state), keeper_lost=True), ended)
        return LeftExit(
            pid=state.pid,
            port=state.port,
            program=state.program,
            launch_key=state.launch_key,
            started_ms=state.started_ms,
            exit=process._facts or ExitFacts(),
            orders=process.orders(),
            last_lines=process.last_lines(),
            log=process.log,
            rebooted=ended is None and state.boot_id != boot_id(),
        )

    # Told

    @property
    def pid(self) -> int:
        """The engine's own."""
        return self._state.pid

    @property
    def keeper_pid(self) -> int:
        return self._state.keeper_pid

    @property
    def port(self) -> int:
        return self._state.port

    @property
    def started_ms(self) -> int:
        return self._state.started_ms

    @property
    def program(self) -> str:
        return self._state.program

    @property
    def launch_key(self) -> str:
        """Compare with `launch_key(launch)`: is this what the configuration wants?"""
        return self._state.launch_key

    @property
    def log(self) -> Path:
        return Path(self._state.log)

    def orders(self) -> tuple[Order, ...]:
        """Signals that were sent to it on purpose, oldest first."""
        if self._told_orders is not None:
            return self._told_orders
        return tuple(sorted({*read_orders(self._folder), *self._own_orders}, key=lambda order: order.at_ms))

    def last_lines(self, count: int = 60) -> tuple[str, ...]:
        """The last lines with something in them that it wrote since it started, repeats folded."""
        try:
            told = self._of_output(lambda output: output.last(count))
        except OSError as error:
            told = (f"(its log cannot be read: {error.strerror})",)
        return (*told, *self._remarks)[-count:]

    def output(self) -> list[str]:
        """What it wrote since it started; of much, the first and the last 64 KiB."""
        try:
            return self._of_output(OutputPlace.everything)
        except OSError as error:
            return [f"(its log cannot be read: {error.strerror})"]

    def _of_output(self, read: Callable[[OutputPlace], T]) -> T:
        with contextlib.suppress(FileNotFoundError):  # its keeper renames a full log at this moment
            return read(self._output())
        return read(self._output())

    def _output(self) -> OutputPlace:
        state = self._state if self._facts else self._latest_state()
        return OutputPlace(Path(state.log), state.log_offset, state.rotations)

    def _latest_state(self) -> EngineState:
        last = read_state(self._folder)
        return last if last is not None and last.keeper_pid == self.keeper_pid else self._state

    # Waited for

    async def wait(self) -> ExitFacts:
        """How it ended, once it and all that it started are gone."""
        await self._keeper_end.wait()
        self._keeper_end.leave()
        async with self._learning:
            if self._facts is None:
                await self._learn()
        assert self._facts is not None
        return self._facts

    def leave(self) -> None:
        """Watch it no more; it runs on. Nobody may be waiting."""
        self._keeper_end.leave()

    def keep_end(self) -> None:
        """From now on its end stays on disk until `told`, so that the next Freehold hears of it
        (`left_exit`) when this one dies between `wait` and the ledger."""
        self._keeps_end = True

    def told(self) -> None:
        """Its end has been written down where it belongs."""
        last = read_state(self._folder)
        if last is not None and last.keeper_pid == self.keeper_pid:
            forget(self._folder)

    async def _learn(self) -> None:
        ended = read_exit(self._folder)
        if ended is None:  # the keeper was killed, and the kernel kills the engine then
            until_s = time.monotonic() + _KILL_WAIT_S
            while kill_leftovers(self._state) and time.monotonic() < until_s:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S / 10)
        self._conclude(ended or ExitFacts(died_ms=time.time_ns() // 1_000_000, keeper_lost=True), ended)

    def _conclude(self, facts: ExitFacts, ended: KeptExit | None) -> None:
        """Take what the folder tells, and leave it empty: an end is told once."""
        self._told_orders = self.orders()
        self._state = self._latest_state()
        if not self._keeps_end:
            self.told()
        if ended is not None and ended.log_problem:
            self._remarks = (*lines(ended.tail), f"(its output could not be kept: {ended.log_problem})")
        names = ExitFacts.__struct_fields__
        self._facts = ExitFacts(**{name: getattr(facts, name) for name in names})

    # Stopped

    async def stop(self, number: signal.Signals, within_s: float, reason: str) -> ExitFacts:
        """Send the signal to its group; kill it when it has not ended `within_s` seconds later. Raises
        TimeoutError when even that does not end it: it hangs in the kernel."""
        self._order(number, reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                return await self.wait()
        self._order(signal.SIGKILL, f"it did not end within {within_s:g} s of {number.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_WAIT_S):
                return await self.wait()
        if self._state.keeper_lives:
            kill(self.keeper_pid, signal.SIGKILL)  # it hangs: a disk that does not answer, or it was halted
        async with asyncio.timeout(2 * _KILL_WAIT_S):
            return await self.wait()

    def _order(self, number: signal.Signals, reason: str) -> None:
        """Written down first, so that whoever finds it dead knows that it was us."""
        if self._facts is None and self._state.engine_lives:
            self._own_orders.append(add_order(self._folder, number, reason))
            kill(self.pid, number, group=True)


# Its keeper


async def _run_keeper(folder: Path, spec: Spec) -> EngineState:
    """Raises OSError with what stood in the way."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            pid = os.posix_spawn(  # noqa: ASYNC221  (a millisecond)
                sys.executable,
                [sys.executable, "-I", "-S", str(_KEEPER), str(folder)],
                {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
        try:
            ours.setblocking(False)
            await loop.sock_sendall(ours, json.dumps(spec).encode() + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n"):
                chunk = await loop.sock_recv(ours, 65536)
                if not chunk:
                    raise OSError(errno.EIO, "the keeper of the engine did not start", str(_KEEPER))
                answer += chunk
            told: dict[str, Any] = json.loads(answer)
            if "error" in told:
                raise OSError(told["errno"], told["error"], told["path"])
            return msgspec.convert(told, EngineState)
        except BaseException:
            kill(pid, signal.SIGKILL)  # the kernel kills the engine with it
            os.waitpid(pid, 0)  # noqa: ASYNC222
            with contextlib.suppress(OSError):
                forget(folder)  # else the next start would tell of a death
            raise
