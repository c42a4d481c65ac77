"""Programs that end others when memory gets short, before the kernel does: systemd-oomd, earlyoom, nohang.

They send ordinary signals and leave no line in the kernel's log, only in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.journal import read_journal
from freehold.core.deaths import KernelLine

KILLERS = ("systemd-oomd", "earlyoom", "nohang", "nohang-desktop", "oomd")
MOST_LINES = 10
_UNITS = tuple(f"-u{name}.service" for name in KILLERS)
_KILLING = re.compile(r"\b(?:kill\w*|SIGTERM|SIGKILL|terminat\w*)\b", re.IGNORECASE)
_GROUP_KILLED = re.compile(r"\bKilled (/[^\s,]+)")
_COMMAND_LINE = re.compile(r",?\s*\bcmdline\b.*", re.IGNORECASE)
_ANYBODY = frozenset({"python", "python3", "node", "sh", "bash", "java", "server"})
"""Names that say too little to tell one process from another."""


def running() -> tuple[str, ...]:
    """Names of such programs that run now; none where there is no /proc."""
    found: set[str] = set()
    with suppress(OSError):
        for process in Path("/proc").iterdir():
            if process.name.isdecimal():
                with suppress(OSError):
                    found.add((process / "comm").read_text(errors="replace").strip())
    return tuple(name for name in KILLERS if name[:15] in found)


def lines_about(pid: int, comm: str, group: str, since_ms: int) -> tuple[str, ...]:
    """What they wrote about this process since then. Raises Blind when one runs and cannot be read."""
    killers = running()
    if not killers:
        return ()
    try:
        lines = read_journal(_UNITS, since_ms)
    except Blind as blind:
        raise Blind(f"{killers[0]} runs, but what it did is not to be seen: {blind}") from blind
    return about(lines, pid, comm, group)


def about(lines: Iterable[KernelLine], pid: int, comm: str, group: str) -> tuple[str, ...]:
    """Those that tell of a kill and name the process: by number, by its cgroup or one above, or by a
    name that says enough.

    Formats: `sending SIGTERM to process 71 uid 1000 "llama-server": ...` (earlyoom), `Killed /user.slice/...
    due to memory pressure ...` (systemd-oomd), `Sending SIGTERM to llama-server (71)` (nohang). Command
    lines are cut off: they may hold keys.
    """
    numbered = re.compile(rf"(?:process|pid:?=?|PID:?=?)\s*{pid}\b|\({pid}\)|\[{pid}\]")
    named = re.compile(rf"(?<![\w-]){re.escape(comm)}(?![\w-])") if _telling(comm) else None
    found: list[str] = []
    for line in lines:
        text = _COMMAND_LINE.sub("", line.text)
        if not _KILLING.search(text):
            continue
        if numbered.search(text) or _kills_group(text, group) or (named and named.search(text)):
            found.append(text[:300])
    return tuple(found[-MOST_LINES:])


def _kills_group(text: str, group: str) -> bool:
    """systemd-oomd kills a group with all that is below it."""
    return any(f"{group}/".startswith(f"{path}/") for path in _GROUP_KILLED.findall(text))


def _telling(comm: str) -> bool:
    return len(comm) > 3 and comm not in _ANYBODY
