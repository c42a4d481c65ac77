"""Errors shared by all rooms.

Two kinds live here. Exceptions stop an operation (a configuration that cannot be read).
`CallError` is a *value*: how one client call failed, free of any dialect; `dialects.errors`
turns it into the exact envelope that a client of a dialect expects.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ErrorKind = Literal[
    "invalid_request",  # 400
    "authentication",  # 401
    "billing",  # 402
    "permission",  # 403
    "not_found",  # 404
    "method_not_allowed",  # 405
    "timeout",  # 408 (client too slow) or 504 (upstream too slow)
    "conflict",  # 409
    "too_large",  # 413
    "rate_limit",  # 429
    "internal",  # 500
    "unsupported",  # 501
    "upstream",  # 502
    "overloaded",  # 503 or 529
]


class FreeholdError(Exception):
    """Base of every exception that Freehold raises on purpose; the text is for the person who sees it."""


class ConfigError(FreeholdError):
    """The configuration cannot be used.

    `file` and `line` (1-based) say where, `key` is the dotted path of the offending key, and
    `nearest` the closest valid spelling when the key is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        nearest: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.nearest = nearest
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        named = f"{key}: " if key else ""
        hint = f" Did you mean '{nearest}'?" if nearest else ""
        super().__init__(f"{where}{named}{message}{hint}")


class CallError(msgspec.Struct, frozen=True, kw_only=True):
    """How a call failed, in no dialect.

    `source` tells who failed: "freehold" (we refused or broke) or "upstream" (the model's server
    or provider did). `retry_after_s` is a hint for the client, in seconds.
    """

    kind: ErrorKind
    status: int
    message: str
    source: Literal["freehold", "upstream"] = "freehold"
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
