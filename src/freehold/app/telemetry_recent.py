"""The newest entries of the ledger, followed from its log: also those of an earlier run."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from freehold.receipts.entries import decode_receipt
from freehold.receipts.journal import LedgerError, segments
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.recognise import MOST, Recent

_BEFORE = MOST
"""Entries before the open segment that are read at the start."""
_PART = 1_024


class LedgerMemory:
    """`recent` is up to date after `follow`, which reads files: for a thread, one call at a time."""

    def __init__(self, home: Path) -> None:
        self._folder = LogFolder(home / "ledger")
        self._reader: LogReader | None = None
        self.recent = Recent()

    def follow(self) -> None:
        """Read what came since the last time. A hole in the log is jumped over: others tell of it."""
        try:
            if self._reader is None:
                self._reader = LogReader(self._folder, self._first())
            newest: deque[bytes] = deque(maxlen=MOST)
            while entries := self._reader.read(_PART):
                newest.extend(entries)
        except (LedgerError, OSError):
            self.close()
            return
        for entry in newest:
            try:
                receipt = decode_receipt(entry)
            except msgspec.MsgspecError:
                continue
            self.recent.add(receipt)

    def close(self) -> None:
        """Let the open file go; the next `follow` begins anew."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _first(self) -> int:
        found = segments(self._folder.path)
        return max(0, found[-1].first - _BEFORE) if found else 0
