"""`freehold receipts list` and `show` of entries that are no calls: uses of tools, and how answers did."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.receipts.ledger import Ledger
from freehold.receipts.outcomes import Said, outcome_receipt
from freehold.receipts.tools import ToolUse, tool_receipt
from tests.cli.conftest import Freehold
from tests.cli.ledgers import ANSWERED, START_MS, FixedClock

USE = ToolUse(
    tool="read",
    server="files",
    call_id="toolu_1",
    session="s-1",
    project="site",
    started_ms=START_MS,
    duration_us=12_000,
    ok=False,
    error="exit code 2",
    arguments_sha256="ab" * 32,
    source="hook",
)
SAID = Said(of="rcp-aaa1", score_ppm=900_000, source="person", deployment="openai/gpt-5-mini", note="good")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        ledger.append(ANSWERED)
        ledger.append(tool_receipt(USE, "t1"))
        ledger.append(outcome_receipt(SAID, "rcp-out", START_MS))
    return tmp_path / "home"


@pytest.mark.usefixtures("home")
def test_the_list_says_what_they_are(freehold: Freehold) -> None:
    said, tool, call = freehold("receipts", "list").out.splitlines()[-3:]
    assert all(
        word in tool for word in ("failed", "tool read (files)", "exit code 2", "site", "12.0 ms", "t1")
    )
    assert all(word in said for word in ("score 0.90", "openai/gpt-5-mini", "of rcp-aaa1"))
    assert "gpt-5-mini" in call
    assert "$" not in tool + said


@pytest.mark.usefixtures("home")
def test_a_narrow_list_too(freehold: Freehold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said, tool, _ = freehold("receipts", "list").out.splitlines()[-3:]
    assert "tool read (files)" in tool
    assert "score 0.90" in said


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("kind", "found"), [("tool", ["t1"]), ("outcome", ["rcp-out"]), ("call", ["rcp-aaa1"])]
)
def test_they_are_found_by_their_kind(freehold: Freehold, kind: str, found: list[str]) -> None:
    assert [row["id"] for row in freehold("receipts", "list", f"kind={kind}", "--json").json] == found


@pytest.mark.usefixtures("home")
def test_another_kind_is_a_mistake(freehold: Freehold) -> None:
    ran = freehold("receipts", "list", "kind=tol")
    assert ran.exit == 2
    assert "kind is one of call, death, outcome, tool" in ran.err


@pytest.mark.usefixtures("home")
def test_a_use_of_a_tool_is_shown(freehold: Freehold) -> None:
    shown = freehold("receipts", "show", "t1").out
    for words in (
        "read",
        "files",
        "failed",
        "exit code 2",
        "12.0 ms",
        "toolu_1",
        "hook",
        f"SHA-256 {'ab' * 32}",
        "s-1",
    ):
        assert words in shown
    assert "cost" not in shown


@pytest.mark.usefixtures("home")
def test_how_an_answer_did_is_shown(freehold: Freehold) -> None:
    shown = freehold("receipts", "show", "rcp-out").out
    for words in ("rcp-aaa1", "0.90", "person", "good", "openai/gpt-5-mini"):
        assert words in shown
    assert "tokens" not in shown


@pytest.mark.usefixtures("home")
def test_costs_know_nothing_of_them(freehold: Freehold) -> None:
    (row,) = freehold("costs", "--by", "project", "--json", "--since", "2020-01-01").json
    assert row["calls"] == 1
