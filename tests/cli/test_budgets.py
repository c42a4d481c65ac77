"""`freehold budgets`: what people and programs are shown of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.cli.answering import answering
from tests.cli.conftest import Freehold
from tests.web.fakes import BUDGET

CONFIG = """
budgets:
  - {scope: all, limit_usd: 100, window: total}
  - {scope: "project:*", limit_usd: 50, window: total, hard: false}
  - {scope: "agent:*", limit_usd: 5, window: day}
"""


@pytest.fixture
def configured(tmp_path: Path, made_ledger: Path) -> Path:
    shutil.copytree(made_ledger, tmp_path / "home")
    (tmp_path / "freehold.yaml").write_text(CONFIG)
    return tmp_path


@pytest.mark.usefixtures("configured")
def test_each_budget_shows_what_is_spent_and_left(freehold: Freehold) -> None:
    ran = freehold("budgets")
    assert ran.exit == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0] == ["BUDGET", "LIMIT", "SPENT", "HELD", "LEFT", "RESETS", "USED", "UP"]
    assert rows[1][:6] == ["all", "in", "total", "$100.00", "$0.0015", "$100.00"]
    assert rows[2][:2] == ["project:site", "in"]
    assert "watched" in rows[2][2] + rows[2][3]
    assert [row[0] for row in rows[3:]] == ["agent:*"]


@pytest.mark.usefixtures("configured")
def test_programs_get_integers(freehold: Freehold) -> None:
    first = freehold("budgets", "--json").json[0]
    assert (first["budget"], first["limit_nanos"], first["spent_nanos"]) == (
        "all in total",
        100 * 10**9,
        1_500_000,
    )


def test_without_budgets_it_says_where_it_has_looked(freehold: Freehold, tmp_path: Path) -> None:
    assert freehold("budgets").out == "There are no budgets (no configuration file was found).\n"
    (tmp_path / "freehold.yaml").write_text("discover: false\n")
    assert "freehold.yaml)" in freehold("budgets").out
    assert freehold("budgets", "--json").json == []


def test_everyone_is_shown_when_that_is_wanted(freehold: Freehold, tmp_path: Path) -> None:
    from freehold.receipts.entries import Receipt
    from freehold.receipts.ledger import Ledger
    from tests.cli.ledgers import FixedClock

    (tmp_path / "freehold.yaml").write_text('budgets: [{scope: "agent:*", limit_usd: 1, window: total}]\n')
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        for number in range(25):
            ledger.append(
                Receipt(
                    id=f"r{number}", agent=f"a{number}", outcome="ok", started_ms=0, cost_nanos=number + 1
                )
            )
    assert freehold("budgets").out.splitlines()[-1] == "5 more with --all."
    assert len(freehold("budgets", "--all").out.splitlines()) == 26


def test_a_wrong_budget_is_an_error_of_the_configuration(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "freehold.yaml").write_text("budgets: [{scope: nobody, limit_usd: 1}]\n")
    ran = freehold("budgets")
    assert ran.exit == 3
    assert "'nobody' is no scope" in ran.err


@pytest.mark.usefixtures("configured")
def test_a_running_freehold_is_asked_and_the_file_only_when_it_is_named(
    freehold: Freehold, tmp_path: Path
) -> None:
    with answering(tmp_path / "home") as running:
        running.answers["/api/v1/budgets"] = (200, msgspec.json.encode([BUDGET]))
        rows = [line.split() for line in freehold("budgets").out.splitlines()]
        assert " ".join(rows[1]).startswith("agent:writer per day $2.00 $0.60, $0.10 of it unseen")
        named = freehold("budgets", "--config", "freehold.yaml").out
        assert "all in total" in named
        running.answers["/api/v1/budgets"] = (401, b"{}")
        assert "all in total" in freehold("budgets").out, "without a key, files tell"
    assert "all in total" in freehold("budgets").out, "nobody answers there any more"


def test_a_person_grants_more(freehold: Freehold, tmp_path: Path) -> None:
    with answering(tmp_path / "home") as running:
        running.answers["/api/v1/budgets/grant"] = (200, msgspec.json.encode(BUDGET))
        ran = freehold("budgets", "grant", "agent:writer per day", "0.5")
        assert "agent:writer per day" in ran.out
        assert running.asked == ["POST /api/v1/budgets/grant"]
        running.answers["/api/v1/budgets/grant"] = (404, b'{"error": {"message": "there is no budget"}}')
        assert freehold("budgets", "grant", "x", "1").err == "freehold: there is no budget\n"
    assert freehold("budgets", "grant", "x", "1").exit == 4
