"""The parts of `verify` that look at the log itself: bundles and tiles, and the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from freehold.receipts.differences import Problem, differences
from freehold.receipts.journal import LedgerError, Segment, segments
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.merkle import HASH_BYTES, leaf_hash
from freehold.receipts.notes import Checkpoint
from freehold.receipts.tiles import TILE_WIDTH, RightEdge, Tile, split_hashes


@dataclass(frozen=True)
class Block:
    """Up to 256 published entries and what the tile says of them."""

    first: int
    entries: list[bytes]
    leaves: list[bytes]
    """Hashes of the entries."""
    recorded: list[bytes]
    """Hashes in the level 0 tile."""
    problems: list[Problem]
    """Why something could not be read."""


def blocks(folder: LogFolder, size: int) -> Iterator[Block]:
    """The first `size` entries, bundle by bundle; an unreadable file gives a shorter block and a problem."""
    for first in range(0, size, TILE_WIDTH):
        number, width = first // TILE_WIDTH, min(TILE_WIDTH, size - first)
        problems: list[Problem] = []
        entries: list[bytes] = []
        recorded: list[bytes] = []
        try:
            entries = folder.bundle_as_it_is(number, width)
        except LedgerError as cause:
            problems.append(Problem("dropped", first, str(cause)))
        try:
            recorded = split_hashes(folder.read_hashes(0, number, width)[: width * HASH_BYTES])
        except LedgerError as cause:
            problems.append(Problem("tile", first, str(cause)))
        exact = (folder.path / Tile(-1, number, width).path).is_file()
        entries = entries if exact else entries[:width]
        yield Block(first, entries, [leaf_hash(entry) for entry in entries], recorded, problems)


@dataclass
class TreeAudit:
    """Recomputes the tree twice, from entries and from level 0 tiles, and says which one was signed."""

    folder: LogFolder
    old_size: int = -1
    """A size at which the root is wanted too (for an earlier checkpoint)."""
    problems: list[Problem] = field(default_factory=list[Problem])
    _from_entries: RightEdge = field(default_factory=RightEdge)
    _from_tiles: RightEdge = field(default_factory=RightEdge)
    _suspects: list[Block] = field(default_factory=list[Block])
    _wrong_by_entries: list[Tile] = field(default_factory=list[Tile])
    """Full tiles above level 0 that do not follow from the entries."""
    _wrong_by_tiles: list[Tile] = field(default_factory=list[Tile])
    _old_roots: tuple[bytes, bytes] = (b"", b"")

    def take(self, block: Block) -> None:
        """The next block."""
        self.problems += block.problems
        if block.leaves != block.recorded:
            self._suspects.append(block)
        if block.first <= self.old_size <= block.first + TILE_WIDTH:
            self._old_roots = (
                _root_at(self._from_entries, block.leaves, self.old_size - block.first),
                _root_at(self._from_tiles, block.recorded, self.old_size - block.first),
            )
        for edge, leaves, wrong in (
            (self._from_entries, block.leaves, self._wrong_by_entries),
            (self._from_tiles, block.recorded, self._wrong_by_tiles),
        ):
            full = edge.add(leaves)
            wrong += [tile for tile, data in full if tile.level and not self.folder.same(tile, data)]

    def entries_are_signed(self, checkpoint: Checkpoint) -> bool:
        """True when the entries as they stand lead to the signed root."""
        return self._from_entries.root() == checkpoint.root

    def finish(self, checkpoint: Checkpoint) -> list[Problem]:
        """All problems of entries and tiles, located as well as the intact part allows."""
        found = self.problems + self._upper_tiles(self.entries_are_signed(checkpoint))
        if self.entries_are_signed(checkpoint):
            found += [
                Problem("tile", block.first, f"{Tile(0, block.first // TILE_WIDTH).path} was changed")
                for block in self._suspects
                if block.recorded
            ]
        elif self._from_tiles.root() == checkpoint.root:
            for block in self._suspects:
                if block.entries:
                    name = Tile(-1, block.first // TILE_WIDTH).path
                    found += differences(block.recorded, block.leaves, block.first, name)
        else:
            found.append(Problem("root", -1, "entries and tiles do not lead to the signed root hash"))
            found += self._locate()
        return found

    def _upper_tiles(self, by_entries: bool) -> list[Problem]:
        """Tiles above level 0 that do not follow from what is below them."""
        edge = self._from_entries if by_entries else self._from_tiles
        wrong = list(self._wrong_by_entries if by_entries else self._wrong_by_tiles)
        for tile, data in edge.partial_tiles():
            try:
                same = not tile.level or self.folder.read_hashes(*tile)[: len(data)] == data
            except LedgerError:
                same = False
            if not same:
                wrong.append(tile)
        return [
            Problem("tile", tile.number << 8 * (tile.level + 1), f"{tile.path} does not follow from level 0")
            for tile in wrong
        ]

    def _locate(self) -> list[Problem]:
        """Nothing whole leads to the root: name the blocks that disagree with any other record of them."""
        found: list[Problem] = []
        for block in self._suspects:
            if block.entries and block.recorded:
                name = Tile(-1, block.first // TILE_WIDTH).path
                found += differences(block.recorded, block.leaves, block.first, f"{name} (against its tile)")
        return found

    def old_root(self, checkpoint: Checkpoint) -> bytes:
        """The root at `old_size`, from whichever record leads to the signed root."""
        return self._old_roots[0 if self.entries_are_signed(checkpoint) else 1]

    def expected(self, start: int, stop: int, checkpoint: Checkpoint) -> list[bytes]:
        """Leaf hashes of log indexes `start` to `stop`, from whichever record leads to the signed root."""
        by_entries = self.entries_are_signed(checkpoint)
        leaves: list[bytes] = []
        for first in range(start - start % TILE_WIDTH, stop, TILE_WIDTH):
            number, width = first // TILE_WIDTH, min(TILE_WIDTH, checkpoint.size - first)
            if by_entries:
                part = [leaf_hash(entry) for entry in self.folder.read_bundle(number, width)]
            else:
                part = split_hashes(self.folder.read_hashes(0, number, width))
            leaves += part[max(0, start - first) : stop - first]
        return leaves


@dataclass
class JournalAudit:
    """What the journal holds, compared with what was signed."""

    folder: LogFolder
    size: int
    """Entries under the checkpoint."""
    expected: Callable[[int, int], list[bytes]]
    tail: Callable[[int, list[bytes]], None]
    """Called with the entries that no checkpoint covers, in log order."""
    problems: list[Problem] = field(default_factory=list[Problem])
    end: int = 0
    """Log index after the last whole entry."""
    torn_bytes: int = 0

    def run(self) -> None:
        """Read all segments that exist."""
        existing = segments(self.folder.path)
        if not existing:
            self.problems.append(Problem("journal", -1, "the journal is missing"))
        elif existing[0].first > self.size:
            self._sealed_meanwhile(existing[0].first)
        for segment, following in zip(existing, [*existing[1:], None], strict=False):
            self._segment(segment, following)

    def _sealed_meanwhile(self, stop: int) -> None:
        """A running Freehold may have published and sealed more since the checkpoint was read."""
        try:
            with LogReader(self.folder, self.size) as reader:
                self.tail(self.size, reader.read(stop - self.size))
        except LedgerError as cause:
            text = f"entries {self.size} to {stop} are missing: {cause}"
            self.problems.append(Problem("dropped", self.size, text))

    def _segment(self, segment: Segment, following: Segment | None) -> None:
        try:
            data = segment.path.read_bytes()
        except FileNotFoundError:  # sealed while we look: its bundles were checked
            return
        body, _, torn = data.rpartition(b"\n")
        lines = body.split(b"\n") if body or torn != data else []
        stop = min(following.first if following else self.size, self.size)
        expected = self._expected(segment.first, stop)
        found = [leaf_hash(line) for line in lines]
        name = f"journal/{segment.path.name}"
        open_end = following is None or following.first > self.size
        problems = differences(expected, found, segment.first, name, open_end=open_end)
        self.end = segment.first + len(lines)
        if following and self.end != following.first and not problems:
            text = f"{name} ends at entry {self.end}, the next file starts at {following.first}"
            problems.append(Problem("journal", self.end, text))
        if torn and following:
            problems.append(Problem("edited", self.end, f"{name} ends in an unfinished line"))
        elif torn:
            self.torn_bytes = len(torn)
        self.problems += problems
        if not problems and lines[len(expected) :]:
            self.tail(segment.first + len(expected), lines[len(expected) :])

    def _expected(self, start: int, stop: int) -> list[bytes]:
        try:
            return self.expected(start, stop) if stop > start else []
        except LedgerError as cause:
            self.problems.append(Problem("tile", start, f"the journal cannot be compared: {cause}"))
            return []


def _root_at(edge: RightEdge, leaves: list[bytes], count: int) -> bytes:
    partial = edge.copy()
    partial.add(leaves[:count])
    return partial.root()
