"""A server's folder: what its keeper left there, read back. Blocking, small files.

Written by `supervisor.keeper`; the orders by whoever sends a signal.
"""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import msgspec

from freehold.core.deaths import ExitFacts, Order
from freehold.supervisor.processes import alive, boot_id, kill, relatives

_STATE_FILES = ("keeper.json", "exit.json", "orders.jsonl", "exit.part", "keeper.json.part")


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """keeper.json."""

    pid: int
    born: str
    keeper_pid: int
    keeper_born: str
    boot_id: str
    started_ms: int
    port: int
    program: str
    launch_key: str
    log: str
    cwd: str = ""
    log_offset: int
    rotations: int

    @property
    def keeper_lives(self) -> bool:
        return self.boot_id == boot_id() and alive(self.keeper_pid, self.keeper_born)

    @property
    def engine_lives(self) -> bool:
        return self.boot_id == boot_id() and alive(self.pid, self.born)


class KeptExit(ExitFacts, frozen=True, kw_only=True):
    """exit.json."""

    log_problem: str = ""
    log_lost_bytes: int = 0
    tail: str = ""


def prepare(folder: Path, log: Path) -> None:
    """Make both folders, and forget the last engine. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    log.parent.mkdir(parents=True, exist_ok=True)
    forget(folder)


def forget(folder: Path) -> None:
    """Remove the state of an engine that is gone. Raises OSError."""
    for name in _STATE_FILES:
        (folder / name).unlink(missing_ok=True)


def read_state(folder: Path) -> EngineState | None:
    """None where no engine was started, or its end was told."""
    try:
        return msgspec.json.decode((folder / "keeper.json").read_bytes(), type=EngineState)
    except (OSError, msgspec.MsgspecError):
        return None


def read_exit(folder: Path) -> KeptExit | None:
    """None while it runs, and when its keeper was killed."""
    try:
        return msgspec.json.decode((folder / "exit.json").read_bytes(), type=KeptExit)
    except (OSError, msgspec.MsgspecError):
        return None


def read_orders(folder: Path) -> list[Order]:
    """As far as they could be written."""
    found: list[Order] = []
    with contextlib.suppress(OSError):
        for line in (folder / "orders.jsonl").read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError):  # half a line, from a full disk
                found.append(msgspec.json.decode(line, type=Order))
    return found


def add_order(folder: Path, number: int, reason: str) -> Order:
    """Write down that a signal will be sent. A full disk does not hold it up."""
    order = Order(at_ms=time.time_ns() // 1_000_000, signal=number, reason=reason)
    with contextlib.suppress(OSError), (folder / "orders.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(order) + b"\n")
    return order


def last_words_ms(state: EngineState) -> int:
    """When its log was last written: it lived then."""
    try:
        return Path(state.log).stat().st_mtime_ns // 1_000_000
    except OSError:
        return state.started_ms


def kill_leftovers(state: EngineState, *, unseen: bool = False) -> bool:
    """Kill what a dead keeper left; whether there was something. All of it is in the keeper's session. That
    number may be another's after a while: of an `unseen` death, only what works in its folder is killed."""
    if state.boot_id != boot_id():
        return False
    found = relatives(session=state.keeper_pid)
    for pid in found:
        with contextlib.suppress(OSError):
            if not unseen or Path(f"/proc/{pid}/cwd").samefile(state.cwd):
                kill(pid, signal.SIGKILL)
    engine_lives = state.engine_lives  # where the kernel does not end it with its keeper
    if engine_lives:
        kill(state.pid, signal.SIGKILL, group=True)
    return bool(found) or engine_lives
