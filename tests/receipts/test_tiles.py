"""Tile paths and widths as the C2SP text gives them; the growing edge against the whole tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.merkle import complete_root, leaf_hash, root
from freehold.receipts.tiles import (
    BundleError,
    RightEdge,
    Tile,
    decode_bundle,
    encode_bundle,
    subtree_in_tiles,
    tiles_of_tree,
)


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(-1, 0, 17).path == "tile/entries/000.p/17"
    assert Tile(2, 999).path == "tile/2/999"
    assert Tile(0, 1_000).path == "tile/0/x001/000"


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    assert tiles_of_tree(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert tiles_of_tree(256) == [Tile(1, 0, 1)]
    assert tiles_of_tree(0) == []


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_give_back_their_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), st.data())
def test_a_cut_bundle_is_an_error_or_a_shorter_one(entries: list[bytes], data: st.DataObject) -> None:
    whole = encode_bundle(entries)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        assert decode_bundle(cut) == entries[: len(decode_bundle(cut))]
    except BundleError as error:
        assert "cut short" in str(error)


@pytest.mark.parametrize("steps", [[1], [255, 1, 1], [256], [300, 212], [65_536], [65_535, 1, 300], [70_000]])
def test_an_edge_grown_in_steps_has_the_root_and_tiles_of_the_whole(steps: list[int]) -> None:
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(sum(steps))]
    edge, tiles = RightEdge(), dict[Tile, bytes]()
    at = 0
    for step in steps:
        tiles |= dict(edge.add(leaves[at : at + step]))
        at += step
    assert edge.size == at
    assert edge.root() == root(at, lambda height, k: complete_root(leaves[k << height : (k + 1) << height]))
    tiles |= dict(edge.partial_tiles())

    def read(level: int, number: int, needed: int) -> bytes:
        return next(data for tile, data in tiles.items() if tile[:2] == (level, number))

    assert root(at, lambda height, k: subtree_in_tiles(height, k, read)) == edge.root()


def test_a_copy_of_an_edge_goes_its_own_way() -> None:
    edge = RightEdge()
    edge.add([leaf_hash(b"a")])
    copy = edge.copy()
    copy.add([leaf_hash(b"b")])
    assert (edge.size, copy.size) == (1, 2)
    assert edge.root() == leaf_hash(b"a") != copy.root()
