"""Payload capture: request and response bodies, kept apart from the log so that they can be dropped.

Bodies lie under `payloads/<2 hex>/<sha256>.zst` (zstd; the name is the plaintext's SHA-256, so equal bodies
are stored once); `payloads/index.db` says which receipt has which. Whether to capture is the gateway's
decision. Redacting drops bodies; the log holds only salted commitments and stays valid.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import zstandard

from freehold.receipts.commitments import Part

_log = logging.getLogger("freehold.receipts")
_LEVEL = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS bodies (
  receipt_id TEXT NOT NULL,
  part TEXT NOT NULL CHECK (part IN ('request', 'response')),
  digest TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (receipt_id, part)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bodies_by_digest ON bodies (digest);
"""


@dataclass(frozen=True)
class PayloadHealth:
    """How capture is; `dropped` bodies were not stored because the queue was full or the disk refused."""

    stored: int
    dropped: int
    queued_bytes: int
    error: str


class PayloadFolder:
    """Stored bodies of a home folder: `get` and `redact`, with or without a running writer."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when it does not exist (0700: bodies are private)."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._db = sqlite3.connect(folder / "index.db", isolation_level=None, timeout=30.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def store(self, receipt_id: str, part: Part, body: bytes) -> None:
        """Keep a body; a second one for the same receipt and part replaces the first."""
        digest = sha256(body).hexdigest()
        path = self._path(digest)
        self._db.execute("BEGIN IMMEDIATE")  # no redaction between looking for the file and pointing at it
        try:
            if not path.exists():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                draft = path.with_suffix(".new")
                draft.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(body))
                draft.replace(path)
            row = (receipt_id, part, digest, len(body))
            self._db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", row)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def get(self, receipt_id: str, part: Part) -> bytes | None:
        """The body, or None when it was not captured or was redacted.

        Raises ValueError when the stored file is not what its name says.
        """
        found = self._db.execute(
            "SELECT digest, bytes FROM bodies WHERE receipt_id = ? AND part = ?", (receipt_id, part)
        ).fetchone()
        if found is None:
            return None
        digest, length = found
        try:
            packed = self._path(digest).read_bytes()
            body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=length)
        except (OSError, zstandard.ZstdError) as cause:
            raise ValueError(f"the stored {part} of receipt {receipt_id} cannot be read: {cause}") from cause
        if sha256(body).hexdigest() != digest:
            raise ValueError(f"the stored {part} of receipt {receipt_id} was changed on disk")
        return body

    def redact(self, receipt_id: str) -> int:
        """Drop the bodies of a receipt; a body that other receipts share stays for them. Returns how many."""
        self._db.execute("BEGIN IMMEDIATE")
        digests = self._db.execute(
            "DELETE FROM bodies WHERE receipt_id = ? RETURNING digest", (receipt_id,)
        ).fetchall()
        for (digest,) in digests:
            shared = self._db.execute("SELECT 1 FROM bodies WHERE digest = ? LIMIT 1", (digest,)).fetchone()
            if not shared:
                self._path(digest).unlink(missing_ok=True)
        self._db.execute("COMMIT")
        return len(digests)

    def close(self) -> None:
        """Close the index."""
        self._db.close()

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.zst"


class Payloads:
    """Captures bodies from the hot path: `put` never waits; one thread stores them."""

    def __init__(self, folder: Path, *, most_queued_bytes: int = 64 << 20) -> None:
        """Starts the writer. While more than `most_queued_bytes` wait, bodies are dropped and counted."""
        PayloadFolder(folder).close()  # a folder that cannot be used is an error now, not later
        self._folder = folder
        self._most = most_queued_bytes
        self._queue: queue.SimpleQueue[tuple[str, Part, bytes] | None] = queue.SimpleQueue()
        self._put_bytes = self._done_bytes = self._stored = self._full = self._failed = 0
        self._error = ""
        self._thread = threading.Thread(target=self._run, name="freehold-payloads", daemon=True)
        self._thread.start()

    def put(self, receipt_id: str, part: Part, body: bytes) -> bool:
        """Queue a body for storing; False when it was dropped because too much is waiting."""
        if self._put_bytes - self._done_bytes + len(body) > self._most:
            if not self._full:
                _log.warning("payload capture is behind: bodies are dropped until the disk catches up")
            self._full += 1
            return False
        self._put_bytes += len(body)
        self._queue.put((receipt_id, part, body))
        return True

    def health(self) -> PayloadHealth:
        """A snapshot; safe from any thread."""
        queued = self._put_bytes - self._done_bytes
        error = self._error if self._thread.is_alive() else self._error or "the payload writer has ended"
        return PayloadHealth(self._stored, self._full + self._failed, queued, error)

    def close(self) -> None:
        """Store what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Payloads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        folder = PayloadFolder(self._folder)
        try:
            while (item := self._queue.get()) is not None:
                try:
                    folder.store(*item)
                    self._stored += 1
                    self._error = ""
                except (OSError, sqlite3.Error) as cause:
                    self._failed += 1
                    if not self._error:
                        _log.warning("a payload could not be stored: %s", cause)
                    self._error = str(cause)
                self._done_bytes += len(item[2])
        finally:
            folder.close()
