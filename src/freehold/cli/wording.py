"""Numbers and times as people read them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from freehold.core.errors import FreeholdError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_AGO = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def plain(text: object) -> str:
    """Text that may be shown in a terminal: what a client sent must not steer it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def dollars(nanos: int) -> str:
    """Nano-USD as dollars: rounded to cents from $10 on, every digit below, so that no small cost is lost."""
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos >= 10**10:
        cents = (nanos + 5 * 10**6) // 10**7
        return f"{sign}${cents // 100:,}.{cents % 100:02d}"
    digits = f"{nanos % 10**9:09d}".rstrip("0")
    return f"{sign}${nanos // 10**9}.{digits:0<2}"


def roughly(nanos: int) -> str:
    """As `dollars`, of a figure that nobody knows to the last digit."""
    step = 10 ** max(0, len(str(abs(nanos))) - 3)
    return dollars((nanos + step // 2) // step * step)


def many(count: int, noun: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cost(nanos: int, state: str, *, with_state: bool = False) -> str:
    """A call's cost as far as it is known: `$0.0012`, `~$0.0012` for an estimate, `?`, `free`."""
    if state in ("unknown", "free"):
        return {"unknown": "unknown" if with_state else "?", "free": "free"}[state]
    amount = f"{'~' if state == 'estimated' else ''}{dollars(nanos)}"
    return f"{amount}, {state}" if with_state else amount


def duration(microseconds: int) -> str:
    """A time span, at most four digits: `850 µs`, `12.3 ms`, `4.20 s`, `3 min 5 s`."""
    if microseconds < 1_000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    if microseconds < 60_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    return long_duration(microseconds // 1_000_000)


def long_duration(seconds: int) -> str:
    """A time span in its two largest units: `3 min 5 s`, `2 d 4 h`."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"


def megabytes(count: int) -> str:
    """Bytes in the unit in which people compare memory."""
    return f"{count / 1e6:,.1f} MB"


def clock_time(milliseconds: int, zone: tzinfo | None = None) -> str:
    """A moment in `zone` (default: the machine's), to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def moment_ms(text: str, now_ms: int) -> int:
    """A moment that a person names: `2h` (ago), `7d`, `2026-07-01`, `2026-07-01T12:00+02:00`.

    Without a zone, UTC. Raises FreeholdError when it is none of these.
    """
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _UNIT_S[ago[2]] * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FreeholdError(
            f"{text!r} is not a time; expected an age such as 30m, 2h, 7d, or a date such as 2026-07-01 "
            "or 2026-07-01T12:00"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
