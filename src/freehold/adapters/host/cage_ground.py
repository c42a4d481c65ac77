"""Where on this machine we may make memory cgroups: below our own, and only where nobody else lives.

v2 forbids processes in a group whose children are controlled, so our own process moves into a leaf beside
the cages; systemd allows that in units with `Delegate=yes` (see its CGROUP_DELEGATION). v1 has no such rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.cgroup_files import Mount, folder_of_process

LEAF = "control"
"""Name of the leaf for our own process; as good as any for `DelegateSubgroup=`."""
WANTED = "run Freehold as a systemd unit with Delegate=yes"


def find_ground(mount: Mount) -> Path:
    """The folder below which cages may be made, made ready for it. Raises Blind with what is missing."""
    own = folder_of_process("self", mount)
    if mount.version == 1:
        if not os.access(own, os.W_OK):
            raise Blind(f"our memory cgroup is not ours to write; {WANTED} or as root")
        return own
    ground = choose_ground(own, mount.point, is_delegated)
    if ground is None:
        raise Blind(f"our cgroup is not ours to divide; {WANTED}")
    if "memory" not in _words(ground / "cgroup.controllers"):
        raise Blind("our cgroup has no memory controller; add `memory` to the unit's Delegate=")
    if "memory" not in _words(ground / "cgroup.subtree_control"):
        _move_into_leaf(ground)
        enable_memory(ground)
    return ground


def choose_ground(own: Path, top: Path, delegated: Callable[[Path, Path], bool]) -> Path | None:
    """Our own group when it was given to us, else the one above it (then we already live in a leaf)."""
    for folder in (own, own.parent):
        if (folder == top or top in folder.parents) and delegated(folder, top):
            return folder
    return None


def is_delegated(folder: Path, top: Path) -> bool:
    """Whether this group was handed over: systemd marks it so; in a container the visible top is ours when
    it is writable and not the machine's own root group (which alone has no `cgroup.type`)."""
    if not os.access(folder / "cgroup.procs", os.W_OK) or not os.access(folder, os.W_OK):
        return False
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return folder == top and (folder / "cgroup.type").exists()


def enable_memory(folder: Path) -> None:
    """Children of this group get memory control. Raises Blind."""
    try:
        (folder / "cgroup.subtree_control").write_text("+memory")
    except OSError as error:
        raise Blind(f"the kernel gives our cgroup's children no memory control: {error.strerror}") from error


def _move_into_leaf(ground: Path) -> None:
    """Raises Blind when others live in our group: they are not ours to move."""
    inside = [int(word) for word in _words(ground / "cgroup.procs")]
    strangers = [pid for pid in inside if not _descends_from_us(pid)]
    if strangers:
        raise Blind(f"process {strangers[0]} of others lives in our cgroup; {WANTED}")
    leaf = ground / LEAF
    try:
        leaf.mkdir(exist_ok=True)
        for pid in inside:
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise Blind(f"our cgroup cannot be divided: {error.strerror}") from error


def _descends_from_us(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        # After the command's closing parenthesis come state and parent: proc_pid_stat(5).
        _, _, rest = _text(f"/proc/{pid}/stat").rpartition(")")
        fields = rest.split()
        pid = int(fields[1]) if len(fields) > 1 else 0
    return pid == os.getpid()


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
