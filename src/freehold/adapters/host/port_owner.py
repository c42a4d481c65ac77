"""Who listens on a port, when it should be a model server and is not. From /proc/net/tcp: proc_pid_net(5)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.programs import command_of
from freehold.core.deaths import PortOwner

_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_HERE = frozenset(
    {
        "00000000",
        "0100007F",
        "0" * 32,
        "00000000000000000000000001000000",
        "0000000000000000FFFF00000100007F",
    }
)
"""Addresses that stand in the way of a server on loopback: any, loopback, and the same in IPv6, as the kernel
writes them on little-endian machines."""


def foreign_owner(port: int, ours: Callable[[int], bool]) -> PortOwner | None:
    """None when nobody listens there, or a process that is `ours`. Raises Blind without /proc."""
    inodes = listening(port)
    if not inodes:
        return None
    pids = _holders(inodes)
    if any(ours(pid) for pid in pids):
        return None
    if not pids:
        return PortOwner(port=port)
    first = min(pids)
    return PortOwner(port=port, pid=first, command=command_of(first))


def listening(port: int) -> frozenset[int]:
    """Inodes of sockets that listen on this port of loopback. Raises Blind."""
    found: set[int] = set()
    for name in ("tcp", "tcp6"):
        try:
            text = Path(f"/proc/self/net/{name}").read_text(errors="replace")
        except OSError as error:
            if name == "tcp":
                raise Blind("this system has no /proc/net/tcp") from error
            continue
        found |= listening_in(text, port)
    return frozenset(found)


def listening_in(table: str, port: int) -> frozenset[int]:
    """From the text of /proc/net/tcp or tcp6. Columns: number, local address:port (hexadecimal), remote,
    state, queues, timers, retransmits, user, time-out, inode."""
    found: set[int] = set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTEN or not fields[9].isdecimal():
            continue
        address, _, number = fields[1].partition(":")
        if address in _HERE and number == f"{port:04X}":
            found.add(int(fields[9]))
    return frozenset(found)


def _holders(inodes: frozenset[int]) -> set[int]:
    """Processes that have one of these sockets open, as far as we may look."""
    found: set[int] = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    link = _SOCKET.fullmatch(str(descriptor.readlink()))
                    if link and int(link[1]) in inodes:
                        found.add(int(process.name))
    return found


def in_group(leader: int) -> Callable[[int], bool]:
    """Whether a process is this one, or of the group that it leads (which outlives it)."""

    def ours(pid: int) -> bool:
        if pid == leader:
            return True
        try:
            return os.getpgid(pid) == leader
        except OSError:
            return False

    return ours
