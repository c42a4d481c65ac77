"""What an engine wrote, read back from its log: as it was, or as the last lines for a person.

The files are written by the engine's keeper (`supervisor.engine_log`), which also says where the output of
this start begins. Blocking, bounded reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from freehold.supervisor.engine_log import LOGS_KEPT

_END_BYTES = 64 * 1024
_LONGEST_LINE = 1000
_LINE_END = re.compile(r"\r\n|\n|\r")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")  # ECMA-48 §5.4


class OutputPlace:
    """Where the output of one start is: from `offset` on in the log that has number `rotations` by now."""

    def __init__(self, log: Path, offset: int, rotations: int) -> None:
        self._log = log
        self._offset = offset
        self._rotations = rotations

    def everything(self) -> list[str]:
        """All lines; of more than 128 KiB the first and the last 64 KiB. Raises OSError."""
        pieces = self._pieces()
        if sum(size for _, _, size in pieces) <= 2 * _END_BYTES:
            return lines(_read(pieces, 2 * _END_BYTES))
        first = lines(_read(pieces, _END_BYTES))[:-1]
        last = lines(_read(pieces, _END_BYTES, from_end=True))[1:]
        return [*first, "...", *last]

    def last(self, count: int) -> tuple[str, ...]:
        """The last lines with something in them, repeats folded. Raises OSError."""
        found = fold(lines(_read(self._pieces(), _END_BYTES, from_end=True)))
        return tuple(found[-count:]) if count > 0 else ()

    def _pieces(self) -> list[tuple[Path, int, int]]:
        """Files in the order of writing: path, where our part of it begins, how long that is."""
        oldest = min(self._rotations, LOGS_KEPT)
        names = [self._log.with_name(f"{self._log.name}.{number}") for number in range(oldest, 0, -1)]
        found: list[tuple[Path, int, int]] = []
        for path in [*names, self._log]:
            try:
                size = path.stat().st_size
            except FileNotFoundError:  # taken away
                continue
            is_first = path == (names or [self._log])[0] and self._rotations == oldest
            begin = self._offset if is_first and self._offset <= size else 0
            found.append((path, begin, size - begin))
        return found


def _read(pieces: Sequence[tuple[Path, int, int]], limit: int, *, from_end: bool = False) -> str:
    parts: list[bytes] = []
    for path, begin, size in reversed(pieces) if from_end else pieces:
        take = min(size, limit)
        with path.open("rb") as file:
            file.seek(begin + size - take if from_end else begin, os.SEEK_SET)
            parts.append(file.read(take))
        limit -= take
        if not limit:
            break
    return b"".join(reversed(parts) if from_end else parts).decode(errors="replace")


def lines(text: str) -> list[str]:
    """Lines as a terminal would show them: without colours and other control characters, blank ones left
    out, of endless ones the beginning."""
    found: list[str] = []
    for line in _LINE_END.split(text):
        clean = _ESCAPES.sub("", line).rstrip()
        if clean:
            found.append(clean if len(clean) <= _LONGEST_LINE else clean[:_LONGEST_LINE] + "...")
    return found


def fold(told: Iterable[str]) -> list[str]:
    """Each run of equal lines as one, `text (x 17)`; white space around a line is not its text."""
    runs: list[tuple[str, int]] = []
    for line in told:
        text = line.strip()
        if runs and runs[-1][0] == text:
            runs[-1] = text, runs[-1][1] + 1
        else:
            runs.append((text, 1))
    return [text if count == 1 else f"{text} (x {count})" for text, count in runs]
