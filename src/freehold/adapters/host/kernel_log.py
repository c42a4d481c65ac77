"""The kernel's log from one moment on: /dev/kmsg, else the kernel's ring buffer, else systemd's journal.

Which lines matter is in `kernel_lines`.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.journal import read_journal
from freehold.adapters.host.kernel_lines import Stamped, as_utc, concerns, parse_record, parse_syslog
from freehold.core.deaths import KernelLine

MOST_RECORDS = 20_000
"""More than the kernel's buffer holds."""
MOST_LINES = 200
FRESH_MS = 2000
"""A server that started longer ago is not new to the machine, only to us."""
_RECORD_BYTES = 8192
"""The kernel gives one record at a time, and none to a smaller buffer."""
_READ_ALL, _BUFFER_SIZE = 3, 10
"""Actions of syslog(2)."""
WANTED = "read /dev/kmsg: needs CAP_SYSLOG, or the setting kernel.dmesg_restrict=0"


class KernelLog:
    """One reader with a position of its own: it disturbs nobody, and sees what comes after its making."""

    def __init__(self, since_ms: int, device: Path = Path("/dev/kmsg")) -> None:
        """Lines from `since_ms` on (UTC), at the earliest what the kernel still has. Never raises; where the
        log is closed to us, `lines` tries the other ways."""
        # A position is exact, dates are not: the kernel's clock stands still while the machine sleeps.
        from_now_on = since_ms > _utc_ms() - FRESH_MS
        self._since_ms = _utc_ms() - FRESH_MS if from_now_on else since_ms
        self._found: list[Stamped] = []
        self._reading = threading.Lock()
        self._closed = False
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END if from_now_on else os.SEEK_SET)

    def lines(self, settle_s: float, enough: Callable[[str], bool]) -> tuple[KernelLine, ...]:
        """Lines since then that may concern a model server, at most the
        last 200. Waits up to `settle_s` for a line that is `enough`: the kernel may still be writing.

        Raises Blind when nobody lets us read.
        """
        try:
            with self._reading:
                return self._other_ways() if self._fd is None else self._wait_for(self._fd, settle_s, enough)
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        """Never waits. Where a thread reads at this moment, it closes when it is done: until then the number
        of the file must not become another file's."""
        self._closed = True
        if not self._reading.acquire(blocking=False):
            return
        try:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
        finally:
            self._reading.release()

    def _wait_for(self, fd: int, settle_s: float, enough: Callable[[str], bool]) -> tuple[KernelLine, ...]:
        deadline = time.monotonic() + settle_s
        while True:
            self._found += _read(fd)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or any(enough(line.text) for line in self._found):
                break
            select.select([fd], [], [], left_s)
        return self._chosen(self._found)

    def _other_ways(self) -> tuple[KernelLine, ...]:
        if not sys.platform.startswith("linux"):
            raise Blind("only Linux tells what its kernel did")
        with suppress(OSError):
            return self._chosen(parse_syslog(_ring_buffer()))
        try:
            lines = read_journal(("-k",), self._since_ms)
        except Blind as blind:
            raise Blind(f"{WANTED} ({blind})") from blind
        return tuple(line for line in lines if concerns(line.text))[-MOST_LINES:]

    def _chosen(self, lines: Sequence[Stamped]) -> tuple[KernelLine, ...]:
        utc_ms, monotonic_us = _utc_ms(), time.monotonic_ns() // 1000
        dated = (as_utc(line, utc_ms=utc_ms, monotonic_us=monotonic_us) for line in lines)
        return tuple(line for line in dated if concerns(line.text) and line.at_ms >= self._since_ms)[
            -MOST_LINES:
        ]


def _read(fd: int) -> list[Stamped]:
    found: list[Stamped] = []
    for _ in range(MOST_RECORDS):
        try:
            record = os.read(fd, _RECORD_BYTES)
        except BlockingIOError:
            break
        except BrokenPipeError:
            # Records were overwritten before we read them; the next read stands at the oldest one left.
            continue
        except OSError:
            break
        line = parse_record(record.decode(errors="replace"))
        if line is not None and concerns(line.text):
            found.append(line)
    return found


def _ring_buffer() -> str:
    """What `dmesg` reads. Raises OSError without the right to."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = libc.klogctl(_BUFFER_SIZE, None, 0)
    if size <= 0:
        raise OSError(ctypes.get_errno(), "klogctl")
    buffer = ctypes.create_string_buffer(size)
    length = libc.klogctl(_READ_ALL, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), "klogctl")
    return buffer.raw[:length].decode(errors="replace")


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
