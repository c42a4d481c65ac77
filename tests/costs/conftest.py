"""One compiled price table for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.costs.book import PriceBook
from freehold.costs.snapshot import ensure_snapshot


@pytest.fixture(scope="session")
def table_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_snapshot(tmp_path_factory.mktemp("prices"))


@pytest.fixture(scope="session")
def book(table_path: Path) -> PriceBook:
    return PriceBook.load(table_path)
