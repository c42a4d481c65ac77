"""Free-form tool input that travels upstream as the JSON object `{"input": text}`.

`ToolOrigin` kind "custom": the upstream knows only functions with JSON arguments, the client waits
for plain text.
"""

from __future__ import annotations

import json
import re

from freehold.dialects.arguments import custom_input

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')

# As much of a JSON string's inside as can be decoded for certain: no lone backslash at the end, no
# high surrogate before it is known whether its other half follows.
_SAFE = re.compile(
    r'(?:[^"\\]+|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[0-9a-fA-F]{4}|(?=[^\\]|\\[^u])))*"
)


class InputText:
    """Decodes the text while the arguments stream in, at any boundaries."""

    def __init__(self) -> None:
        self._raw: list[str] = []
        self._waiting = ""
        self._inside = False
        self._told: list[str] = []

    def feed(self, piece: str) -> str:
        """The text that `piece` makes certain; may be empty."""
        self._raw.append(piece)
        self._waiting += piece
        if not self._inside:
            head = _HEAD.match(self._waiting)
            if head is None:
                return ""
            self._inside = True
            self._waiting = self._waiting[head.end() :]
        safe = _SAFE.match(self._waiting)
        if safe is None or not safe.end():
            return ""
        # A half pair that stays alone cannot be encoded again; "?" stands in its place.
        text = json.loads(f'"{safe.group()}"', strict=False).encode("utf-8", "replace").decode()
        self._waiting = self._waiting[safe.end() :]
        self._told.append(text)
        return text

    def end(self) -> str:
        """The text that was still missing when the arguments ended."""
        told = "".join(self._told)
        raw = "".join(self._raw)
        whole = custom_input(raw)
        broken = self._inside and whole == raw  # cut off inside the text: what was told is all there is
        return "" if broken or not whole.startswith(told) else whole[len(told) :]
