"""Proofs that one receipt stands in the log: C2SP tlog-proof files, checked offline with the public key.

The entry itself travels in the proof's `extra` line, so the file needs nothing else. What a proof does not
say: that the model told the truth, or what was in the bodies (only their commitments stand in an entry).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.receipts.commitments import Part, opens
from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.keys import read_salts, read_verifier
from freehold.receipts.log_folder import LogFolder, LogReader
from freehold.receipts.merkle import (
    HASH_BYTES,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_from_inclusion,
)
from freehold.receipts.notes import Checkpoint, NoteError, Verifier, open_checkpoint
from freehold.receipts.query import find

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proven:
    """What a checked proof shows."""

    index: int
    """Place in the log, from 0."""
    entry: bytes
    """The canonical JSON that stands there."""
    receipt: Receipt
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Disclosure:
    """Everything needed to show that a body is the one in a receipt: hand it over with the body."""

    receipt_id: str
    part: Part
    salt: bytes


def prove(home: Path, receipt_id: str) -> str:
    """The text of a `.tlog-proof` file for a receipt. Raises LedgerError when nothing signed covers it."""
    index, receipt = find(home, receipt_id)
    folder = LogFolder(home / "ledger")
    note = folder.checkpoint_note()
    signed = open_checkpoint(note, read_verifier(home)) if note is not None else None
    if note is None or signed is None or index >= signed.size:
        raise LedgerError(
            f"receipt {receipt.id} is not under a signed checkpoint yet: one is signed within a second "
            "while Freehold runs, and when it stops"
        )
    with LogReader(folder, index) as reader:
        entry = reader.read(1)[0]
    path = inclusion_proof(index, signed.size, folder.subtrees())
    if root_from_inclusion(leaf_hash(entry), index, signed.size, path) != signed.root:
        raise LedgerError(f"entry {index} does not lead to the signed root: run `freehold receipts verify`")
    lines = [_HEADER, f"extra {_encode(entry)}", f"index {index}", *map(_encode, path), "", note]
    return "\n".join(lines)


def check_proof(text: str, public_key: str | Verifier) -> Proven:
    """Check a proof file offline. Raises ProofError with the reason when it proves nothing."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != _HEADER:
        raise ProofError(f"this is not a proof file: its first line is not {_HEADER}")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise ProofError("the proof carries no entry (`extra`) or no place (`index`)")
    try:
        verifier = public_key if isinstance(public_key, Verifier) else Verifier.parse(public_key)
        checkpoint = open_checkpoint(note, verifier)
        entry = _decode(lines[1].removeprefix("extra "))
        receipt = decode_receipt(entry)
    except (NoteError, msgspec.MsgspecError) as cause:
        raise ProofError(str(cause)) from cause
    place = lines[2].removeprefix("index ")
    if not (place.isascii() and place.isdigit()):
        raise ProofError(f"the index {place!r} is not a number")
    path = [_decode(line) for line in lines[3:]]
    if any(len(each) != HASH_BYTES for each in path):
        raise ProofError("a hash of the proof has not 32 bytes")
    if root_from_inclusion(leaf_hash(entry), int(place), checkpoint.size, path) != checkpoint.root:
        raise ProofError("the entry is not in the signed log at this place: entry, place or path was changed")
    return Proven(int(place), entry, receipt, checkpoint)


def prove_consistency(home: Path, old_note: str) -> list[bytes]:
    """The RFC 6962 proof that today's log continues the one of a saved checkpoint.

    Raises NoteError when the saved checkpoint was not signed by this log's key, ProofError when it is newer.
    """
    folder, verifier = LogFolder(home / "ledger"), read_verifier(home)
    new = open_checkpoint(folder.checkpoint_note() or "", verifier)
    return consistency_proof(open_checkpoint(old_note, verifier).size, new.size, folder.subtrees())


def disclose(home: Path, receipt_id: str, part: Part) -> Disclosure:
    """The salt of one body of one receipt. Raises KeyFileError."""
    return Disclosure(receipt_id, part, read_salts(home).salt(receipt_id, part))


def check_body(receipt: Receipt, disclosure: Disclosure, body: bytes) -> bool:
    """True when `body` is what the receipt committed to."""
    request = disclosure.part == "request"
    commitment = receipt.request_commitment if request else receipt.response_commitment
    return receipt.id == disclosure.receipt_id and opens(commitment, disclosure.salt, body)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise ProofError("the proof holds a line that is not base64") from cause
