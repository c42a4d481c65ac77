"""`freehold route` without a running Freehold: from files, in words and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.receipts.ledger import Ledger
from tests.cli.conftest import Freehold
from tests.cli.ledgers import ANSWERED, FixedClock

CONFIG = """
discover: false
servers: {qwen: {model: /models/qwen3-8b.gguf, context: 32768}}
providers:
  openai: {base_url: "https://api.openai.com/v1", models: [gpt-5, gpt-5-mini]}
tiers: {local: [qwen], balanced: [openai/gpt-5-mini], premium: [openai/gpt-5]}
routing: {tasks: {code: local, review: premium}, baseline: openai/gpt-5}
models: {cheap: {candidates: [openai/gpt-5, openai/gpt-5-mini], route: cheapest}}
"""


@pytest.fixture(autouse=True)
def config(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "freehold.yaml").write_text(CONFIG)


def test_a_prompt_is_explained_with_everybody_s_price(freehold: Freehold) -> None:
    ran = freehold("route", "explain", "--prompt", "Sum this up: " + "word " * 2000, "--task", "summarise")
    assert ran.exit == 0, ran.err
    assert ran.out.startswith("auto: qwen (local); summarise (said);")
    assert "openai/gpt-5-mini  balanced" in ran.out
    assert "dearer" in ran.out
    assert "openai/gpt-5, the baseline: $0.0" in ran.out
    assert "saved $0.0" in ran.out
    assert "how servers are doing is not known" in ran.out


def test_a_program_gets_json(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("look at this change")
    view = freehold("route", "explain", "--file", "prompt.txt", "--task", "review", "--json").json
    assert view["candidates"][0]["name"] == "openai/gpt-5"
    assert {row["name"]: row["why"] for row in view["candidates"]}[
        "qwen"
    ] == "is local, and review begins premium"
    assert view["live"] is False


def test_a_name_of_one_s_own(freehold: Freehold) -> None:
    ran = freehold("route", "explain", "--prompt", "x", "--model", "cheap")
    assert ran.out.startswith("cheap: openai/gpt-5-mini is the cheapest")


def test_a_past_call_beside_what_it_could_have_been(freehold: Freehold, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        ledger.append(ANSWERED)
    ran = freehold("route", "explain", "--receipt", "rcp-aaa1")
    assert ran.exit == 0, ran.err
    assert "openai/gpt-5-mini answered rcp-aaa1, 1,500 tokens in, 100 out: $0.0015." in ran.out
    assert "answered" in ran.out
    assert freehold("route", "explain", "--receipt", "rcp-zzz").exit == 1


def test_one_thing_is_asked_about(freehold: Freehold) -> None:
    ran = freehold("route", "explain")
    assert ran.exit == 2
    assert "--prompt" in ran.err
    assert "cannot read nowhere.txt" in freehold("route", "explain", "--file", "nowhere.txt").err
