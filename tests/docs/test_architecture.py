"""The picture of the house is the house: rooms, floors, files, the state folder, what is not loaded."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.follow import Reader
from tests.docs.pages import ROOT, blocks, code_words, table

PAGE = ROOT / "docs" / "architecture.md"
SOURCE = ROOT / "src" / "freehold"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(LAYERS,) = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]


def rooms_of(layer: str) -> list[str]:
    return [name.strip().strip("()") for name in layer.split("|")]


def there(names: list[str]) -> list[str]:
    """Those of the names that exist: a contract may name rooms that are still to come."""
    return [name for name in names if (SOURCE / name).is_dir()]


def test_the_table_has_every_room_and_no_other() -> None:
    named = [row[0].strip("`") for row in table(PAGE, "Rooms and arrows")]
    built = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert sorted(named) == sorted(built)


def test_the_floors_are_those_that_the_linter_checks() -> None:
    floors = next(block.text for block in blocks(PAGE) if block.text.startswith("cli\n"))
    drawn = [[name.strip() for name in line.split("|")] for line in floors.splitlines()]
    checked = [there(rooms_of(layer)) for layer in LAYERS]
    assert drawn == [rooms for rooms in checked if rooms]


def test_every_pure_part_that_is_named_is_under_the_contract() -> None:
    pure = next(c["source_modules"] for c in CONTRACTS if "sqlite3" in c.get("forbidden_modules", []))
    patterns = [re.compile(name.replace(".**", r"(\..*)?").replace(".*.", r"\.\w+\.")) for name in pure]
    for name in (
        "dialects.sse",
        "routing.choose",
        "costs.prices",
        "supervisor.lifecycle",
        "receipts.merkle",
        "adapters.host.checks",
    ):
        assert any(pattern.fullmatch(f"freehold.{name}") for pattern in patterns), name


def paths() -> list[str]:
    found = [
        word for word in code_words(PAGE) if "/" in word or Path(word).suffix in (".py", ".sql", ".toml")
    ]
    return sorted({word for word in found if " " not in word and not word.startswith(("~", "/", "$"))})


def state() -> list[str]:
    return [row[0].strip("`") for row in table(PAGE, "The ledger")]


@pytest.mark.parametrize("path", paths())
def test_every_path_that_is_named_exists(path: str) -> None:
    assert (SOURCE / path).exists() or (ROOT / path).exists() or path in state(), path


@pytest.mark.engine
def test_the_state_folder_holds_what_is_told_and_nothing_else(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.start("receipts: {payloads: all}\n")
    try:
        for block in blocks(ROOT / "docs" / "how-to" / "receipts.md"):
            if "curl" in block.text:
                reader.follow(block)
        reader.published()
        missing = [name for name in state() if not (reader.home / name).exists()]
        tops = {name.partition("/")[0] for name in state()}
        extra = [
            each.name
            for each in reader.home.iterdir()
            if each.name.removesuffix("-wal").removesuffix("-shm") not in tops
        ]
    finally:
        reader.stop()
    assert (missing, extra) == ([], [])


def test_what_is_loaded_late_is_not_loaded_at_the_start() -> None:
    late = (
        "fastapi",
        "pydantic",
        "genai_prices",
        "typer",
        "rich",
        "yaml",
        "psutil._",
        "freehold.dialects.requests",
    )
    script = (
        "import sys, freehold.cli.main, freehold.cli.starting, freehold.app.serve\n"
        f"print([name for name in {late} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
