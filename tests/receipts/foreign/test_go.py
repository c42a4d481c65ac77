"""Go's transparency log packages accept our log and refuse it after one changed byte."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from freehold.receipts.proofs import prove, prove_consistency
from tests.receipts.foreign.prepare import prepare
from tests.receipts.story import write_numbers

pytestmark = pytest.mark.foreign

OLD, NEW = 300, 1_000


@pytest.fixture(scope="module")
def verifier() -> Path:
    return prepare()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    folder = write_numbers(home, OLD)
    saved = (folder / "checkpoint").read_text()
    write_numbers(home, NEW - OLD, start=OLD)
    (home / "saved").write_text(saved)
    proof = [base64.b64encode(each).decode() for each in prove_consistency(home, saved)]
    (home / "consistency").write_text("\n".join(proof))
    (home / "receipt.tlog-proof").write_text(prove(home, "rc_000777"))
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "home")


def check_log(verifier: Path, home: Path) -> str:
    return run(verifier, home, "log", "ledger", "saved", "consistency")


def run(verifier: Path, home: Path, kind: str, path: str, *more: str) -> str:
    key = (home / "keys/ledger.pub").read_text().strip()
    command = [str(verifier), kind, str(home / path), key, *(str(home / name) for name in more)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_checkpoint_every_entry_and_consistency_are_accepted(verifier: Path, home: Path) -> None:
    assert check_log(verifier, home) == f"ok {NEW}"


def test_a_proof_file_is_accepted(verifier: Path, home: Path) -> None:
    assert run(verifier, home, "proof", "receipt.tlog-proof") == f"ok {NEW}"


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("ledger/tile/entries/001", 100),
        ("ledger/tile/entries/003.p/232", 5_000),
        ("ledger/tile/0/002", 64),
        ("ledger/tile/1/000.p/3", 5),
        ("ledger/checkpoint", 40),
        ("saved", 40),
        ("consistency", 3),
    ],
)
def test_one_changed_byte_of_a_log_is_refused(verifier: Path, home: Path, path: str, at: int) -> None:
    flip(home / path, at)
    assert not check_log(verifier, home).startswith("ok")


def test_no_changed_byte_of_a_proof_file_is_accepted(verifier: Path, home: Path) -> None:
    size = (home / "receipt.tlog-proof").stat().st_size
    for at in range(30, size - 100, 97):
        shutil.copy(home / "receipt.tlog-proof", home / "changed")
        flip(home / "changed", at)
        assert not run(verifier, home, "proof", "changed").startswith("ok"), f"byte {at}"
