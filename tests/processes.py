"""Whether a process runs: the one question that tests ask of processes that are not their children."""

from __future__ import annotations

import psutil


def runs(pid: int) -> bool:
    """Asked in one step: between two questions a process may end and its entry vanish. One that has ended
    and whose parent has not yet asked for its status (a zombie) runs no more."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
