"""Entries are canonical: the same bytes as RFC 8785 gives, whatever stands in them."""

from __future__ import annotations

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.receipts.entries import Attempt, Receipt, decode_receipt, encode_receipt
from freehold.receipts.fitting import fit
from freehold.receipts.tiles import MAX_ENTRY_BYTES

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(0, 2**53 - 1)
receipts = st.builds(
    Receipt,
    id=texts,
    agent=texts,
    error=texts,
    route=texts,
    session=texts,
    usage_raw=texts,
    attempts=st.lists(st.builds(Attempt, deployment=texts, error=texts, total_us=numbers), max_size=3).map(
        tuple
    ),
    losses=st.lists(texts, max_size=3).map(tuple),
    cost_nanos=numbers,
    outcome=st.sampled_from(["ok", "error", "refused"]),
    started_ms=numbers,
    stream=st.booleans(),
    usage=st.builds(Usage, fresh_in=numbers, visible_out=numbers),
)


@given(receipts)
def test_an_entry_is_canonical_json_and_comes_back(receipt: Receipt) -> None:
    entry = encode_receipt(receipt)
    assert entry == rfc8785.dumps(msgspec.to_builtins(receipt))
    assert decode_receipt(entry) == receipt
    assert b"\n" not in entry


any_text = st.text(max_size=3) | st.integers(0, 200_000).map(lambda count: "\x00ü"[count % 2] * count)


@given(any_text, any_text, st.integers(0, 300))
def test_whatever_a_client_sends_fits_an_entry(long: str, other: str, many: int) -> None:
    attempt = Attempt(deployment=long, error=other, status=500)
    receipt = Receipt(
        id="rc_1", agent=long, error=other, session=other, usage_raw=long, route=long, model=other,
        attempts=(attempt,) * many, losses=(long,) * many, outcome="error", started_ms=1,
    )  # fmt: skip
    fitted = fit(receipt)
    assert len(encode_receipt(fitted)) <= MAX_ENTRY_BYTES
    assert fitted.id == "rc_1" and fitted.started_ms == 1


def test_what_was_cut_says_so_and_lone_surrogates_become_question_marks() -> None:
    fitted = fit(Receipt(id="a", agent="\ud800x", error="e" * 1_000, outcome="ok", started_ms=1))
    assert fitted.agent == "?x"
    assert fitted.error.endswith(" [cut]")
