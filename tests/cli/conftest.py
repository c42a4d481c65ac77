"""Commands as people type them, in this process: arguments in, exit status and both streams out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.main import main
from tests.cli.ledgers import fill


@dataclass
class Ran:
    """What a command left behind."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Freehold = Callable[..., Ran]


@pytest.fixture
def freehold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Freehold:
    """Runs one command in an empty folder, with an environment that holds nothing of this machine's."""
    for name in ("FREEHOLD_CONFIG", "FREEHOLD_KEY", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        status = main(arguments)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture(scope="session")
def made_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with receipts, for tests that only read."""
    home = tmp_path_factory.mktemp("ledger")
    fill(home)
    return home
