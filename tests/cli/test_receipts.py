"""Stories of `freehold receipts` and `freehold costs`, on a folder that no Freehold runs on."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from freehold.cli.exits import Exit
from freehold.cli.receipts.filters import parse_filter
from freehold.receipts.query import Filter
from tests.cli.conftest import Freehold


@pytest.fixture
def home(made_ledger: Path) -> list[str]:
    return ["--home", str(made_ledger)]


@pytest.fixture
def own_home(made_ledger: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made_ledger, tmp_path / "copy"))


def test_the_newest_come_first_with_what_matters(freehold: Freehold, home: list[str]) -> None:
    lines = freehold("receipts", "list", *home).out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["rcp-ccc4", "rcp-bbb3", "rcp-bbb2", "rcp-aaa1"]
    assert "gpt-5-mini" in lines[4]
    assert "1,500" in lines[4]
    assert "$0.0015" in lines[4]
    assert "~$20.00" in lines[2], "an estimate is marked"


def test_what_a_client_sent_cannot_steer_the_terminal(freehold: Freehold, home: list[str]) -> None:
    for command in (["list"], ["show", "rcp-ccc4"]):
        out = freehold("receipts", *command, *home).out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "[bold]x[/bold]" in out, "shown as it was sent, not taken for markup"
    assert "\x1b" not in freehold("costs", *home).out


def test_a_narrow_terminal_gets_what_fits_and_numbers_to_ask_for(
    freehold: Freehold, home: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = freehold("receipts", "list", *home).out.splitlines()
    assert len(lines) == 5, "no line is broken"
    assert lines[4].split()[0] == "0"
    shown = freehold("receipts", "show", "0", "--json", *home)
    assert shown.json["receipt"]["id"] == "rcp-aaa1"
    ran = freehold("receipts", "show", "4", *home)
    assert (ran.exit, "no receipt with the number 4" in ran.err) == (Exit.FAILED, True)


def test_filters_narrow_and_pages_continue(freehold: Freehold, home: list[str]) -> None:
    ran = freehold("receipts", "list", "project=site", "outcome=error", "--json", *home)
    assert [row["id"] for row in ran.json] == ["rcp-bbb2"]
    page = freehold("receipts", "list", "-n", "2", *home)
    assert "2 of 4; the next: before=2" in page.out
    rest = freehold("receipts", "list", "before=2", "--json", *home).json
    assert [row["id"] for row in rest] == ["rcp-bbb2", "rcp-aaa1"]
    assert "No receipts match." in freehold("receipts", "list", "project=none", *home).out


def test_filter_words_become_a_filter() -> None:
    words = ["model=m", "id=rcp", "since=2h", "until=2026-07-01", "before=7"]
    assert parse_filter(words, 5, now_ms=10_000_000) == Filter(
        model="m", id_prefix="rcp", since_ms=2_800_000, until_ms=1_782_864_000_000, before=7, limit=5
    )


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("projct=x", Exit.USAGE, "Did you mean project=...?"),
        ("site", Exit.USAGE, "FIELD=VALUE"),
        ("outcome=great", Exit.USAGE, "one of ok, error"),
        ("before=x", Exit.USAGE, "number"),
        ("since=yesterday", Exit.FAILED, "is not a time"),
    ],
)
def test_a_filter_that_is_none_is_explained(
    freehold: Freehold, home: list[str], word: str, status: int, said: str
) -> None:
    ran = freehold("receipts", "list", word, *home)
    assert ran.exit == status
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_a_folder_without_receipts_is_explained(freehold: Freehold) -> None:
    ran = freehold("receipts", "list")
    assert ran.exit == Exit.FAILED
    assert "there are no receipts in" in ran.err


def test_one_receipt_is_shown_whole(freehold: Freehold, home: list[str]) -> None:
    out = freehold("receipts", "show", "rcp-bbb2", *home).out
    assert "connection refused" in out
    assert "529" in out
    assert "tokens" not in out, "none were used"
    assert "answered by" not in out
    assert "answered by" in freehold("receipts", "show", "rcp-aaa1", *home).out
    ran = freehold("receipts", "show", "rcp-aaa", "--json", *home)
    assert ran.json["index"] == 0
    assert ran.json["receipt"]["usage"]["cache_read"] == 300
    assert freehold("receipts", "show", "rcp-bbb", *home).exit == Exit.FAILED


def test_verify_says_what_is_proven_and_what_is_not(freehold: Freehold, home: list[str]) -> None:
    ran = freehold("receipts", "verify", *home)
    assert ran.exit == Exit.OK
    assert "Proven:" in ran.out
    assert "Not proven:" in ran.out
    report = freehold("receipts", "verify", "--json", *home).json
    assert (report["ok"], report["entries"], report["problems"]) == (True, 4, [])


def test_verify_finds_an_edited_entry_and_exits_so(freehold: Freehold, own_home: Path) -> None:
    (journal,) = (own_home / "ledger" / "journal").glob("*.ndjson")
    journal.write_bytes(journal.read_bytes().replace(b"1500000", b"1500001"))
    ran = freehold("receipts", "verify", str(own_home))
    assert ran.exit == Exit.NOT_PROVEN
    assert "PROBLEM" in ran.out
    assert freehold("receipts", "verify", str(own_home), "--json").json["problems"][0]["index"] == 0


def test_verify_against_a_saved_checkpoint_notices_another_log(
    freehold: Freehold, home: list[str], made_ledger: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    shutil.copy(made_ledger / "ledger" / "checkpoint", saved)
    assert freehold("receipts", "verify", "--against", str(saved), *home).exit == Exit.OK
    saved.write_text(saved.read_text().replace("\n4\n", "\n3\n"))
    assert freehold("receipts", "verify", "--against", str(saved), *home).exit == Exit.NOT_PROVEN
    assert freehold("receipts", "verify", "--against", "absent", *home).exit == Exit.FAILED
    assert freehold("receipts", "verify", "--key", "nonsense", *home).exit == Exit.FAILED


def test_a_proof_is_made_and_checked_elsewhere(freehold: Freehold, home: list[str], tmp_path: Path) -> None:
    file = tmp_path / "one.tlog-proof"
    made = freehold("receipts", "prove", "rcp-aaa1", "-o", str(file), "--json", *home).json
    checked = freehold("receipts", "check", str(file), "--key", made["key"], "--json")
    assert checked.json["receipt"]["id"] == "rcp-aaa1"
    assert "Proven: entry 0 of 4" in freehold("receipts", "check", str(file), *home).out
    assert freehold("receipts", "prove", "rcp-aaa1", *home).out == made["proof"]


def test_a_changed_proof_proves_nothing(freehold: Freehold, home: list[str], tmp_path: Path) -> None:
    file = tmp_path / "one.tlog-proof"
    file.write_text(freehold("receipts", "prove", "rcp-aaa1", *home).out.replace("index 0", "index 1"))
    ran = freehold("receipts", "check", str(file), *home)
    assert ran.exit == Exit.NOT_PROVEN
    assert "proves nothing" in ran.err


def test_receipts_are_exported_for_other_programs(
    freehold: Freehold, home: list[str], tmp_path: Path
) -> None:
    rows = list(csv.DictReader(io.StringIO(freehold("receipts", "export", *home).out)))
    assert [row["id"] for row in rows] == ["rcp-ccc4", "rcp-bbb3", "rcp-bbb2", "rcp-aaa1"]
    lines = freehold("receipts", "export", "project=lab", "--json", *home).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["rcp-bbb3"]
    file = tmp_path / "out.parquet"
    ran = freehold("receipts", "export", "--out", str(file), "--json", *home)
    assert ran.json == {"file": str(file), "format": "parquet", "receipts": 4}
    assert file.read_bytes()[:4] == b"PAR1"
    assert freehold("receipts", "export", "--out", "x.xlsx", *home).exit == Exit.USAGE


def test_the_database_is_made_again_from_the_log(freehold: Freehold, own_home: Path) -> None:
    (own_home / "receipts.db").unlink()
    assert freehold("receipts", "rebuild", "--home", str(own_home), "--json").json == {"entries": 4}
    assert len(freehold("receipts", "list", "--json", "--home", str(own_home)).json) == 4


def test_costs_are_summed_and_doubt_is_shown(freehold: Freehold, home: list[str]) -> None:
    out = freehold("costs", *home).out
    assert "$20.00 estimated" in out
    assert "Together $20.00 for 4 calls." in out
    rows = {row["name"]: row for row in freehold("costs", "--by", "project", "--json", *home).json}
    assert rows["site"]["total_nanos"] == 1_500_000
    assert rows["site"]["errors"] == 1
    assert freehold("costs", "--until", "2020-01-01", *home).out == "There are no receipts in this time.\n"
    assert freehold("costs", "--by", "weather", *home).exit == Exit.USAGE
