"""From journal entries to a published log: hashes, tiles, signed checkpoints, sealing. One owner, one thread.

The journal is the truth. Tiles of entries that still stand in the journal need no fsync, because they are
made again from it after a crash; they are brought to the disk before their segment is deleted (sealed).
A checkpoint is signed only for entries that are on the disk, and never against an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from freehold.receipts.journal import LedgerError, segments
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.merkle import complete_root, leaf_hash
from freehold.receipts.notes import Checkpoint, NoteError, Signer, open_checkpoint
from freehold.receipts.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    RightEdge,
    Tile,
    encode_bundle,
    split_hashes,
)


class LogTree:
    """The growing tree of one log folder and everything published of it."""

    def __init__(self, folder: LogFolder, signer: Signer) -> None:
        """Rebuilds the right edge from disk, and brings the tiles of unsealed entries up to date.

        Raises LedgerError when the log does not hold what the last checkpoint signed.
        """
        self._folder = folder
        self._signer = signer
        signed = self._read_checkpoint()
        self.signed = signed.size if signed else 0
        """Entries under the newest checkpoint."""
        self._sealed = min((each.first for each in segments(folder.path)), default=0)
        self._reader = LogReader(folder, self._sealed)
        self._edge = self._edge_at_seal()
        self._tail: list[bytes] = []
        if signed:
            try:
                self._recover(signed)
            except BaseException:
                self.close()
                raise

    @property
    def size(self) -> int:
        """Entries hashed so far."""
        return self._edge.size

    def extend(self, limit: int) -> list[bytes]:
        """Hash up to `limit` further entries and write tiles that became full; returns these entries."""
        entries = self._reader.read(limit)
        self._add(entries, self._folder.write_full)
        return entries

    def sign(self) -> Checkpoint:
        """Publish a checkpoint over all entries hashed so far. They must be durable already."""
        partials = self._write_partials()
        checkpoint = Checkpoint(self._signer.verifier.name, self.size, self._edge.root())
        self._folder.write_checkpoint(self._signer.sign(checkpoint.text()))
        for tile in partials:
            self._folder.drop_narrower(tile)
        self.signed = self.size
        return checkpoint

    def _write_partials(self) -> list[Tile]:
        partials = self._edge.partial_tiles()
        if self._tail:
            bundle = Tile(-1, self.size // TILE_WIDTH, len(self._tail))
            partials.append((bundle, encode_bundle(self._tail)))
        for tile, data in partials:
            self._folder.write_partial(tile, data)
        return [tile for tile, _ in partials]

    def seal(self, upto: int) -> int:
        """Delete journal segments that end at or before log index `upto` and are signed; returns how many.

        Their bundles and tiles are on the disk before a segment goes.
        """
        existing = segments(self._folder.path)
        sealed = 0
        for segment, following in pairwise(existing):
            whole = following.first % TILE_WIDTH == 0
            if following.first > min(upto, self.signed) or not whole:
                break
            bundles = range(segment.first // TILE_WIDTH, following.first // TILE_WIDTH)
            self._folder.fsync([tile for number in bundles for tile in _tiles_ended_by(number)])
            segment.path.unlink()
            self._sealed = following.first
            sealed += 1
        return sealed

    def close(self) -> None:
        """Release files."""
        self._reader.close()

    def _add(self, entries: list[bytes], write: Callable[[Tile, bytes], None]) -> None:
        """Hash entries bundle by bundle, so that a bundle is written before the tile that vouches for it."""
        at = 0
        while at < len(entries):
            taken = entries[at : at + TILE_WIDTH - len(self._tail)]
            at += len(taken)
            self._tail.extend(taken)
            if len(self._tail) == TILE_WIDTH:
                write(Tile(-1, self._edge.size // TILE_WIDTH), encode_bundle(self._tail))
                self._tail = []
            for tile, data in self._edge.add([leaf_hash(entry) for entry in taken]):
                write(tile, data)

    def _read_checkpoint(self) -> Checkpoint | None:
        note = self._folder.checkpoint_note()
        try:
            return open_checkpoint(note, self._signer.verifier) if note is not None else None
        except NoteError as cause:
            raise LedgerError(
                f"the checkpoint of {self._folder.path} is not ours: {cause}. Publishing stops; "
                "`freehold receipts verify` tells more."
            ) from cause

    def _edge_at_seal(self) -> RightEdge:
        """The right edge at the start of the journal, from full tiles."""
        levels: list[list[bytes]] = []
        level = 0
        while self._sealed >> level * TILE_HEIGHT:
            number, width = divmod(self._sealed >> level * TILE_HEIGHT, TILE_WIDTH)
            below = range(number * TILE_WIDTH, number * TILE_WIDTH + width)
            levels.append([self._full_root(level - 1, each) for each in below])
            level += 1
        return RightEdge(self._sealed, levels)

    def _full_root(self, level: int, number: int) -> bytes:
        return complete_root(split_hashes(self._folder.read_hashes(level, number, TILE_WIDTH)))

    def _recover(self, signed: Checkpoint) -> None:
        """Walk the unsealed entries twice: compare with what was signed, and only then touch tiles."""
        self._walk_to(signed.size, _write_nothing)
        if self._edge.root() != signed.root:
            raise LedgerError(
                f"the {signed.size} entries in {self._folder.path} are not those that the last checkpoint "
                "signed: the log was changed. Publishing stops (receipts are still written); "
                "`freehold receipts verify` says which entries."
            )
        self._reader.close()
        self._reader = LogReader(self._folder, self._sealed)
        self._edge, self._tail = self._edge_at_seal(), []
        self._walk_to(signed.size, self._write_if_damaged)
        self._write_partials()

    def _walk_to(self, size: int, write: Callable[[Tile, bytes], None]) -> None:
        while self.size < size:
            entries = self._reader.read(min(TILE_WIDTH, size - self.size))
            if not entries:
                raise LedgerError(
                    f"the log in {self._folder.path} ends after {self.size} entries, but {size} were signed: "
                    "the end was cut off. Publishing stops (receipts are still written)."
                )
            self._add(entries, write)

    def _write_if_damaged(self, tile: Tile, data: bytes) -> None:
        if not self._folder.same(tile, data):
            self._folder.write_full(tile, data)


def _write_nothing(tile: Tile, data: bytes) -> None:
    """The first walk only looks."""


def _tiles_ended_by(number: int) -> list[Tile]:
    """Bundle `number`, its hash tile, and the full tiles above that end with it."""
    ended = [Tile(-1, number), Tile(0, number)]
    level, count = 0, number + 1
    while count % TILE_WIDTH == 0:
        level, count = level + 1, count // TILE_WIDTH
        ended.append(Tile(level, count - 1))
    return ended
