"""Deaths of model servers stand in the ledger beside the calls, and in no sum."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.deaths import Certificate, Clue
from freehold.receipts.deaths import LARGEST_DETAIL, certificate_of, certificates, death_receipt
from freehold.receipts.entries import Receipt, decode_receipt, encode_receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.publisher import Pace
from freehold.receipts.query import Filter, find, list_receipts, open_readonly, totals
from freehold.receipts.rebuild import rebuild
from freehold.receipts.tiles import MAX_ENTRY_BYTES
from freehold.receipts.verify import verify
from tests.receipts.story import SMALL, START_MS, FakeClock, make_receipt, rows_of, write_ledger

LATE = Pace(segment_entries=256, poll_s=3_600.0, checkpoint_s=3_600.0)
"""A publisher that does not publish while the test looks."""


def make_certificate(number: int = 0, server: str = "glm", **changes: object) -> Certificate:
    fields: dict[str, object] = {
        "server": server,
        "died_ms": START_MS + number,
        "cause": "oom-cgroup",
        "confidence": 97,
        "sentence": f"Killed by the kernel: its memory group reached {number} MiB.",
        "next": "Raise servers.glm.memory.",
        "evidence": (Clue(source="cgroup", text="1 killed"),),
        "pid": 41,
    }
    return msgspec.convert(fields | changes, Certificate)


def mixed() -> list[Receipt]:
    """Calls with deaths of two servers between them."""
    receipts = [make_receipt(number) for number in range(300)]
    for number in range(10):
        server = "glm" if number % 2 else "qwen"
        death = death_receipt(make_certificate(number, server), f"dc_{number}", START_MS)
        receipts.insert(number * 31, death)
    return receipts


def test_a_certificate_comes_back_whole_from_canonical_bytes() -> None:
    certificate = make_certificate(in_flight=("ab" * 32,), others=("killed-by (60)",))
    receipt = death_receipt(certificate, "dc_1", START_MS)
    entry = encode_receipt(receipt)
    assert entry == rfc8785.dumps(msgspec.to_builtins(receipt))
    assert receipt.detail.encode() == rfc8785.dumps(msgspec.json.decode(receipt.detail))
    assert certificate_of(decode_receipt(entry)) == certificate
    assert (receipt.kind, receipt.server, receipt.error) == ("death", "glm", certificate.sentence)
    assert receipt.started_ms == certificate.died_ms


def test_a_death_that_nobody_timed_is_dated_by_its_telling() -> None:
    assert death_receipt(make_certificate(died_ms=0), "dc_1", 77).started_ms == 77


def test_the_newest_deaths_of_a_server_come_first_projected_or_not(tmp_path: Path) -> None:
    write_ledger(tmp_path, mixed())
    with Ledger.open(tmp_path, clock=FakeClock(), pace=LATE) as ledger:
        ledger.append(death_receipt(make_certificate(99), "dc_99", START_MS))
        ledger.append(death_receipt(make_certificate(98, "qwen"), "dc_98", START_MS))
        found = certificates(tmp_path, "glm", 3)
        assert [one.died_ms - START_MS for one in found] == [99, 9, 7]
        assert [one.server for one in certificates(tmp_path, limit=3)] == ["qwen", "glm", "glm"]
        assert certificates(tmp_path, "nobody") == []
    assert [one.died_ms - START_MS for one in certificates(tmp_path, "glm")] == [99, 9, 7, 5, 3, 1]


def test_deaths_are_listed_and_found_but_are_in_no_sum(tmp_path: Path) -> None:
    write_ledger(tmp_path / "with", mixed())
    write_ledger(tmp_path / "without", [receipt for receipt in mixed() if receipt.kind == "call"])
    for table in ("rollups", "session_rollups"):
        tables = [rows_of(tmp_path / home / "receipts.db", table) for home in ("with", "without")]
        assert tables[0] == tables[1]
    with open_readonly(tmp_path / "with") as db:
        assert totals(db).calls == 300
        rows = list_receipts(db, Filter(kind="death", server="glm"))
        assert [row.id for row in rows] == ["dc_9", "dc_7", "dc_5", "dc_3", "dc_1"]
        assert all(row.cost_nanos == 0 and row.outcome == "error" for row in rows)
        assert len(list_receipts(db, Filter(kind="call", limit=1_000))) == 300
    index, receipt = find(tmp_path / "with", "dc_9")
    assert index == 279 and certificate_of(receipt).server == "glm"


def test_verify_and_rebuild_know_deaths(tmp_path: Path) -> None:
    write_ledger(tmp_path, mixed())
    live = [rows_of(tmp_path / "receipts.db", name) for name in ("calls", "rollups", "session_rollups")]
    assert verify(tmp_path).ok
    assert rebuild(tmp_path) == 310
    assert [
        rows_of(tmp_path / "receipts.db", name) for name in ("calls", "rollups", "session_rollups")
    ] == live
    assert verify(tmp_path).ok
    assert len(certificates(tmp_path)) == 10


def test_a_ledger_of_nothing_but_deaths_verifies(tmp_path: Path) -> None:
    write_ledger(tmp_path, [death_receipt(make_certificate(1), "dc_1", START_MS)])
    assert verify(tmp_path).ok


def test_a_changed_certificate_is_found_by_verify(tmp_path: Path) -> None:
    folder = write_ledger(tmp_path, mixed()[:20], Pace(poll_s=0.001, checkpoint_s=0.0))
    (segment,) = (folder / "journal").glob("*.ndjson")
    segment.write_bytes(segment.read_bytes().replace(b"oom-cgroup", b"oom-global", 1))
    assert not verify(tmp_path).ok


def test_a_database_from_before_deaths_takes_them_without_loss(tmp_path: Path) -> None:
    write_ledger(tmp_path, [make_receipt(number) for number in range(40)])
    with closing(sqlite3.connect(tmp_path / "receipts.db")) as db:
        db.execute("DROP INDEX deaths")
    write_ledger(tmp_path, [death_receipt(make_certificate(1), "dc_1", START_MS)])
    assert verify(tmp_path).ok
    assert len(certificates(tmp_path, "glm")) == 1
    with open_readonly(tmp_path) as db:
        assert totals(db).calls == 40
        asked: list[str] = []
        db.set_trace_callback(asked.append)
        list_receipts(db, Filter(kind="death", server="glm"))
        plan = db.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
    assert "deaths" in str(plan)


def test_a_detail_that_cannot_be_read_still_tells_its_sentence(tmp_path: Path) -> None:
    broken = msgspec.structs.replace(death_receipt(make_certificate(5), "dc_1", 1), detail="{broken")
    write_ledger(tmp_path, [broken], SMALL)
    (found,) = certificates(tmp_path, "glm")
    assert found.cause == "unknown" and found.sentence.startswith("Killed by the kernel")


clues = st.lists(
    st.builds(
        Clue, source=st.text(max_size=5), text=st.text(max_size=5).map(lambda text: (text + '"') * 400)
    ),
    max_size=400,
)
digests = st.integers(0, 2_000).map(lambda count: ("f" * 64,) * count)


@given(clues, digests, st.text(max_size=9).map(lambda text: text * 3_000))
def test_any_certificate_fits_an_entry_and_keeps_its_cause(
    evidence: list[Clue], in_flight: tuple[str, ...], sentence: str
) -> None:
    certificate = make_certificate(evidence=tuple(evidence), in_flight=in_flight, sentence=sentence)
    receipt = death_receipt(certificate, "dc_1", START_MS)
    assert len(msgspec.json.encode(receipt.detail)) <= LARGEST_DETAIL
    assert len(encode_receipt(receipt)) <= MAX_ENTRY_BYTES
    back = certificate_of(receipt)
    assert (back.cause, back.confidence, back.next) == ("oom-cgroup", 97, certificate.next)
    if len(back.evidence) < len(evidence):
        assert back.evidence[-1].source == "note"
