"""Commitments open with their own salt and body only."""

from __future__ import annotations

from hashlib import blake2b, sha256

from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.commitments import Salts, opens

SALTS = Salts(b"s" * 32)


@given(st.text(max_size=80))
def test_the_salt_is_keyed_blake2b(receipt_id: str) -> None:
    message = f"{receipt_id}/response".encode("utf-8", "surrogatepass")
    assert SALTS.salt(receipt_id, "response") == blake2b(message, key=b"s" * 32, digest_size=16).digest()


def test_a_body_taken_in_parts_opens_the_commitment_and_another_does_not() -> None:
    commitment = SALTS.commitment("rc_1", "request")
    commitment.update(b"hello ")
    commitment.update(b"world")
    salt = SALTS.salt("rc_1", "request")
    assert opens(commitment.hexdigest(), salt, b"hello world")
    assert commitment.hexdigest() == sha256(salt + b"hello world").hexdigest()
    assert not opens(commitment.hexdigest(), salt, b"hello World")


def test_request_and_response_and_receipts_have_salts_of_their_own() -> None:
    salts = {SALTS.salt(name, part) for name in ("a", "b") for part in ("request", "response")}
    assert len(salts) == 4
