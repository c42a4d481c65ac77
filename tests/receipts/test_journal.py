"""The journal keeps every whole line, wherever a crash cuts it, and has one writer."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.receipts import journal as journal_module
from freehold.receipts.journal import (
    FolderLock,
    JournalSync,
    JournalWriter,
    LedgerError,
    SegmentReader,
    segments,
)

SEGMENT = 4


def lines_of(folder: Path) -> list[bytes]:
    return [line for segment in segments(folder) for line in segment.path.read_bytes().splitlines()]


def write(folder: Path, lines: list[bytes]) -> JournalWriter:
    journal = JournalWriter(folder, SEGMENT)
    for line in lines:
        journal.append([line + b"\n"])
    journal.close()
    return journal


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.data())
def test_after_a_cut_at_any_byte_a_prefix_stays_and_writing_goes_on(
    tmp_path_factory: pytest.TempPathFactory, runs: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    expected: list[bytes] = []
    for count in runs:
        fresh = [b"entry-%d" % (len(expected) + number) for number in range(count)]
        assert write(folder, fresh).entries == len(expected) + count
        expected += fresh
        last = segments(folder)[-1]
        size = last.path.stat().st_size
        cut = data.draw(st.integers(0, size))
        whole = last.path.read_bytes()[:cut].count(b"\n")
        os.truncate(last.path, cut)
        expected = expected[: last.first + whole]
    journal = JournalWriter(folder, SEGMENT)
    assert journal.entries == len(expected)
    assert lines_of(folder) == expected
    journal.close()


def test_the_torn_end_is_counted(tmp_path: Path) -> None:
    write(tmp_path, [b"one"])
    with segments(tmp_path)[0].path.open("ab") as file:
        file.write(b'{"half')
    journal = JournalWriter(tmp_path, SEGMENT)
    assert (journal.torn_bytes, journal.entries) == (6, 1)
    journal.close()


def test_segments_are_named_after_their_first_entry(tmp_path: Path) -> None:
    write(tmp_path, [b"%d" % number for number in range(10)])
    assert [segment.first for segment in segments(tmp_path)] == [0, 4, 8]


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [b"%d" % number for number in range(10)])
    segments(tmp_path)[1].path.unlink()
    with pytest.raises(LedgerError, match="next segment starts at 8"):
        JournalWriter(tmp_path, SEGMENT)


def test_a_full_disk_leaves_no_half_line_and_later_lines_are_whole(tmp_path: Path) -> None:
    """A write that the system takes only in part must not stick to the next line (limit on file size)."""
    import resource
    import signal

    journal = JournalWriter(tmp_path, SEGMENT)
    journal.append([b"first\n"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        for _ in range(2):
            with pytest.raises(LedgerError, match=f"disk is full|{os.strerror(errno.EFBIG)}"):
                journal.append([b"does not fit\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    journal.append([b"second\n"])
    journal.close()
    assert lines_of(tmp_path) == [b"first", b"second"]


class FullDisk:
    """No file can be made while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self._open = journal_module._open_for_append  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(journal_module, "_open_for_append", self.open)

    def open(self, path: Path) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._open(path)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[JournalWriter]:
    """One line is left in its segment."""
    journal = JournalWriter(tmp_path, SEGMENT)
    journal.append([b"%d\n" % number for number in range(SEGMENT - 1)])
    yield journal
    journal.close()


def test_a_line_is_written_though_there_is_no_room_for_the_next_segment(
    tmp_path: Path, filled: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch)
    filled.append([b"3\n"])
    assert (filled.entries, lines_of(tmp_path)) == (4, [b"0", b"1", b"2", b"3"])


def test_a_line_without_a_segment_is_refused_and_leaves_nothing(
    tmp_path: Path, filled: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch)
    filled.append([b"3\n"])
    with pytest.raises(LedgerError, match=os.strerror(errno.ENOSPC)):
        filled.append([b"4\n"])
    assert (filled.entries, lines_of(tmp_path)) == (4, [b"0", b"1", b"2", b"3"])


def test_once_there_is_room_the_next_segment_begins_where_the_last_ended(
    tmp_path: Path, filled: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    filled.append([b"3\n"])
    disk.full = False
    filled.append([b"4\n", b"5\n"])
    assert [segment.first for segment in segments(tmp_path)] == [0, 4]
    assert lines_of(tmp_path) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_the_second_writer_is_told_who_has_the_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(LedgerError, match=f"in use by process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_a_reader_sees_lines_that_come_later_and_no_half_line(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    journal.append([b"one\n"])
    reader = SegmentReader(segments(tmp_path)[0], 0)
    assert reader.read(10) == [b"one"]
    assert reader.read(10) == []
    with segments(tmp_path)[0].path.open("ab") as file:
        file.write(b"two\nthr")
    assert reader.read(10) == [b"two"]
    assert reader.index == 2
    reader.close()
    journal.close()


def test_a_reader_cannot_start_where_the_segment_has_nothing(tmp_path: Path) -> None:
    write(tmp_path, [b"one"])
    with pytest.raises(LedgerError, match="ends at entry 1, before entry 3"):
        SegmentReader(segments(tmp_path)[0], 3)


def test_sync_may_be_asked_for_any_length_again_and_again(tmp_path: Path) -> None:
    sync = JournalSync(tmp_path)
    write(tmp_path, [b"%d" % number for number in range(6)])
    for entries in (3, 3, 6):
        sync.sync(entries)


def test_of_lines_that_begin_another_segment_so_many_are_told_that_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = JournalWriter(tmp_path, SEGMENT)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("freehold.receipts.journal._open_for_append", full)
    with pytest.raises(LedgerError, match="No space left") as told:
        journal.append([b"%d\n" % number for number in range(SEGMENT + 2)])
    assert (told.value.stored, journal.entries) == (SEGMENT, SEGMENT)
    assert len(lines_of(tmp_path)) == SEGMENT
    journal.close()
