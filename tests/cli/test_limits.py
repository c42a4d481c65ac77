"""`freehold limits` reads what a running Freehold left in the state folder."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from freehold.costs.limits.book import LimitBook
from freehold.costs.limits.headers import WHOLE_PPM, LimitSeen
from tests.cli.answering import answering
from tests.cli.conftest import Freehold
from tests.web.fakes import LIMIT

HOUR_MS = 3_600_000


def kept(home: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    book = LimitBook(0.1)
    for minute in range(61):
        left = round((0.5 - 0.2 * minute / 60) * WHOLE_PPM)
        window = LimitSeen(
            window="5h",
            unit="share",
            left=left,
            limit=WHOLE_PPM,
            resets_ms=now_ms + 4 * HOUR_MS,
            length_ms=5 * HOUR_MS,
            of_account=True,
        )
        book.seen("claude", [window], now_ms - HOUR_MS + minute * 60_000)
    tokens = LimitSeen(window="tokens", unit="tokens", left=0, limit=30_000, resets_ms=now_ms + 60_000)
    book.seen("openai", [tokens], now_ms, "gpt-5")
    home.mkdir()
    (home / "limits.json").write_bytes(book.document())


def test_limits_are_shown_with_what_is_left_and_how_long_it_lasts(freehold: Freehold, tmp_path: Path) -> None:
    kept(tmp_path / "home")
    shown = freehold("limits")
    assert shown.exit == 0
    claude, openai = shown.out.splitlines()[1:3]
    assert "claude" in claude and "30.0 %" in claude and "until" in claude
    assert "gpt-5" in openai and "0 of 30,000" in openai and "used up" in openai


def test_programs_get_every_field(freehold: Freehold, tmp_path: Path) -> None:
    kept(tmp_path / "home")
    claude, openai = freehold("limits", "--json").json
    assert (claude["window"], claude["unit"], claude["left"], claude["reserve"]) == (
        "5h",
        "share",
        300_000,
        100_000,
    )
    assert claude["gone_early_ms"] < claude["gone_ms"]
    assert openai["model"] == "gpt-5"


def test_without_any_limit_it_says_where_they_come_from(freehold: Freehold) -> None:
    assert "No provider has told a limit yet" in freehold("limits").out
    assert freehold("limits", "--json").json == []


def test_a_running_freehold_is_asked(freehold: Freehold, tmp_path: Path) -> None:
    with answering(tmp_path / "home") as running:
        running.answers["/api/v1/limits"] = (200, msgspec.json.encode([LIMIT]))
        assert freehold("limits", "--json").json[0]["left"] == LIMIT.left
    assert freehold("limits", "--json").json == []
