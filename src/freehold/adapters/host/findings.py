"""What the doctor says: one finding per thing looked at, with what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "info", "warn", "fail"]
"""ok: as it should be. info: worth knowing. warn: works, but will hurt. fail: does not work."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`area` groups findings (`ports`, `disk`, ...); `title` is one line; `detail` is what was seen;
    `advice` is what to do, empty when nothing is."""

    level: Level
    area: str
    title: str
    detail: str = ""
    advice: str = ""


def worst(findings: list[Finding]) -> Level:
    """The gravest level among them; "ok" for none."""
    gravest_first: tuple[Level, ...] = ("fail", "warn", "info")
    for level in gravest_first:
        if any(each.level == level for each in findings):
            return level
    return "ok"
