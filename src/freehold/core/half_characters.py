"""Half characters in JSON: programs that count UTF-16 units cut texts in the middle of an emoji, and write
one half of its surrogate pair, which no strict reader takes (RFC 8259, 8.2)."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u([dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
"""A whole pair; a half (the group); any other escape, so that an escaped backslash begins none."""


def without_halves(data: bytes) -> bytes:
    """The same JSON with U+FFFD for each half."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)
