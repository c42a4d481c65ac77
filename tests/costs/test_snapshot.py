"""The table is made once, whole or not at all, and named by what it was made from."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from freehold.costs.snapshot import ensure_snapshot
from freehold.costs.table import PriceTableError, read_table


def test_the_file_is_named_by_the_version_and_is_a_table(table_path: Path) -> None:
    assert version("genai-prices") in table_path.name
    assert "anthropic" in read_table(table_path.read_bytes()).providers
    assert list(table_path.parent.iterdir()) == [table_path]


def test_a_table_that_is_there_is_not_made_again(table_path: Path, tmp_path: Path) -> None:
    kept = tmp_path / table_path.name
    kept.write_bytes(b"as it was")
    assert ensure_snapshot(tmp_path) == kept
    assert kept.read_bytes() == b"as it was"


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PriceTableError, match="Cannot write the price table"):
        ensure_snapshot(tmp_path / "file" / "prices")
