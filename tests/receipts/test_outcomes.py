"""Outcomes of answers stand in the ledger beside the calls."""

from __future__ import annotations

from pathlib import Path

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.entries import Receipt, decode_receipt, encode_receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.outcomes import PPM, Said, outcome_of, outcome_receipt, outcomes
from freehold.receipts.publisher import Pace
from freehold.receipts.verify import verify
from tests.receipts.story import FakeClock, make_receipt

LATE = Pace(segment_entries=256, poll_s=3_600.0, checkpoint_s=3_600.0)


def said(number: int, **facts: object) -> Said:
    fields = {
        "of": f"r{number}",
        "score_ppm": number,
        "source": "person",
        "task": "code",
        "deployment": "qwen",
    }
    return Said(**(fields | facts))  # pyright: ignore


def test_an_outcome_is_written_and_read_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=FakeClock()) as ledger:
        for number in range(5):
            ledger.append(make_receipt(number))
            ledger.append(outcome_receipt(said(number, note="fine"), f"o{number}", 1000 + number))
    found = list(outcomes(tmp_path))
    assert found == [said(number, note="fine") for number in range(5)]
    assert list(outcomes(tmp_path, since_index=6)) == found[3:]
    assert verify(tmp_path).ok


def test_those_that_are_not_projected_yet_are_read_too(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=FakeClock()) as ledger:
        ledger.append(outcome_receipt(said(1), "o1", 1))
    with Ledger.open(tmp_path, clock=FakeClock(), pace=LATE) as ledger:
        ledger.append(outcome_receipt(said(2), "o2", 2))
        assert [each.of for each in outcomes(tmp_path)] == ["r1", "r2"]
        assert [each.of for each in outcomes(tmp_path, since_index=1)] == ["r2"]


@given(st.text(), st.integers(-PPM, 2 * PPM), st.text(max_size=20))
def test_entries_are_canonical_whatever_is_said(note: str, score_ppm: int, source: str) -> None:
    receipt = outcome_receipt(said(1, note=note, score_ppm=score_ppm, source=source), "o1", 1)
    detail = msgspec.json.decode(receipt.detail)
    assert receipt.detail.encode() == rfc8785.dumps(detail)
    back = outcome_of(receipt)
    assert back is not None
    assert 0 <= back.score_ppm <= PPM
    assert outcome_of(decode_receipt(encode_receipt(receipt))) == back


def test_other_entries_say_nothing_of_answers() -> None:
    assert outcome_of(make_receipt(1)) is None
    assert outcome_of(Receipt(id="x", kind="outcome", detail="{", outcome="ok", started_ms=1)) is None
