"""Stories of `freehold receipts payload` and `redact`: bodies kept beside the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.cli.exits import Exit
from freehold.core.clock import SystemClock
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.payloads import PayloadFolder
from tests.cli.conftest import Freehold

REQUEST, ANSWER = b'{"model":"m"}', '{"text":"grüß dich"}'.encode()


def keep(home: Path, kept: Path) -> None:
    """One receipt whose bodies are kept in the folder `kept`."""
    with Ledger.open(home, clock=SystemClock()) as ledger:
        request, answer = ledger.commitment("r1", "request"), ledger.commitment("r1", "response")
        request.update(REQUEST)
        answer.update(ANSWER)
        ledger.append(
            Receipt(
                id="r1",
                outcome="ok",
                started_ms=1,
                request_commitment=request.hexdigest(),
                response_commitment=answer.hexdigest(),
            )
        )
    folder = PayloadFolder(kept)
    folder.store("r1", "request", REQUEST)
    folder.store("r1", "response", ANSWER)
    folder.close()


@pytest.fixture
def own_home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    keep(home, home / "payloads")
    return home


def test_a_kept_body_is_printed_as_it_was_sent(freehold: Freehold, own_home: Path) -> None:
    assert freehold("receipts", "payload", "r1", "request", "--json").json["body"] == REQUEST.decode()
    assert freehold("receipts", "payload", "0", "--json").json["body"] == ANSWER.decode()


def test_the_configuration_says_where_bodies_are(freehold: Freehold, tmp_path: Path) -> None:
    keep(tmp_path / "home", tmp_path / "kept")
    assert freehold("receipts", "payload", "r1").exit == Exit.FAILED
    (tmp_path / "freehold.yaml").write_text("receipts: {payloads: all, dir: kept}\n")
    assert freehold("receipts", "payload", "r1").out == ANSWER.decode()


def test_a_body_that_was_exchanged_proves_nothing(freehold: Freehold, own_home: Path) -> None:
    folder = PayloadFolder(own_home / "payloads")
    folder.store("r1", "response", b"something else")
    folder.close()
    ran = freehold("receipts", "payload", "r1")
    assert ran.exit == Exit.NOT_PROVEN
    assert "not the response that receipt r1 committed to" in ran.err
    assert ran.out == ""


def test_a_damaged_file_is_told(freehold: Freehold, own_home: Path) -> None:
    for stored in (own_home / "payloads").glob("*/*.zst"):
        stored.write_bytes(b"junk")
    ran = freehold("receipts", "payload", "r1")
    assert ran.exit == Exit.NOT_PROVEN
    assert "cannot be read" in ran.err


def test_what_is_redacted_is_gone_and_the_log_stays_valid(freehold: Freehold, own_home: Path) -> None:
    assert "2 kept bodies of receipt r1 dropped." in freehold("receipts", "redact", "r1").out
    assert list((own_home / "payloads").glob("*/*.zst")) == []
    gone = freehold("receipts", "payload", "r1")
    assert gone.exit == Exit.FAILED
    assert "is not kept" in gone.err
    assert freehold("receipts", "verify").exit == Exit.OK
    assert freehold("receipts", "redact", "r1", "--json").json == {"receipt": "r1", "dropped": 0}


def test_where_nothing_was_ever_kept_no_folder_is_made(freehold: Freehold, tmp_path: Path) -> None:
    keep(tmp_path / "home", tmp_path / "elsewhere")
    assert freehold("receipts", "redact", "r1", "--json").json["dropped"] == 0
    assert not (tmp_path / "home" / "payloads").exists()
