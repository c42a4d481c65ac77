"""Keeps one model server: its parent, the reader of its output, the witness of its end.

    python -I -S keeper.py FOLDER        (the order what to run comes as one JSON line on descriptor 0)

A program of its own, so that Freehold may end, crash or be replaced while the model stays loaded. It lives in
a session of its own, costs a few megabytes and next to no CPU, and ends with the engine. What it leaves in
FOLDER is read by `supervisor.process`:

    keeper.json    who runs, since when, where its output goes; `rotations` counts the log's since its start
    orders.jsonl   signals that were sent on purpose, each written down before it was sent
    exit.json      how it ended; its space is reserved at the start, so that a full disk cannot swallow it

The environment of the engine is passed through the socket only: it may hold secrets. Imports only the
standard library and two modules like it, all at once: the files of Python and Freehold may be replaced while
this runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time

if __name__ == "__main__":  # -I leaves the path bare
    sys.path.append(__file__.rsplit("/", 3)[0])

from freehold.supervisor.engine_log import EngineLog, open_to_append
from freehold.supervisor.processes import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    boot_id,
    born,
    kill,
    prctl,
    relatives,
)

TYPE_CHECKING = False  # as in typing, which takes milliseconds to import
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class Spec(TypedDict):
        """What to run, as it comes through the socket."""

        argv: list[str]
        env: dict[str, str]
        cage_files: list[str]
        log: str
        owner_lock: str
        orphan_stop_s: float
        stop_within_s: float
        facts: dict[str, Any]
        """Copied into keeper.json as they are."""


_PIPE_BYTES = 1024 * 1024
_CHUNK = 256 * 1024
_LAST_CHUNKS = 256
_EXIT_BYTES = 16 * 1024
_TICK_S = 5.0
_NEVER = float("inf")
_SWEEP_S = 3.0
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def _write_whole(path: str, text: str) -> None:
    """Replace a file in one move: a reader sees the old or the new, never half of one."""
    part = path + ".part"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)
    os.replace(part, path)  # noqa: PTH105


class Keeper:
    """One engine, from before its start to after its end: `start`, then `run`."""

    def __init__(self, folder: str, spec: Spec, umask: int) -> None:
        """Raises OSError when the log or the folder cannot be written."""
        self.folder = folder
        self.identity = os.stat(folder).st_ino  # noqa: PTH116
        self.spec = spec
        self.umask = umask
        self.log = EngineLog(spec["log"])
        self.exit_file = os.open(f"{folder}/exit.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(self.exit_file, b" " * _EXIT_BYTES)
        self.state: dict[str, Any] = dict(spec["facts"])
        self.saved = (0, 0)
        self.engine = 0
        self.out = -1
        self.owned_s = time.monotonic()
        self.ending = False
        self.kill_at_s = _NEVER
        self.told_to_end = False
        self.died_ms = 0
        self.status: int | None = None
        self.max_rss_bytes = 0
        self.cpu_s = 0.0

    # Start

    def start(self) -> str:
        """Begin the engine; answers the text of keeper.json once the program runs (or could not)."""
        self.out, inlet = os.pipe()
        os.set_blocking(self.out, False)
        with contextlib.suppress(OSError):  # an engine that prints much need not wait for us
            fcntl.fcntl(self.out, _F_SETPIPE_SZ, _PIPE_BYTES)
        gate, latch = os.pipe()  # closes by itself when the program is executed
        keeper = os.getpid()
        self.engine = os.fork()
        if not self.engine:
            become_engine(self.spec, inlet, keeper, self.umask)
        os.close(inlet)
        os.close(latch)
        os.read(gate, 1)
        os.close(gate)
        self.state |= {
            "pid": self.engine,
            "born": born(self.engine),
            "keeper_pid": keeper,
            "keeper_born": born(keeper),
            "boot_id": boot_id(),
            "started_ms": _now_ms(),
        }
        self.spec["env"] = {}
        return self.save()

    def save(self) -> str:
        """Raises OSError."""
        self.saved = self.log.offset, self.log.rotations
        self.state |= {"log_offset": self.log.offset, "rotations": self.log.rotations}
        text = json.dumps(self.state)
        _write_whole(f"{self.folder}/keeper.json", text)
        return text

    # Life

    def run(self, wake: int) -> None:
        """Until the engine has ended and nothing of it is left. `wake` is readable after a signal."""
        tick_s = min(_TICK_S, max(0.02, self.spec["orphan_stop_s"] / 4))
        next_tick_s = time.monotonic() + tick_s
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        poller.register(self.out, select.POLLIN)
        while not self.look_for_end():
            wait_s = min(next_tick_s, self.kill_at_s) - time.monotonic()
            for descriptor, _ in poller.poll(max(0.0, wait_s) * 1000 + 1):
                if descriptor == wake:
                    os.read(wake, 4096)
                elif not self.pump():  # every writer has closed it
                    poller.unregister(self.out)
            now_s = time.monotonic()
            if now_s >= next_tick_s:
                self.tick(now_s)
                next_tick_s = now_s + tick_s
            self.follow(now_s)
        self.sweep()
        for _ in range(_LAST_CHUNKS):
            if not self.pump():
                break
        self.save_exit()

    def pump(self) -> bool:
        """Move what the engine wrote into the log. False when there is nothing (more)."""
        try:
            chunk = os.read(self.out, _CHUNK)
        except OSError:  # nothing now
            return False
        if chunk:
            self.log.write(chunk)
            self.note_log()
        return bool(chunk)

    def note_log(self) -> None:
        if self.saved != (self.log.offset, self.log.rotations):
            with contextlib.suppress(OSError):
                self.save()

    def tick(self, now_s: float) -> None:
        """Is anybody still interested?"""
        try:
            there = os.stat(self.folder).st_ino == self.identity  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except OSError:  # a disk that is away for a moment
            there = True
        if not there:
            self.end("its folder was removed")
        self.log.look()
        self.note_log()
        if self.owned():
            self.owned_s = now_s
        elif now_s - self.owned_s >= self.spec["orphan_stop_s"]:
            self.end(f"no Freehold ran for {self.spec['orphan_stop_s']:g} s")

    def owned(self) -> bool:
        """Whether a Freehold lives: it holds a lock. Where there never was a lock, nobody is missed."""
        try:
            lock = os.open(self.spec["owner_lock"], os.O_RDONLY)
        except OSError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def hear(self) -> None:
        """SIGTERM came."""
        self.told_to_end = True

    def follow(self, now_s: float) -> None:
        """What a signal or the clock asks for."""
        if self.told_to_end:
            self.end("its keeper was told to end (SIGTERM)")
        if now_s >= self.kill_at_s:
            self.kill_at_s = _NEVER
            self.order(signal.SIGKILL, "it did not end in time")

    def end(self, reason: str) -> None:
        """Ask it to end, once; `follow` kills it when it does not."""
        if not self.ending:
            self.ending = True
            self.kill_at_s = time.monotonic() + self.spec["stop_within_s"]
            self.order(signal.SIGTERM, reason)

    def order(self, number: signal.Signals, reason: str) -> None:
        """Write it down, then do it: also when it cannot be written down."""
        line = json.dumps({"at_ms": _now_ms(), "signal": int(number), "reason": reason})
        with contextlib.suppress(OSError):
            file = open_to_append(f"{self.folder}/orders.jsonl")
            os.write(file, line.encode() + b"\n")
            os.close(file)
        kill(self.engine, number, group=True)

    # End

    def look_for_end(self) -> bool:
        """Whether the engine has ended. It stays a zombie, so that its number keeps naming it and nothing
        else. Others that became our children are taken away."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self.reap(os.WNOHANG)
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if ended.si_pid == self.engine:
                self.died_ms = _now_ms()
                return True
            os.waitpid(ended.si_pid, 0)
        return False

    def reap(self, options: int = 0) -> bool:
        """Take the dead engine away, with its status and what it used."""
        pid, status, used = os.wait4(self.engine, options)
        if pid:
            self.status = status
            self.max_rss_bytes = used.ru_maxrss * (1024 if sys.platform == "linux" else 1)
            self.cpu_s = used.ru_utime + used.ru_stime
            self.died_ms = self.died_ms or _now_ms()
        return bool(pid)

    def sweep(self) -> None:
        """Nothing that the engine started may outlive it. Its orphans became our children (subreaper), and
        theirs do when we kill them."""
        kill(self.engine, signal.SIGKILL, group=True)
        if self.status is None:
            self.reap()
        until_s = time.monotonic() + _SWEEP_S
        while time.monotonic() < until_s:
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    for pid in relatives(parent=os.getpid()):
                        kill(pid, signal.SIGKILL)
                    time.sleep(0.002)
            except ChildProcessError:
                return

    def save_exit(self) -> None:
        status = self.status or 0
        by_signal = os.WIFSIGNALED(status)
        facts = {
            "code": None if by_signal else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if by_signal else None,
            "core_dumped": by_signal and os.WCOREDUMP(status),
            "died_ms": self.died_ms,
            "max_rss_bytes": self.max_rss_bytes,
            "cpu_s": round(self.cpu_s, 3),
            "log_problem": self.log.problem,
            "log_lost_bytes": self.log.lost_bytes,
            "tail": self.log.tail.decode(errors="replace") if self.log.problem else "",
        }
        text = json.dumps(facts, ensure_ascii=False).encode()
        with contextlib.suppress(OSError):  # the folder is gone: nobody will ask
            os.pwrite(self.exit_file, text.ljust(_EXIT_BYTES), 0)
            os.replace(f"{self.folder}/exit.part", f"{self.folder}/exit.json")  # noqa: PTH105


def become_engine(spec: Spec, out: int, keeper: int, umask: int) -> None:
    """Between fork and engine. Never returns."""
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # it died before we asked
            return
        for number in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for path in spec["cage_files"]:
            _enter(path)
        os.umask(umask)
        os.chdir(spec["facts"]["cwd"])
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606  (no shell is wanted)
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        os.write(2, f"cannot run {' '.join(spec['argv'][:1])}: {reason}\n".encode(errors="replace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    finally:
        os._exit(126)


def _enter(cage: str) -> None:
    try:
        file = os.open(cage, os.O_WRONLY)
        os.write(file, str(os.getpid()).encode())
        os.close(file)
    except OSError as error:
        os.write(2, f"(no memory limit: cannot enter {cage}: {error.strerror})\n".encode(errors="replace"))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _read_spec() -> Spec:
    text = bytearray()
    while not text.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            sys.exit(1)  # Freehold died before it had said what to run
        text += chunk
    return json.loads(text)


def _answer(text: str) -> None:
    with contextlib.suppress(OSError):  # it died meanwhile; the next one finds what we wrote down
        os.write(0, text.encode() + b"\n")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)


def main(folder: str) -> int:
    with contextlib.suppress(OSError):  # it leads a session already
        os.setsid()
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 65536))  # whatever Freehold was started with
    umask = os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_NAME, b"freehold-keeper")
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, inlet = os.pipe()
    os.set_blocking(inlet, False)
    signal.set_wakeup_fd(inlet, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    try:
        keeper = Keeper(folder, _read_spec(), umask)
        signal.signal(signal.SIGTERM, lambda number, frame: keeper.hear())
        os.dup2(keeper.log.file, 2)  # where a bug of ours would show
        _answer(keeper.start())
    except OSError as error:
        _answer(json.dumps({"errno": error.errno, "error": error.strerror, "path": error.filename}))
        return 1
    except Exception as error:
        _answer(json.dumps({"errno": 0, "error": repr(error), "path": folder}))
        raise
    os.chdir("/")
    keeper.run(wake)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
