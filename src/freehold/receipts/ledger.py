"""The ledger: where receipts go. `append` is the hot path; everything slow is the publisher's.

Layout of a home folder: `ledger/journal` (truth), `ledger/tile` and `ledger/checkpoint` (published log),
`receipts.db` (projection), `keys/`. Reading is in `query`, `verify` and `proofs`, without a running ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from freehold.core.clock import Clock
from freehold.receipts.entries import Receipt, decode_receipt, encode_receipt
from freehold.receipts.fitting import fit
from freehold.receipts.journal import FolderLock, JournalWriter, LedgerError
from freehold.receipts.keys import LedgerKeys, load_or_create
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.notes import NoteError, Verifier, open_checkpoint
from freehold.receipts.publisher import Pace, Publisher
from freehold.receipts.tiles import MAX_ENTRY_BYTES

__all__ = ["Ledger", "LedgerError", "LedgerHealth", "Pace"]


@dataclass(frozen=True)
class LedgerHealth:
    """How the ledger is. `error` is empty when all is well; it is never cleared while the cause lasts."""

    entries: int
    """Entries in the journal."""
    projected: int
    """Of these, how many are in SQLite."""
    checkpointed: int
    """Of these, how many are under the newest signed checkpoint."""
    lag: int
    """Entries that are not yet in SQLite."""
    error: str
    last_checkpoint_ms: int
    """When this process last signed a checkpoint; 0 when it has not yet."""
    torn_bytes: int
    """Bytes of an unfinished entry that were cut when the ledger was opened."""


class Ledger:
    """One writer of one home folder. `append` and `commitment` are for the event loop's thread."""

    def __init__(
        self, home: Path, keys: LedgerKeys, lock: FolderLock, journal: JournalWriter, publisher: Publisher
    ) -> None:
        """Use `Ledger.open`."""
        self._home = home
        self._lock = lock
        self._journal = journal
        self._publisher = publisher
        self.commitment = keys.salts.commitment
        """A SHA-256 seeded with the salt of a receipt's request or response: `(receipt_id, part)`. `update`
        it with the body as it passes; its `hexdigest` goes into the receipt."""
        self._torn_bytes = journal.torn_bytes
        self._write_failure = ""
        self._closed = False
        self.verifier: Verifier = keys.signer.verifier
        """The public key; `verifier.text` is what people keep to verify this log later."""

    @classmethod
    def open(cls, home: Path, *, clock: Clock, origin: str | None = None, pace: Pace | None = None) -> Ledger:
        """Open the ledger of a home folder, recover it, and start its publisher.

        Raises LedgerError when another process has it, or when the journal lost entries that were signed;
        KeyFileError when the keys cannot be used.
        """
        pace = pace or Pace()
        folder = home / "ledger"
        lock = FolderLock(folder)
        try:
            keys = load_or_create(home, origin)
            journal = JournalWriter(folder, pace.segment_entries)
            _refuse_lost_entries(LogFolder(folder), keys.signer.verifier, journal.entries)
        except BaseException:
            lock.release()
            raise
        publisher = Publisher(home, keys.signer, clock, pace, journal)
        publisher.start()
        return cls(home, keys, lock, journal, publisher)

    def append(self, receipt: Receipt) -> None:
        """Record a receipt. When this returns, the operating system has it (it survives `kill -9`).

        Raises LedgerError when the disk refuses; then nothing of the receipt is recorded.
        """
        self.append_lines([self.line(receipt)])

    def line(self, receipt: Receipt) -> bytes:
        """A receipt as `append_lines` takes it. Texts that do not fit an entry (65,535 bytes) are cut and
        marked."""
        try:
            line = encode_receipt(receipt) + b"\n"
        except UnicodeEncodeError:
            line = encode_receipt(fit(receipt)) + b"\n"
        if len(line) > MAX_ENTRY_BYTES:
            line = encode_receipt(fit(receipt)) + b"\n"
        return line

    def append_lines(self, lines: Sequence[bytes]) -> None:
        """Record several receipts in one write, with the promise and the errors of `append`."""
        try:
            self._journal.append(lines)
        except LedgerError as cause:
            self._write_failure = str(cause)
            raise
        self._write_failure = ""

    def health(self) -> LedgerHealth:
        """A snapshot; cheap, safe from any thread."""
        state, entries = self._publisher.state, self._journal.entries
        error = self._write_failure or state.error
        if not self._publisher.alive and not self._closed:
            error = error or "the publisher thread has ended"
        return LedgerHealth(
            entries=entries,
            projected=state.projected,
            checkpointed=state.checkpointed,
            lag=entries - state.projected,
            error=error,
            last_checkpoint_ms=state.last_checkpoint_ms,
            torn_bytes=self._torn_bytes,
        )

    def tail(self, since_index: int, limit: int = 1_000) -> list[tuple[int, Receipt]]:
        """Up to `limit` receipts from log index `since_index` on, also those not projected yet.

        Reads files: not for the hot path. Raises LedgerError when the log is damaged there.
        """
        with LogReader(LogFolder(self._home / "ledger"), since_index) as reader:
            entries = reader.read(limit) if since_index < self._journal.entries else []
        return [(since_index + at, decode_receipt(entry)) for at, entry in enumerate(entries)]

    def close(self) -> None:
        """Publish what is left, sign, and let the folder go. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._publisher.stop()
        self._journal.close()
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_lost_entries(folder: LogFolder, verifier: Verifier, entries: int) -> None:
    """Never append to a log whose signed end was cut off: that would hide the loss."""
    note = folder.checkpoint_note()
    if note is None:
        return
    try:
        signed = open_checkpoint(note, verifier)
    except NoteError as cause:
        raise LedgerError(
            f"the checkpoint in {folder.path} was not signed by this log's key: {cause}. Restore the folder "
            "and its keys from one backup, or move it away to start a new log."
        ) from cause
    if entries < signed.size:
        raise LedgerError(
            f"{folder.path} holds {entries} entries, but {signed.size} were signed: the end was cut off. "
            "Restore it from a backup, or move it away to start a new log; "
            "`freehold receipts verify` tells more."
        )
