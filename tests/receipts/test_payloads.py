"""Bodies are kept once, given back whole, dropped on demand, and never hold up the call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.receipts.payloads import PayloadFolder, Payloads


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[PayloadFolder]:
    opened = PayloadFolder(tmp_path / "payloads")
    yield opened
    opened.close()


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "payloads").glob("??/*.zst"))


def test_what_was_put_is_there_after_close(tmp_path: Path, folder: PayloadFolder) -> None:
    with Payloads(tmp_path / "payloads") as payloads:
        assert payloads.put("rc_1", "request", b"question" * 1_000)
        assert payloads.put("rc_1", "response", b"")
    assert (payloads.health().stored, payloads.health().queued_bytes) == (2, 0)
    assert folder.get("rc_1", "request") == b"question" * 1_000
    assert folder.get("rc_1", "response") == b""
    assert folder.get("rc_2", "request") is None
    assert sum(path.stat().st_size for path in files(tmp_path)) < 200, "zstd"


def test_equal_bodies_are_stored_once_and_stay_for_the_other_receipt(
    tmp_path: Path, folder: PayloadFolder
) -> None:
    for name in ("rc_1", "rc_2"):
        folder.store(name, "request", b"the same prompt")
    assert len(files(tmp_path)) == 1
    assert folder.redact("rc_1") == 1
    assert (folder.get("rc_1", "request"), folder.get("rc_2", "request")) == (None, b"the same prompt")
    assert folder.redact("rc_2") == 1
    assert files(tmp_path) == []
    assert folder.redact("rc_2") == 0


def test_a_body_changed_on_disk_is_not_given_out(tmp_path: Path, folder: PayloadFolder) -> None:
    folder.store("rc_1", "request", b"one")
    folder.store("rc_2", "request", b"two")
    first, second = files(tmp_path)
    first.write_bytes(second.read_bytes())
    second.write_bytes(b"garbage")
    for name in ("rc_1", "rc_2"):
        with pytest.raises(ValueError, match=f"receipt {name}"):
            folder.get(name, "request")


def test_when_too_much_waits_bodies_are_dropped_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Payloads(tmp_path / "payloads", most_queued_bytes=10) as payloads:
        assert not payloads.put("rc_1", "request", b"x" * 11)
        assert not payloads.put("rc_2", "request", b"x" * 11)
        assert payloads.health().dropped == 2
    assert caplog.text.count("bodies are dropped") == 1


def test_a_disk_that_refuses_is_told_and_later_bodies_are_stored(
    tmp_path: Path, folder: PayloadFolder
) -> None:
    digest_folder = "ca"  # sha256(b"a") starts with it
    (tmp_path / "payloads" / digest_folder).write_text("a file where a folder should be")
    with Payloads(tmp_path / "payloads") as payloads:
        payloads.put("rc_1", "request", b"a")
    assert payloads.health().dropped == 1 and payloads.health().error
    with Payloads(tmp_path / "payloads") as payloads:
        payloads.put("rc_2", "request", b"b")
    assert folder.get("rc_2", "request") == b"b"
