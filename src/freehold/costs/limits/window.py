"""One window of one account, over time: what is left, how fast it goes, when it will be gone. Pure values."""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.costs.limits.burn import Burn, first_reading
from freehold.costs.limits.headers import WHOLE_PPM, LimitSeen, Status, Unit

SHARE_STEP = WHOLE_PPM // 100
"""Shares are told in whole percent, or a little finer."""
SOON_MS, SOONEST_MS = 300_000, 10_000
"""A window that will be gone within this (a tenth of its length, between these two) is left alone."""
OVERTAKEN_MS = 60_000
"""Answers overtake each other by less. What has more after that was given more: a larger plan, credits."""
SAME_RESET_MS = 5_000
"""Resets are told in whole seconds; two that differ by less are the same."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The newest reading, and the pace until then."""

    seen: LimitSeen
    at_ms: int
    burn: Burn


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A window as people and programs see it. Counts are in `unit`; shares in parts per million."""

    provider: str
    model: str
    """Empty: for all models of the account."""
    window: str
    unit: Unit
    left: int | None
    limit: int | None
    resets_ms: int | None
    status: Status
    seen_ms: int
    reserve: int = 0
    """Of what is left, so much is kept for people."""
    used_per_hour: int = 0
    """At the present pace."""
    gone_ms: int | None = None
    """When it will be used up at this pace; None when it lasts until it is filled again."""
    gone_early_ms: int | None = None
    gone_late_ms: int | None = None
    """The ends of the error band: nine times of ten it is between. `gone_late_ms` None: perhaps never."""


class Exhausting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a provider should not be asked now."""

    window: str
    kind: Literal["out", "reserve", "soon"]
    """Nothing is left; what is left is kept for people; it will be gone in a moment."""
    until_ms: int | None
    """When the window is filled again, where that is known."""
    text: str


def first(seen: LimitSeen, now_ms: int) -> Window:
    """A window that was not known before."""
    return Window(seen=seen, at_ms=now_ms, burn=first_reading(now_ms, seen.length_ms))


def read_again(window: Window, seen: LimitSeen, now_ms: int) -> Window:
    """With a later reading.

    Answers overtake each other: a window that was not filled again in between has not more than it had.
    One that was tells nothing about the pace.
    """
    before, left = window.seen, seen.left
    now_ms = max(now_ms, window.at_ms)
    if before.left is None or left is None:
        return Window(seen=seen, at_ms=now_ms, burn=window.burn.skipped(now_ms))
    if _filled_again(window, seen, now_ms):
        return Window(seen=seen, at_ms=now_ms, burn=window.burn.skipped(now_ms))
    if left > before.left and _fixed(before) and now_ms - window.at_ms < OVERTAKEN_MS:
        seen = msgspec.structs.replace(seen, left=before.left)
    used = max(0, before.left - (seen.left or 0))
    return Window(seen=seen, at_ms=now_ms, burn=window.burn.after(now_ms, used))


def _fixed(seen: LimitSeen) -> bool:
    """Whether it is filled at once when it resets; others (by the minute) are filled little by little."""
    return seen.unit in ("share", "credits") or (seen.length_ms or 0) >= 3_600_000


def _filled_again(window: Window, seen: LimitSeen, now_ms: int) -> bool:
    before = window.seen
    if before.resets_ms is None:
        return False
    if now_ms >= before.resets_ms:
        return True
    if not _fixed(before) or seen.resets_ms is None or (seen.left or 0) <= (before.left or 0):
        return False
    return seen.resets_ms > before.resets_ms + SAME_RESET_MS


def left_now(window: Window, now_ms: int) -> int | None:
    """What is left: all of it, once it has been filled again since it was seen."""
    seen = window.seen
    if seen.resets_ms is not None and now_ms >= seen.resets_ms:
        return seen.limit
    return seen.left


def exhausting(window: Window, now_ms: int, reserve: float) -> Exhausting | None:
    """Why the window should be left alone now. `reserve`: share of a subscription that is for people.

    A reading without a reset is believed for minutes only: nobody would ask again, and it would stay so.
    """
    seen = window.seen
    old_ms = window.at_ms + SOON_MS if seen.resets_ms is None else seen.resets_ms
    if now_ms >= old_ms or not seen.binding:
        return None
    left = seen.left
    if seen.status == "rejected" or left == 0:
        return _told(seen, "out", "is used up")
    if left is None:
        return None
    if seen.unit == "share" and left <= reserve * WHOLE_PPM:
        return _told(seen, "reserve", f"has {left / 10_000:.0f} % left, which is kept for people")
    pace = window.burn.pace(now_ms, _step(seen))
    horizon_ms = min(SOON_MS, max(SOONEST_MS, (seen.length_ms or 0) // 10))
    gone_ms = now_ms + left / pace.mean if pace.mean else None
    if gone_ms is None or gone_ms - now_ms > horizon_ms or gone_ms >= (seen.resets_ms or gone_ms + 1):
        return None
    return _told(seen, "soon", f"will be used up in {round((gone_ms - now_ms) / 1000)} s at this pace")


def _told(seen: LimitSeen, kind: Literal["out", "reserve", "soon"], words: str) -> Exhausting:
    text = f"its limit '{seen.window}' {words}"
    return Exhausting(window=seen.window, kind=kind, until_ms=seen.resets_ms, text=text)


def view(provider: str, model: str, window: Window, now_ms: int, reserve: float) -> LimitView:
    """As it stands at `now_ms`."""
    seen, left = window.seen, left_now(window, now_ms)
    filled = seen.resets_ms is not None and now_ms >= seen.resets_ms
    pace = window.burn.pace(now_ms, _step(seen))
    resets_ms = None if filled else seen.resets_ms
    return LimitView(
        provider=provider,
        model=model,
        window=seen.window,
        unit=seen.unit,
        left=left,
        limit=seen.limit,
        resets_ms=resets_ms,
        status="" if filled else seen.status,
        seen_ms=window.at_ms,
        reserve=round(reserve * WHOLE_PPM) if seen.unit == "share" else 0,
        used_per_hour=round(pace.mean * 3_600_000),
        gone_ms=_gone(left, pace.mean, now_ms, resets_ms),
        gone_early_ms=_gone(left, pace.high, now_ms, resets_ms),
        gone_late_ms=_gone(left, pace.low, now_ms, resets_ms),
    )


def _gone(left: int | None, pace: float, now_ms: int, resets_ms: int | None) -> int | None:
    if left is None or not pace:
        return None
    gone_ms = now_ms + round(left / pace)
    return None if resets_ms is not None and gone_ms >= resets_ms else gone_ms


def _step(seen: LimitSeen) -> int:
    return SHARE_STEP if seen.unit == "share" else 1
