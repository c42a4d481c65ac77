"""The price table of a running Freehold: the one at hand at once, a better one beside the first calls.

`folder` (`prices` in the state folder) holds every document that a receipt names by its hash: compiled
tables, and the overrides of each configuration that was in force. None is ever rewritten or deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from freehold.core.config_prices import PriceConfig
from freehold.costs.book import PriceBook
from freehold.costs.overrides import RateOverride, parse_overrides
from freehold.costs.snapshot import TABLES, ensure_snapshot
from freehold.costs.table import PriceTableError


class HousePrices:
    """`complain` says that costs will be unknown, and why; `said` are the prices of the configuration."""

    def __init__(
        self, folder: Path, complain: Callable[[str], None], said: Mapping[str, PriceConfig] | None = None
    ) -> None:
        self._folder = folder
        self._complain = complain
        self._overrides = overrides_of(said or {})
        self._at_hand = False
        self.book = PriceBook.empty(self._overrides)
        """The prices in force."""

    def first(self) -> PriceBook:
        """The table of an earlier start, else none yet: making it must not delay the port."""
        if any(self._folder.glob(TABLES)):
            with contextlib.suppress(PriceTableError):
                book = PriceBook.load(ensure_snapshot(self._folder), self._overrides)
                self._at_hand = True
                return self._kept(book)
        return self._kept(PriceBook.empty(self._overrides))

    async def fetch(self, use: Callable[[PriceBook], None]) -> None:
        """Make the table when there was none, and hand it over."""
        if self._at_hand:
            return
        try:
            path = await asyncio.to_thread(ensure_snapshot, self._folder)
            use(self._kept(PriceBook.load(path, self._overrides)))
        except PriceTableError as error:
            self._complain(f"costs will be unknown: {error}")

    async def use(self, said: Mapping[str, PriceConfig], use: Callable[[PriceBook], None]) -> None:
        """The configuration has other prices from now on. Raises ConfigError."""
        self._overrides = overrides_of(said)
        try:
            path = await asyncio.to_thread(ensure_snapshot, self._folder)
            book = await asyncio.to_thread(PriceBook.load, path, self._overrides)
        except PriceTableError:  # told already; what the configuration says is known all the same
            book = PriceBook.empty(self._overrides)
        use(self._kept(book))

    def _kept(self, book: PriceBook) -> PriceBook:
        self.book = book
        if self._overrides:
            try:
                keep_document(self._folder, "overrides", book.overrides_document)
            except OSError as error:
                self._complain(f"the prices of the configuration cannot be kept as evidence: {error}")
        return book


def overrides_of(said: Mapping[str, PriceConfig]) -> dict[str, RateOverride]:
    """The prices of a configuration, exactly. Raises ConfigError."""
    return parse_overrides({name: price.stated for name, price in said.items()})


def keep_document(folder: Path, kind: str, document: bytes) -> Path:
    """Write what receipts name by its SHA-256, once: `KIND-HASH.json`. Raises OSError."""
    path = folder / f"{kind}-{sha256(document).hexdigest()}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(document)
        part.replace(path)
    return path
