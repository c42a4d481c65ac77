"""systemd's journal, read through `journalctl`, for who may. Fields: systemd.journal-fields(7)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from freehold.adapters.host.blind import Blind
from freehold.core.deaths import KernelLine

PLACES = (Path("/run/log/journal"), Path("/var/log/journal"))
TIMEOUT_S = 0.8
MOST_LINES = 2000
_NOT_ALL = "not seeing messages from other users"
_MAY = "add this user to the group systemd-journal"


class _Entry(msgspec.Struct):
    message: str | list[int] | None = msgspec.field(name="MESSAGE", default=None)
    source_us: str | None = msgspec.field(name="_SOURCE_REALTIME_TIMESTAMP", default=None)
    stored_us: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="0")


_DECODER = msgspec.json.Decoder(_Entry)


def read_journal(choice: Sequence[str], since_ms: int, timeout_s: float = TIMEOUT_S) -> list[KernelLine]:
    """Entries since then that `choice` (arguments of journalctl) selects, oldest first, at most 2000.

    Raises Blind without a journal, without the right to read it, or when it does not answer in time.
    """
    program = shutil.which("journalctl")
    if program is None:
        raise Blind("there is no systemd journal")
    try:
        done = subprocess.run(  # noqa: S603 - the system's own tool
            [program, "--no-pager", "-o", "json", f"--since=@{since_ms // 1000}", f"-n{MOST_LINES}", *choice],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise Blind(f"the journal did not answer in {timeout_s:.1f} s") from error
    except OSError as error:
        raise Blind(f"the journal cannot be read: {error.strerror}") from error
    if _NOT_ALL in done.stderr:
        raise Blind(f"the journal shows only our own lines; {_MAY}")
    if "No journal files" in done.stderr:
        raise Blind(f"no journal can be read; {_MAY}")
    if done.returncode != 0:
        raise Blind(f"the journal cannot be read: {done.stderr.strip().splitlines()[:1]}")
    found = parse_journal(done.stdout)
    if not found and not _is_kept():
        raise Blind("no journal is kept here")
    return found


def _is_kept() -> bool:
    """Asked for JSON, journalctl does not say that there is nothing to ask."""
    return any(path for place in PLACES for path in place.glob("*/*.journal"))


def parse_journal(out: str) -> list[KernelLine]:
    """One JSON object for each line; a message that is no UTF-8 comes as a list of bytes."""
    found: list[KernelLine] = []
    for line in out.splitlines():
        try:
            entry = _DECODER.decode(line)
            text = entry.message
            if isinstance(text, list):
                text = bytes(text).decode(errors="replace")
            at_us = int(entry.source_us or entry.stored_us)
        except (msgspec.DecodeError, ValueError):
            continue
        if text:
            found.append(KernelLine(at_ms=at_us // 1000, text=text[:500]))
    return found
