"""Signed notes and checkpoints: C2SP signed-note v1 with Ed25519, tlog-checkpoint v1.

Pure text and keys as values; where keys lie on disk is in `keys`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from freehold.receipts.merkle import HASH_BYTES

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_SIGNATURE_MARK = "— "


class NoteError(ValueError):
    """The note, checkpoint or key is malformed, or no trusted key signed it."""


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: which log, how many leaves, their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text, final newline included."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


class Verifier:
    """A public key with its name. `text` is the verifier key (vkey) that people keep and compare."""

    def __init__(self, name: str, public: bytes) -> None:
        self.name = check_key_name(name)
        self._public = public
        self.key_id = _key_id(name, public)
        self.text = f"{name}+{self.key_id.hex()}+{_base64(_ED25519 + public)}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read a vkey. Raises NoteError."""
        name, rest = _split_key(text.strip())
        key_id, _, encoded = rest.partition("+")
        material = _unbase64(encoded, "verifier key")
        if material[:1] != _ED25519 or len(material) != 1 + HASH_BYTES:
            raise NoteError("the verifier key is not an Ed25519 key (C2SP signed-note type 0x01)")
        verifier = cls(name, material[1:])
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the verifier key's id {key_id!r} does not belong to it")
        return verifier

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True when this key signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self._public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key with its name. `text` is a secret."""

    _PREFIX = "PRIVATE+KEY+"

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier = Verifier(name, public)
        self.text = f"{self._PREFIX}{name}+{self.verifier.key_id.hex()}+{_base64(_ED25519 + seed)}"

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read the text form (the same as Go's `note` uses). Raises NoteError."""
        text = text.strip()
        if not text.startswith(cls._PREFIX):
            raise NoteError("the signing key does not start with PRIVATE+KEY+")
        name, rest = _split_key(text.removeprefix(cls._PREFIX))
        material = _unbase64(rest.partition("+")[2], "signing key")
        if material[:1] != _ED25519 or len(material) != 1 + HASH_BYTES:
            raise NoteError("the signing key is not an Ed25519 key")
        return cls(name, material[1:])

    def sign(self, text: str) -> str:
        """The signed note of a text that ends in a newline."""
        signature = self.verifier.key_id + self._key.sign(text.encode())
        return f"{text}\n{_SIGNATURE_MARK}{self.verifier.name} {_base64(signature)}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """The text of a note that `verifier` signed; other keys' signatures are ignored. Raises NoteError."""
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or not signatures.endswith("\n"):
        raise NoteError("this is not a signed note: no signature lines after an empty line")
    for line in signatures[:-1].split("\n"):
        name, _, encoded = line.removeprefix(_SIGNATURE_MARK).rpartition(" ")
        if not line.startswith(_SIGNATURE_MARK) or not name:
            raise NoteError(f"malformed signature line: {line!r}")
        signature = _unbase64(encoded, "signature")
        if name != verifier.name or signature[:_KEY_ID_BYTES] != verifier.key_id:
            continue
        if not verifier.verify(text.encode(), signature[_KEY_ID_BYTES:]):
            raise NoteError(f"the signature of {name} is wrong: the text was changed after signing")
        return text
    raise NoteError(f"the note carries no signature of {verifier.name} (key id {verifier.key_id.hex()})")


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """The checkpoint of a signed note. Raises NoteError when unsigned, malformed or of another log."""
    checkpoint = parse_checkpoint(open_note(note, verifier))
    if checkpoint.origin != verifier.name:
        raise NoteError(f"the checkpoint is of log {checkpoint.origin!r}, the key is of {verifier.name!r}")
    return checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text without looking at signatures: use `open_checkpoint` to trust it."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0]:
        raise NoteError("a checkpoint has three lines: origin, size, root hash")
    origin, size, encoded = lines[:3]
    if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")):
        raise NoteError(f"the checkpoint's size {size!r} is not a decimal number")
    root = _unbase64(encoded, "root hash")
    if len(root) != HASH_BYTES:
        raise NoteError(f"the checkpoint's root hash has {len(root)} bytes instead of {HASH_BYTES}")
    return Checkpoint(origin, int(size), root)


def check_key_name(name: str) -> str:
    """A key name must not be empty nor hold spaces, control characters or `+`."""
    if not name or "+" in name or any(ch.isspace() or ord(ch) < 0x20 for ch in name):
        raise NoteError(f"{name!r} cannot name a log: use text without spaces and '+', like example.com/log")
    return name


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def _split_key(text: str) -> tuple[str, str]:
    name, _, rest = text.partition("+")
    if "+" not in rest:
        raise NoteError("a key has the form NAME+ID+BASE64")
    return name, rest


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise NoteError(f"the {what} is not base64") from cause
