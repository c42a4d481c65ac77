"""`freehold outcomes`: what was learned, from files and from a running Freehold, and how one says more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.app.shadow_tally import note_of
from freehold.receipts.ledger import Ledger
from freehold.receipts.outcomes import Said, outcome_receipt
from freehold.routing.shadow import AGENT
from tests.cli.answering import Running8400, answering
from tests.cli.conftest import Freehold
from tests.cli.ledgers import FixedClock

VIEW = {
    "id": "rcp-2",
    "receipt": "rcp-1",
    "task": "code",
    "deployment": "qwen",
    "score": 1.0,
    "chance": 0.625,
    "deviation": 0.1,
    "trials": 4.0,
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running8400]:
    with answering(tmp_path / "home") as server:
        yield server


def test_files_tell_what_was_learned(freehold: Freehold, tmp_path: Path) -> None:
    assert "No outcomes yet" in freehold("outcomes").out
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        for number in range(4):
            said = Said(
                of=f"r{number}",
                score_ppm=1_000_000 * (number > 0),
                source="judge",
                task="review",
                deployment="qwen",
                agent=AGENT,
                note=note_of("local", f"r{number}", ""),
            )
            ledger.append(outcome_receipt(said, f"o{number}", number))
    ran = freehold("outcomes")
    assert ran.out.splitlines()[1].split()[:2] == ["review", "qwen"]
    assert "review: could have been local: 75 % (3 of 4 compared)" in ran.out
    told = freehold("outcomes", "--json").json
    assert told["beliefs"][0]["deployment"] == "qwen"
    (task,) = told["shadow"]["tasks"]
    assert (task["task"], task["compared"], task["good"]) == ("review", 4, 3)


def test_somebody_says_how_an_answer_did(freehold: Freehold, running: Running8400) -> None:
    running.answers["/api/v1/outcomes"] = (200, json.dumps(VIEW).encode())
    ran = freehold("outcomes", "post", "rcp-1", "pass", "--note", "all green")
    assert ran.out == "qwen, code: good answers 0.62, give or take 0.10. Recorded as rcp-2.\n"
    assert running.asked == ["POST /api/v1/outcomes"]
    assert freehold("outcomes", "post", "rcp-1", "0.7", "--json").json == VIEW


def test_a_score_is_a_word_or_a_number(freehold: Freehold) -> None:
    ran = freehold("outcomes", "post", "rcp-1", "good")
    assert ran.exit == 2
    assert "say pass, fail, or 0 to 1" in ran.err


def test_nobody_to_say_it_to(freehold: Freehold) -> None:
    assert freehold("outcomes", "post", "rcp-1", "fail").exit == 4
