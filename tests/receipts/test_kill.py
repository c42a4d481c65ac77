"""`kill -9` of a process that appends and publishes: what it acknowledged is in the log, once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from freehold.receipts.entries import decode_receipt
from freehold.receipts.verify import verify
from tests.receipts.story import write_ledger
from tests.receipts.test_ledger import log_of

ROOT = Path(__file__).parents[2]


def killed_after(home: Path, acknowledged: int, start: int) -> list[str]:
    """Ids that the process acknowledged before it was killed."""
    command = [sys.executable, "-m", "tests.receipts.appender", str(home), str(start)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        seen = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
    return [line.strip() for line in seen + rest if line.endswith("\n")]


@pytest.mark.slow
def test_no_acknowledged_receipt_is_lost_and_none_stands_twice(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for round_number, count in enumerate((1, 255, 700, 2_000)):
        acknowledged += killed_after(tmp_path, count, round_number * 100_000)
    write_ledger(tmp_path, [])
    ids = Counter(decode_receipt(entry).id for entry in log_of(tmp_path))
    assert [name for name in acknowledged if ids[name] != 1] == []
    assert max(ids.values()) == 1
    assert len(ids) - len(acknowledged) <= 4, "at most the entry under way at each kill is more"
    report = verify(tmp_path)
    assert report.ok and report.covered == report.entries == len(ids)
