"""Limits outlive the process that saw them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.app import limits as limits_module
from freehold.app.limits import HouseLimits, kept_limits
from freehold.costs.limits.headers import LimitSeen
from tests.app.held_up import HeldUp

NOW_MS = 1_790_000_000_000
FULL = LimitSeen(window="requests", unit="requests", left=7, limit=60, resets_ms=NOW_MS + 60_000)


class Clock:
    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_s(self) -> float:
        return 0.0


async def test_what_was_seen_is_kept_when_the_house_ends(tmp_path: Path) -> None:
    limits = HouseLimits(tmp_path, 0.1, Clock())
    keeping = asyncio.create_task(limits.keep())
    await asyncio.sleep(0)
    limits.book.seen("openai", [FULL], NOW_MS, "gpt-5")
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    (view,) = kept_limits(tmp_path, NOW_MS)
    assert (view.provider, view.model, view.left) == ("openai", "gpt-5", 7)
    assert HouseLimits(tmp_path, 0.1, Clock()).views() == limits.views()


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_bytes(b'{"windows": 3')
    assert HouseLimits(tmp_path, 0.1, Clock()).views() == ()
    assert kept_limits(tmp_path, NOW_MS) == ()
    assert kept_limits(tmp_path / "nowhere", NOW_MS) == ()


async def test_the_last_limits_are_not_overtaken_by_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "KEEP_S", 0.0)
    limits = HouseLimits(tmp_path, 0.1, Clock())
    write = HeldUp(limits._write)
    monkeypatch.setattr(limits, "_write", write)
    limits.book.seen("openai", [FULL], NOW_MS, "gpt-5")
    keeping = asyncio.create_task(limits.keep())
    await asyncio.to_thread(write.begun.wait, 60)
    limits.book.seen("groq", [FULL], NOW_MS, "kimi")
    keeping.cancel()
    await asyncio.sleep(0)
    write.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await asyncio.to_thread(write.ended.wait, 60)
    assert {view.provider for view in kept_limits(tmp_path, NOW_MS)} == {"openai", "groq"}
