"""The ledger's keys on disk, in `<home>/keys/` (0700; secrets 0600).

`ledger.key` signs checkpoints, `ledger.pub` is its verifier key for others, `salt.key` seeds the salts
of commitments. Made on first use; never overwritten.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from freehold.core.errors import FreeholdError
from freehold.receipts.commitments import Salts
from freehold.receipts.notes import NoteError, Signer, Verifier

SECRET_BYTES = 32


class KeyFileError(FreeholdError):
    """A key file is unreadable, or belongs to another log."""


@dataclass(frozen=True)
class LedgerKeys:
    """What the ledger holds in memory while it runs."""

    signer: Signer
    salts: Salts


def load_or_create(home: Path, origin: str | None = None) -> LedgerKeys:
    """Read the keys of `home`, or make them on first use.

    `origin` names a new log (default: `freehold.local/` and eight random hex digits); a log keeps its
    name for ever. Raises KeyFileError when the existing key has another name or cannot be read.
    """
    folder = home / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_file, salt_file = folder / "ledger.key", folder / "salt.key"
    if not key_file.exists():
        name = origin or f"freehold.local/{os.urandom(4).hex()}"
        _create_secret(key_file, Signer(name, os.urandom(SECRET_BYTES)).text)
    signer = _read_signer(key_file)
    if origin and signer.verifier.name != origin:
        raise KeyFileError(
            f"{key_file} signs for the log {signer.verifier.name!r}, not {origin!r}: a log keeps its name. "
            "Remove the origin from the configuration, or use another home folder."
        )
    public = folder / "ledger.pub"
    if not public.exists():
        public.write_text(signer.verifier.text + "\n")
    if not salt_file.exists():
        _create_secret(salt_file, os.urandom(SECRET_BYTES).hex())
    return LedgerKeys(signer, read_salts(home))


def read_salts(home: Path) -> Salts:
    """The salts of an existing home. Raises KeyFileError."""
    path = home / "keys" / "salt.key"
    try:
        return Salts(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as cause:
        raise KeyFileError(f"cannot read the salt secret {path}: {cause}") from cause


def read_verifier(home: Path) -> Verifier:
    """The verifier key that lies in `home`. Raises KeyFileError."""
    path = home / "keys" / "ledger.pub"
    try:
        return Verifier.parse(path.read_text())
    except (OSError, NoteError) as cause:
        raise KeyFileError(
            f"cannot read the verifier key {path}: {cause}. Pass the public key that you kept instead."
        ) from cause


def _read_signer(path: Path) -> Signer:
    try:
        return Signer.parse(path.read_text())
    except (OSError, NoteError) as cause:
        raise KeyFileError(f"cannot read the signing key {path}: {cause}") from cause


def _create_secret(path: Path, text: str) -> None:
    """Write a secret whole or not at all, readable by its owner only."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
