"""Reads what model servers printed, from the end or from where the last reading stopped."""

from __future__ import annotations

import os
from pathlib import Path

from freehold.core.errors import FreeholdError
from freehold.web.control import LogView

_MOST_BYTES = 4 * 1024 * 1024
_BYTES_A_LINE = 400
"""Guessed high, so that one reading is enough for most logs."""


def read_log(file: Path, lines: int, since: int | None) -> LogView:
    """The last `lines`, or whole lines from byte `since` on. A log that was begun anew is read from its
    start. Raises FreeholdError when it cannot be read; one that is not there yet is empty."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            if since is None:
                start = max(0, size - min(_MOST_BYTES, (lines + 1) * _BYTES_A_LINE))
            else:
                start = max(since if since <= size else 0, size - _MOST_BYTES)
            log.seek(start)
            data = log.read(size - start)
    except FileNotFoundError:
        return LogView(lines=[], next=0, file=str(file))
    except OSError as error:
        raise FreeholdError(f"its log {file} cannot be read: {error.strerror}") from error
    whole = data[: data.rfind(b"\n") + 1]
    found = whole.decode(errors="replace").splitlines()
    if start and start != since:
        found = found[1:]  # it began in the middle of a line
    if since is None:
        found = found[max(0, len(found) - lines) :]
    return LogView(lines=found, next=start + len(whole), file=str(file))
