"""The published log grows with the journal, seals what it holds twice, and never signs another history."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.receipts.journal import JournalWriter, LedgerError, segments
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.log_tree import LogTree
from freehold.receipts.merkle import complete_root, leaf_hash, root
from freehold.receipts.notes import Signer

SIGNER = Signer("example.com/log", bytes(32))
SEGMENT = 512


def entry(number: int) -> bytes:
    return b'{"id":"%d"}' % number


def expected_root(size: int) -> bytes:
    leaves = [leaf_hash(entry(number)) for number in range(size)]
    return root(size, lambda height, k: complete_root(leaves[k << height : (k + 1) << height]))


def grow(folder: Path, count: int) -> None:
    journal = JournalWriter(folder, SEGMENT)
    for number in range(journal.entries, journal.entries + count):
        journal.append([entry(number) + b"\n"])
    journal.close()


def publish(folder: Path, *, limit: int = 1_000, sign: bool = True, seal: bool = True) -> LogTree:
    tree = LogTree(LogFolder(folder), SIGNER)
    while tree.extend(limit):
        pass
    if sign and tree.size > tree.signed:
        assert tree.sign().root == expected_root(tree.size)
    if seal:
        tree.seal(tree.size)
    tree.close()
    return tree


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 700), st.integers(1, 600), st.booleans(), st.booleans(), st.booleans()),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_any_history_of_growth_and_crashes_gives_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int, bool, bool, bool]]
) -> None:
    """A crash may lose every tile of unsealed entries: they are made again from the journal."""
    folder = tmp_path_factory.mktemp("log")
    total = 0
    for count, limit, sign, seal, lose_tiles in runs:
        grow(folder, count)
        total += count
        tree = publish(folder, limit=limit, sign=sign, seal=seal)
        assert tree.size == total
        unsealed = segments(folder)[0].first
        if lose_tiles and unsealed == 0:
            shutil.rmtree(folder / "tile", ignore_errors=True)
    publish(folder)
    with LogReader(LogFolder(folder)) as reader:
        assert reader.read(total + 1) == [entry(number) for number in range(total)]
    if total:
        assert root(total, LogFolder(folder).subtrees()) == expected_root(total)


def test_sealed_segments_go_and_their_entries_stay_readable(tmp_path: Path) -> None:
    grow(tmp_path, 1_500)
    publish(tmp_path)
    assert [segment.first for segment in segments(tmp_path)] == [1_024]
    for index in (0, 511, 1_023, 1_024, 1_499):
        with LogReader(LogFolder(tmp_path), index) as reader:
            assert reader.read(1) == [entry(index)]


def test_nothing_is_sealed_that_is_not_projected_or_not_signed(tmp_path: Path) -> None:
    grow(tmp_path, 1_500)
    tree = LogTree(LogFolder(tmp_path), SIGNER)
    while tree.extend(1_000):
        pass
    assert tree.seal(1_500) == 0
    tree.sign()
    assert tree.seal(1_023) == 1
    tree.close()


def test_only_the_newest_partial_tiles_are_kept_and_serve_older_sizes(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    for _ in range(3):
        grow(tmp_path, 10)
        publish(tmp_path)
    assert [path.name for path in (tmp_path / "tile/0/000.p").iterdir()] == ["30"]
    assert root(20, folder.subtrees()) == expected_root(20)
    grow(tmp_path, 300)
    publish(tmp_path)
    assert not (tmp_path / "tile/0/000.p").exists()
    assert folder.read_bundle(0, 20)[:20] == [entry(number) for number in range(20)]


def test_a_journal_changed_under_a_signed_root_is_never_signed(tmp_path: Path) -> None:
    grow(tmp_path, 100)
    publish(tmp_path)
    path = segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes().replace(b'"50"', b'"05"'))
    with pytest.raises(LedgerError, match="not those that the last checkpoint signed"):
        publish(tmp_path)


def test_a_journal_cut_below_the_signed_size_is_never_signed(tmp_path: Path) -> None:
    grow(tmp_path, 100)
    publish(tmp_path)
    path = segments(tmp_path)[0].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:60]))
    with pytest.raises(LedgerError, match="ends after 60 entries, but 100 were signed"):
        publish(tmp_path)


def test_a_damaged_tile_of_unsealed_entries_is_written_again(tmp_path: Path) -> None:
    grow(tmp_path, 400)
    publish(tmp_path)
    tile, bundle = tmp_path / "tile/0/000", tmp_path / "tile/entries/000"
    good = tile.read_bytes(), bundle.read_bytes()
    tile.write_bytes(b"")
    bundle.unlink()
    publish(tmp_path)
    assert (tile.read_bytes(), bundle.read_bytes()) == good


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="has no journal"), LogReader(LogFolder(tmp_path), 5) as reader:
        reader.read(1)


def test_a_reader_that_rested_while_two_segments_were_sealed_goes_on(tmp_path: Path) -> None:
    grow(tmp_path, 10)
    with LogReader(LogFolder(tmp_path)) as reader:
        assert len(reader.read(100)) == 10
        grow(tmp_path, 1_490)
        publish(tmp_path)
        assert [segment.first for segment in segments(tmp_path)] == [1_024]
        assert reader.read(2_000) == [entry(number) for number in range(10, 1_500)]
