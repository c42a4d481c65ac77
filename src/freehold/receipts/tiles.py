"""C2SP tlog-tiles v0.1: where tiles and entry bundles lie, what is in them, and the growing right edge.

Pure: paths are relative text, contents are bytes. Reading and writing files is in `log_store`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from freehold.receipts.merkle import HASH_BYTES, complete_root, root

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 0xFFFF
"""A bundle stores each entry behind a big-endian uint16 length."""


class BundleError(ValueError):
    """The bytes are not a whole bundle."""


class Tile(NamedTuple):
    """Coordinates. `level` -1 names an entry bundle. `width` 256 is a full tile."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Relative path, for example `tile/0/x001/x234/067` or `tile/entries/000.p/17`."""
        level = "entries" if self.level < 0 else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_grouped(self.number)}{partial}"


def _grouped(number: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join(["x" + group for group in groups[:-1]] + groups[-1:])


def tiles_of_tree(size: int) -> list[Tile]:
    """The partial (right-most) hash tiles of a tree of `size` leaves, lowest level first."""
    found: list[Tile] = []
    level = 0
    while size >> level * TILE_HEIGHT:
        number, width = divmod(size >> level * TILE_HEIGHT, TILE_WIDTH)
        if width:
            found.append(Tile(level, number, width))
        level += 1
    return found


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Length-prefixed entries. Each entry must have at most 65,535 bytes."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def decode_bundle(data: bytes) -> list[bytes]:
    """The inverse of `encode_bundle`. Raises BundleError when the last entry is cut."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data) or start > len(data):
            raise BundleError(f"entry {len(entries)} of the bundle is cut short")
        entries.append(data[start:end])
        at = end
    return entries


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile's bytes."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def subtree_in_tiles(height: int, k: int, read: Callable[[int, int, int], bytes]) -> bytes:
    """Hash of a complete subtree from tiles; `read(level, number, needed)` gives at least the first
    `needed` hashes of a tile as bytes."""
    level, rest = divmod(height, TILE_HEIGHT)
    first = k << rest
    number, offset = divmod(first, TILE_WIDTH)
    count = 1 << rest
    data = read(level, number, offset + count)
    return complete_root(split_hashes(data[offset * HASH_BYTES : (offset + count) * HASH_BYTES]))


class RightEdge:
    """The growing end of a tree: at each level the hashes of the tile that is not yet full.

    `add` takes leaf hashes and returns the tiles that became full; nothing else is remembered, so a tree
    of any size costs at most 8 KiB a level.
    """

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        """`levels[L]` must hold the hashes of level L's partial tile in a tree of `size` leaves."""
        self.size = size
        self._levels: list[list[bytes]] = [list(level) for level in levels] or [[]]

    def copy(self) -> RightEdge:
        """An independent edge of the same tree."""
        return RightEdge(self.size, self._levels)

    def add(self, leaves: Sequence[bytes]) -> list[tuple[Tile, bytes]]:
        """Append leaf hashes; returns newly full tiles with their bytes, in order of creation."""
        full: list[tuple[Tile, bytes]] = []
        at = 0
        while at < len(leaves):
            taken = leaves[at : at + TILE_WIDTH - len(self._levels[0])]
            at += len(taken)
            self.size += len(taken)
            self._levels[0].extend(taken)
            level = 0
            while len(self._levels[level]) == TILE_WIDTH:
                number = (self.size >> (level + 1) * TILE_HEIGHT) - 1
                full.append((Tile(level, number), b"".join(self._levels[level])))
                if level + 1 == len(self._levels):
                    self._levels.append([])
                self._levels[level + 1].append(complete_root(self._levels[level]))
                self._levels[level] = []
                level += 1
        return full

    def partial_tiles(self) -> list[tuple[Tile, bytes]]:
        """The partial tiles that a checkpoint of this size needs."""
        return [(tile, b"".join(self._levels[tile.level])) for tile in tiles_of_tree(self.size)]

    def root(self) -> bytes:
        """The tree's root hash."""

        def read(level: int, number: int, needed: int) -> bytes:
            hashes = self._levels[level]
            assert number == self.size >> (level + 1) * TILE_HEIGHT and len(hashes) >= needed
            return b"".join(hashes)

        return root(self.size, lambda height, k: subtree_in_tiles(height, k, read))
