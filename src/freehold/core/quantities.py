"""Sizes and durations as people write them: `4GiB`, `15m`. Pure."""

from __future__ import annotations

import re

from freehold.core.errors import ConfigError

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]i?B?|B)?", re.IGNORECASE)
_TIME = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d|y)?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "y": 31_536_000.0}


def parse_bytes(text: str) -> int:
    """`4GiB`, `512 MiB`, `2G` (binary, as memory is counted), `4GB` (decimal), `1024`. Raises ConfigError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"'{text}' is no size; write it like 4GiB, 512MiB or 2000000000")
    unit = (found["unit"] or "").lower()
    power = _POWERS[unit[0] if unit and unit[0] in _POWERS else ""]
    base = 1000 if unit.endswith("b") and "i" not in unit and power else 1024
    return round(float(found["number"]) * base**power)


def parse_duration_s(text: str) -> float:
    """`15m`, `30s`, `2h`, `1d`, `4y` (of 365 days), `250ms`, `90` (seconds). Raises ConfigError."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"'{text}' is no duration; write it like 30s, 15m or 2h")
    return float(found["number"]) * _SECONDS[found["unit"] or "s"]


def bytes_words(count: int) -> str:
    """`3.2 GiB`, `512 MiB`: as short as it stays exact enough to plan with."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def duration_words(seconds: float) -> str:
    """`0.4 s`, `12 s`, `15 min`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86_400
    if minutes < 120:
        return f"{minutes:.0f} min"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"
