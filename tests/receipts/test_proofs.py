"""A proof file convinces someone who has only the public key, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.entries import encode_receipt
from freehold.receipts.journal import JournalWriter, LedgerError
from freehold.receipts.keys import load_or_create
from freehold.receipts.merkle import ProofError, check_consistency
from freehold.receipts.notes import NoteError, open_checkpoint
from freehold.receipts.proofs import check_body, check_proof, disclose, prove, prove_consistency
from tests.receipts.story import make_receipt, write_ledger, write_numbers


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    write_numbers(path, 600)
    return path


def public_key(home: Path) -> str:
    return (home / "keys/ledger.pub").read_text()


@pytest.mark.parametrize("number", [0, 255, 256, 511, 512, 599])
def test_a_proof_shows_the_entry_and_its_place(home: Path, number: int) -> None:
    proven = check_proof(prove(home, f"rc_{number:06d}"), public_key(home))
    assert (proven.index, proven.receipt) == (number, make_receipt(number))
    assert (proven.entry, proven.checkpoint.size) == (encode_receipt(make_receipt(number)), 600)


@given(st.data())
def test_no_changed_character_proves_anything_else(home: Path, data: st.DataObject) -> None:
    text = prove(home, "rc_000300")
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.sampled_from("A7z=+ \n—")) + text[at + 1 :]
    try:
        proven = check_proof(changed, public_key(home))
    except ProofError:
        return
    assert (proven.index, proven.receipt) == (300, make_receipt(300))


def test_a_proof_for_another_log_is_refused(home: Path, tmp_path: Path) -> None:
    other = load_or_create(tmp_path).signer.verifier
    with pytest.raises(ProofError, match="no signature"):
        check_proof(prove(home, "rc_000001"), other)


@pytest.mark.parametrize("text", ["", "c2sp.org/tlog-proof@v1\n\nx", "c2sp.org/tlog-proof@v1\nindex 1\n\nx"])
def test_what_is_no_proof_is_told(home: Path, text: str) -> None:
    with pytest.raises(ProofError, match=r"not a proof file|carries no entry"):
        check_proof(text, public_key(home))


def test_a_receipt_that_nothing_signed_covers_cannot_be_proven_yet(tmp_path: Path) -> None:
    write_numbers(tmp_path, 2)
    journal = JournalWriter(tmp_path / "ledger")
    journal.append([encode_receipt(make_receipt(2)) + b"\n"])
    journal.close()
    with pytest.raises(LedgerError, match="not under a signed checkpoint yet"):
        prove(tmp_path, "rc_000002")


def test_a_changed_log_gives_no_proof(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path, 300)
    path = folder / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"rc_000010", b"rc_000099"))
    with pytest.raises(LedgerError, match="does not lead to the signed root"):
        prove(tmp_path, "rc_000010")


def test_consistency_with_a_saved_checkpoint(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path, 130)
    saved = (folder / "checkpoint").read_text()
    write_numbers(tmp_path, 300, start=130)
    verifier = load_or_create(tmp_path).signer.verifier
    old = open_checkpoint(saved, verifier)
    new = open_checkpoint((folder / "checkpoint").read_text(), verifier)
    check_consistency((old.size, old.root), (new.size, new.root), prove_consistency(tmp_path, saved))
    with pytest.raises(NoteError):
        prove_consistency(tmp_path, saved.replace("130", "129"))


def test_a_body_can_be_shown_for_one_receipt(tmp_path: Path) -> None:
    salts = load_or_create(tmp_path).salts
    commitment = salts.commitment("rc_1", "response")
    commitment.update(b"the answer")
    receipt = make_receipt(1, id="rc_1", response_commitment=commitment.hexdigest())
    write_ledger(tmp_path, [receipt])
    shown = disclose(tmp_path, "rc_1", "response")
    assert check_body(receipt, shown, b"the answer")
    assert not check_body(receipt, shown, b"another answer")
    assert not check_body(receipt, disclose(tmp_path, "rc_1", "request"), b"the answer")
