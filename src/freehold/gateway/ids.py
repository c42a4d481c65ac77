"""Receipt ids: sortable by time, unique across restarts, cheap."""

from __future__ import annotations

import itertools
import os


class ReceiptIds:
    """Makes ids such as `r019a2b3c4d5e-5f3a9c01-00002a`: milliseconds, a random part per process, a count."""

    __slots__ = ("_count", "_process")

    def __init__(self) -> None:
        self._process = os.urandom(4).hex()
        self._count = itertools.count()

    def next(self, now_ms: int) -> str:
        return f"r{now_ms:012x}-{self._process}-{next(self._count):06x}"
