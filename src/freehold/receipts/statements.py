"""The SQL of this room: named statements from the `.sql` files in `sql/`, read once."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"
_FIRST_WITH_STRICT = (3, 37)


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of `sql/<file>.sql` by their `-- name:` lines."""
    parts = re.split(r"^-- name: (\w+)\n", (_FOLDER / f"{file}.sql").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def schema() -> str:
    """The schema; without STRICT where the SQLite library is too old to know it."""
    text = (_FOLDER / "schema.sql").read_text()
    if sqlite3.sqlite_version_info < _FIRST_WITH_STRICT:
        return text.replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID").replace(") STRICT", ")")
    return text
