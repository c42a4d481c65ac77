"""What hooks keep while no Freehold runs: many writers, one taker, nothing lost, nothing without bound."""

from __future__ import annotations

import resource
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from freehold.receipts import spool
from freehold.receipts.spool import SpoolFull, add, take, waiting


def test_events_come_back_in_their_order_and_are_gone(tmp_path: Path) -> None:
    add(tmp_path / "new", b"1")
    add(tmp_path / "new", b"2\n3")
    assert waiting(tmp_path / "new")
    assert list(take(tmp_path / "new")) == [b"1", b"2 3"]
    assert not waiting(tmp_path / "new")
    assert list(take(tmp_path / "new")) == []


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    add(tmp_path / "home", b"1")
    folder = tmp_path / "home" / "spool"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]


def test_a_taker_that_was_cut_off_begins_again(tmp_path: Path) -> None:
    for event in (b"1", b"2"):
        add(tmp_path, event)
    assert list(islice(take(tmp_path), 1)) == [b"1"]
    add(tmp_path, b"3")
    assert list(take(tmp_path)) == [b"1", b"2", b"3"]


def test_half_a_line_does_not_stay_on_a_full_disk(tmp_path: Path) -> None:
    add(tmp_path, b"1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match=r"No space|too large"):
            add(tmp_path, b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    add(tmp_path, b"2")
    assert list(take(tmp_path)) == [b"1", b"2"]


def test_there_is_an_end_to_it(tmp_path: Path) -> None:
    half = b"x" * (spool.MOST_BYTES // 2)
    add(tmp_path, half)
    with pytest.raises(SpoolFull, match="start Freehold"):
        add(tmp_path, half)
    assert list(take(tmp_path)) == [half]
    add(tmp_path, half)


_WRITER = """
import sys
from pathlib import Path
from freehold.receipts.spool import add
for number in range(200):
    add(Path(sys.argv[1]), f"{sys.argv[2]}-{number}".encode())
"""


def test_what_is_added_while_somebody_takes_is_not_lost(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), str(number)]) for number in range(3)
    ]
    taken: list[bytes] = []
    while any(writer.poll() is None for writer in writers):
        taken += take(tmp_path)
    taken += take(tmp_path)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(taken) == sorted(f"{who}-{number}".encode() for who in range(3) for number in range(200))
