"""Waits for the end of a process that need not be our child, without asking it again and again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys

from freehold.supervisor.processes import alive

_POLL_S = 0.05
_PIDFD_GET_INFO = 0xC040FF0B  # linux/pidfd.h: _IOWR(0xFF, 11, struct pidfd_info of 64 bytes)
_PIDFD_INFO_EXIT = 1 << 3


class ProcessEnd:
    """The end of one process, by its pid and birth (`processes.born`). Many may wait."""

    def __init__(self, pid: int, birth: str, *, reaped_by_us: bool) -> None:
        """`reaped_by_us`: where it is our child, nobody else takes it away when it has ended."""
        self._reaped_by_us = reaped_by_us
        self._pid = pid
        self._birth = birth
        self._pidfd: int | None = None
        self._watched = False
        self._came = asyncio.Event()

    async def wait(self) -> None:
        """Until it runs no more."""
        if not self._came.is_set():
            self.hold()
            if self._pidfd is None:
                while alive(self._pid, self._birth) and not self._reap():  # noqa: ASYNC110  (no pidfd)
                    await asyncio.sleep(_POLL_S)
                self._came.set()
            else:
                if not self._watched:
                    asyncio.get_running_loop().add_reader(self._pidfd, self._on_end)
                    self._watched = True
                await self._came.wait()
        self._reap()

    def hold(self) -> None:
        """Take a hold of the process now, so that its end can be asked for later."""
        if self._pidfd is None and not self._came.is_set():
            self._pidfd = _open_pidfd(self._pid, self._birth)

    def leave(self) -> None:
        """Wait no more; nobody may be waiting."""
        if self._pidfd is not None:
            if self._watched:
                asyncio.get_running_loop().remove_reader(self._pidfd)
                self._watched = False
            os.close(self._pidfd)
            self._pidfd = None

    def wait_status(self) -> int | None:
        """How a stranger ended, as waitpid tells its parent: known from Linux 6.15 on, when its parent has
        taken it away and `leave` was not called yet."""
        if self._pidfd is None:
            return None
        info = bytearray(64)
        struct.pack_into("Q", info, 0, _PIDFD_INFO_EXIT)
        try:
            fcntl.ioctl(self._pidfd, _PIDFD_GET_INFO, info)
        except OSError:
            return None
        known, status = struct.unpack_from("Q52xi", info)
        return status if known & _PIDFD_INFO_EXIT else None

    def _reap(self) -> bool:
        try:
            return self._reaped_by_us and os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return False

    def _on_end(self) -> None:
        assert self._pidfd is not None
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._watched = False
        self._came.set()


def _open_pidfd(pid: int, birth: str) -> int | None:
    """None where the kernel has no such thing, or the process has ended."""
    if sys.platform != "linux":
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None
    if not alive(pid, birth):  # the number may be another's by now
        os.close(pidfd)
        return None
    return pidfd
