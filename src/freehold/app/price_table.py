"""The price table of a running Freehold: the one at hand at once, a better one beside the first calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from freehold.costs.book import PriceBook
from freehold.costs.snapshot import ensure_snapshot
from freehold.costs.table import PriceTableError


class HousePrices:
    """`folder` holds the compiled tables. `complain` says that costs will be unknown, and why."""

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        self._folder = folder
        self._complain = complain
        self._at_hand = False

    def first(self) -> PriceBook:
        """The table of an earlier start, else none yet: making it must not delay the port."""
        if self._folder.is_dir() and any(self._folder.iterdir()):
            with contextlib.suppress(PriceTableError):
                book = PriceBook.load(ensure_snapshot(self._folder))
                self._at_hand = True
                return book
        return PriceBook.empty()

    async def fetch(self, use: Callable[[PriceBook], None]) -> None:
        """Make the table when there was none, and hand it over."""
        if self._at_hand:
            return
        try:
            path = await asyncio.to_thread(ensure_snapshot, self._folder)
            use(PriceBook.load(path))
        except PriceTableError as error:
            self._complain(f"costs will be unknown: {error}")
