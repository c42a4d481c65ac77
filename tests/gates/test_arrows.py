"""The contracts on imports speak about modules that exist: one that matches nothing protects nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NAMES = [name for contract in CONTRACTS for name in contract.get("source_modules", [])]


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_a_contract_s_source_exists(name: str) -> None:
    path = name.replace("**", "*").replace(".", "/")
    assert list((ROOT / "src").glob(path)) + list((ROOT / "src").glob(path + ".py")), name
