"""The published log on disk: tiles, entry bundles and the checkpoint, in the C2SP tlog-tiles layout.

Any static file server or foreign verifier can read the folder as it is. Of the partial tiles only those of
the newest checkpoint are kept; a wider one serves for a narrower one, because tiles only grow at the end.
Who decides what to write is `log_tree`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from freehold.receipts.journal import LedgerError, Segment, SegmentReader, fsync_path, segments
from freehold.receipts.merkle import HASH_BYTES, Subtrees
from freehold.receipts.tiles import TILE_WIDTH, BundleError, Tile, decode_bundle, subtree_in_tiles

_CACHED_TILES = 64
_LOOKS = 3


class LogFolder:
    """One ledger folder (`<home>/ledger`). Reading methods are safe beside a process that writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def checkpoint_note(self) -> str | None:
        """The signed note of the newest checkpoint, None when nothing has been published yet."""
        try:
            return (self.path / "checkpoint").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Replace a file as a whole: a reader sees the old bytes or the new ones."""
        target = self.path / path
        draft = target.with_name(target.name + ".new")
        try:
            draft.write_bytes(data)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(data)
        draft.replace(target)

    def write_full(self, tile: Tile, data: bytes) -> None:
        """Write a full tile or bundle, and drop the partial ones that it supersedes."""
        self.write(tile.path, data)
        partials = self.path / f"{tile.path}.p"
        with suppress(FileNotFoundError):
            for partial in partials.iterdir():
                partial.unlink()
            partials.rmdir()

    def write_partial(self, tile: Tile, data: bytes) -> None:
        """Write a partial tile or bundle, unless it is there already."""
        if not self.same(tile, data):
            self.write(tile.path, data)

    def drop_narrower(self, tile: Tile) -> None:
        """Delete the partials of this tile that are narrower; to be called after the new checkpoint."""
        for other in (self.path / tile.path).parent.iterdir():
            if other.name.isdigit() and int(other.name) < tile.width:
                other.unlink(missing_ok=True)

    def same(self, tile: Tile, data: bytes) -> bool:
        """True when the file is there with exactly these bytes."""
        try:
            return (self.path / tile.path).read_bytes() == data
        except FileNotFoundError:
            return False

    def read_hashes(self, level: int, number: int, needed: int) -> bytes:
        """At least the first `needed` hashes of a tile. Raises LedgerError when they are not there."""
        data = self._read_tile(Tile(level, number, needed))
        if len(data) < needed * HASH_BYTES:
            raise LedgerError(f"the tile {Tile(level, number).path} has fewer than {needed} hashes")
        return data

    def read_bundle(self, number: int, needed: int = TILE_WIDTH) -> list[bytes]:
        """At least the first `needed` entries of a bundle. Raises LedgerError when they are not there."""
        entries = self.bundle_as_it_is(number, needed)
        if len(entries) < needed:
            raise LedgerError(f"the bundle {Tile(-1, number).path} has fewer than {needed} entries")
        return entries

    def bundle_as_it_is(self, number: int, width: int = TILE_WIDTH) -> list[bytes]:
        """`read_bundle` without counting: for those who want to know what is wrong."""
        try:
            return decode_bundle(self._read_tile(Tile(-1, number, width)))
        except BundleError as cause:
            raise LedgerError(f"the bundle {Tile(-1, number).path} is damaged: {cause}") from cause

    def _read_tile(self, tile: Tile) -> bytes:
        """The tile, or the full or a wider one. A running publisher may exchange them while we look."""
        full = self.path / tile._replace(width=TILE_WIDTH).path
        partials = full.with_name(full.name + ".p")
        for _ in range(_LOOKS):
            widths = [int(each.name) for each in partials.glob("*") if each.name.isdigit()]
            wider = [partials / str(width) for width in sorted(widths) if width > tile.width]
            for path in (self.path / tile.path, full, *wider):
                with suppress(FileNotFoundError):
                    return path.read_bytes()
        raise LedgerError(f"the tile {tile.path} is missing")

    def subtrees(self) -> Subtrees:
        """Hashes for proofs, from tiles, with a small cache of tiles."""
        cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()

        def read(level: int, number: int, needed: int) -> bytes:
            data = cache.get((level, number), b"")
            if len(data) < needed * HASH_BYTES:
                data = cache[level, number] = self.read_hashes(level, number, needed)
                if len(cache) > _CACHED_TILES:
                    cache.popitem(last=False)
            return data

        return lambda height, k: subtree_in_tiles(height, k, read)

    def write_checkpoint(self, note: str) -> None:
        """Publish a checkpoint; when this returns it is on the disk, so it cannot be forgotten."""
        draft = self.path / "checkpoint.new"
        draft.write_bytes(note.encode())
        fsync_path(draft)
        draft.replace(self.path / "checkpoint")
        fsync_path(self.path)

    def fsync(self, tiles: Sequence[Tile]) -> None:
        """Bring written tiles and their folders to the disk."""
        paths = [self.path / tile.path for tile in tiles]
        for path in (*paths, *{path.parent for path in paths}):
            fsync_path(path)


class LogReader:
    """Reads entries in log order from any index: from bundles where the journal is sealed, then from the
    journal, following it as it grows. Use as a context manager."""

    def __init__(self, folder: LogFolder, index: int = 0) -> None:
        self._folder = folder
        self._segment: SegmentReader | None = None
        self.index = index
        """The log index of the next entry."""

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the open file."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def read(self, limit: int) -> list[bytes]:
        """Up to `limit` entries; empty at the end of what is written. Raises LedgerError on a hole."""
        taken: list[bytes] = []
        while len(taken) < limit:
            part = self._read_some(limit - len(taken))
            if not part:
                break
            taken.extend(part)
            self.index += len(part)
        return taken

    def _read_some(self, limit: int) -> list[bytes]:
        if self._segment is None:
            segment = self._find_segment()
            if segment is None:
                number, skip = divmod(self.index, TILE_WIDTH)
                return self._folder.read_bundle(number)[skip : skip + limit]
            try:
                self._segment = SegmentReader(segment, self.index)
            except FileNotFoundError:  # sealed at this moment: its bundles are there
                return self._read_some(limit)
        part = self._segment.read(limit)
        if part or not self._next_exists():
            return list(part)
        part = self._segment.read(limit)  # what was written between the last look and the rotation
        if not part:
            self.close()
            return self._read_some(limit)
        return list(part)

    def _find_segment(self) -> Segment | None:
        """The segment that holds the next entry; None when that entry is sealed."""
        existing = segments(self._folder.path)
        if not existing:
            raise LedgerError(f"{self._folder.path} has no journal: it is not a ledger, or it was damaged")
        return max((each for each in existing if each.first <= self.index), default=None)

    def _next_exists(self) -> bool:
        """True when the open segment is finished: another starts at the next entry, or it was sealed, as
        those after it may be by now."""
        firsts = {each.first for each in segments(self._folder.path)}
        return self._first_of_open() not in firsts or self.index in firsts - {self._first_of_open()}

    def _first_of_open(self) -> int:
        return self._segment.first if self._segment else -1
