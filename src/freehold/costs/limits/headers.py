"""Limits in the headers of an answer, in the words of each provider. Pure.

    Anthropic API    anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}
    Anthropic plan   anthropic-ratelimit-unified-{5h,7d,...}-{utilization,reset,status}, and -status, -reset
    OpenAI, Groq     x-ratelimit-{limit,remaining,reset}-{requests,tokens}
    OpenRouter       x-ratelimit-{limit,remaining,reset}
    Codex            x-codex-{primary,secondary}-{used-percent,window-minutes,reset-at},
                     x-codex-credits-balance; windows of other models: x-NAME-{primary,secondary}-...
    all              retry-after

A reset is RFC 3339, a span such as `6m0s` or `120ms`, seconds or milliseconds since 1970, or seconds from
now. What cannot be read is left out; nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

Unit = Literal["requests", "tokens", "credits", "share"]
"""What is counted. A `share` is a part of a window whose size the provider does not tell."""
Status = Literal["", "allowed", "warning", "rejected"]

WHOLE_PPM = 1_000_000
"""A share of 1, in parts per million."""
RETRY = "retry-after"
"""Window of a provider that asked for patience."""


class LimitSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One window as one answer tells it. `limit` and `left` are in `unit`, shares in parts per million."""

    window: str
    """`requests`, `input-tokens`, `5h`, `7d`, ..."""
    unit: Unit
    left: int | None = None
    limit: int | None = None
    resets_ms: int | None = None
    length_ms: int | None = None
    """How long the window is, where that is known."""
    status: Status = ""
    of_account: bool = False
    """One window for all models; else it is the model's that answered."""
    binding: bool = True
    """Whether calls are refused once nothing is left of it. Not so: credits, and what is for other models."""


Fields = dict[bytes, bytes]

_OURS = (b"anthropic-ratelimit-", b"x-ratelimit-", b"x-codex-", b"retry-after")
_PERCENT = b"-used-percent"
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_LENGTHS: Mapping[str, int] = {"minute": _MINUTE_MS, "hour": _HOUR_MS, "day": _DAY_MS}
_SPAN = re.compile(rb"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_WINDOW = re.compile(r"(\d+)([hd])")
_UNIFIED = re.compile(rb"(.+)-(utilization|reset|status)")
_CODEX = re.compile(
    rb"x-(.+-)?(primary|secondary)-(used-percent|window-minutes|reset-at|reset-after-seconds)"
)
_API = re.compile(rb"(.+)-(limit|remaining|reset)")
_MOST = 10**15
_STATUSES: Mapping[bytes, Status] = {
    b"allowed": "allowed",
    b"allowed_warning": "warning",
    b"rejected": "rejected",
}


def read_limits(headers: Mapping[bytes, bytes], provider: str, now_ms: int) -> tuple[LimitSeen, ...]:
    """Every limit that `headers` (names in lower case) tell. Most answers of most providers tell none.

    `provider` is what the account is called here; of one with `groq` in its name it is known that requests
    are counted by the day and tokens by the minute.
    """
    told = {name: headers[name] for name in headers if name.startswith(_OURS) or name.endswith(_PERCENT)}
    if not told:
        return ()
    return tuple(_all(told, provider.lower(), now_ms))


def _all(told: Mapping[bytes, bytes], provider: str, now_ms: int) -> Iterator[LimitSeen]:
    api, unified, plain, codex = _sorted_out(told)
    for window, fields in api.items():
        yield _counted(window, fields, now_ms, None)
    yield from _plan(unified, now_ms)
    for window, fields in plain.items():
        yield _counted(window, fields, now_ms, _length(window, provider))
    for window, fields in codex.items():
        yield from _codex(window, fields, now_ms)
    balance = _number(told.get(b"x-codex-credits-balance", b""))
    if balance is not None:
        yield LimitSeen(window="credits", unit="credits", left=int(balance), of_account=True, binding=False)
    if b"retry-after" in told and (until := _retry_ms(told[b"retry-after"], now_ms)):
        yield LimitSeen(window=RETRY, unit="requests", left=0, resets_ms=until, status="rejected")


def _sorted_out(told: Mapping[bytes, bytes]) -> tuple[dict[str, Fields], ...]:
    """Headers by family, then by window, then by field."""
    api: dict[str, Fields] = {}
    unified: dict[str, Fields] = {}
    plain: dict[str, Fields] = {}
    codex: dict[str, Fields] = {}
    for name, value in told.items():
        if name.startswith(b"anthropic-ratelimit-unified-"):
            rest = name[28:]
            found = _UNIFIED.fullmatch(rest)
            window, part = found.groups() if found else (b"", rest)
            unified.setdefault(window.decode("latin-1"), {})[part] = value
        elif name.startswith(b"anthropic-ratelimit-"):
            if found := _API.fullmatch(name[20:]):
                api.setdefault(found[1].decode("latin-1"), {})[found[2]] = value
        elif name.startswith(b"x-ratelimit-"):
            part, _, window = name[12:].partition(b"-")
            plain.setdefault(window.decode("latin-1") or "requests", {})[part] = value
        elif found := _CODEX.fullmatch(name):
            window = ((found[1] or b"") + found[2]).decode("latin-1")
            codex.setdefault(window.removeprefix("codex-"), {})[found[3]] = value
    return api, unified, plain, codex


def _counted(window: str, fields: Fields, now_ms: int, length_ms: int | None) -> LimitSeen:
    return LimitSeen(
        window=window,
        unit="tokens" if "token" in window else "requests",
        left=_whole(fields.get(b"remaining", b"")),
        limit=_whole(fields.get(b"limit", b"")),
        resets_ms=reset_ms(fields.get(b"reset", b""), now_ms),
        length_ms=length_ms,
    )


def _plan(unified: dict[str, Fields], now_ms: int) -> Iterator[LimitSeen]:
    """Windows of an Anthropic subscription. The answer's own status counts where no window explains it."""
    whole = unified.pop("", {})
    rejected = False
    for window, fields in unified.items():
        status = _STATUSES.get(fields.get(b"status", b""), "")
        # Overage is rejected wherever it is not bought, also while all is well: that explains nothing.
        rejected = rejected or (status == "rejected" and window != "overage")
        used = _number(fields.get(b"utilization", b""))
        if used is None and not status:
            continue
        yield LimitSeen(
            window=window,
            unit="share",
            left=None if used is None else _left_ppm(used),
            limit=WHOLE_PPM,
            resets_ms=reset_ms(fields.get(b"reset", b""), now_ms),
            length_ms=_window_ms(window),
            status=status,
            of_account="_" not in window,  # 7d_oi is a week of one family of models
            binding=window != "overage",  # what may be spent beyond the plan
        )
    if not rejected and _STATUSES.get(whole.get(b"status", b"")) == "rejected":
        yield LimitSeen(
            window="plan",
            unit="share",
            left=0,
            limit=WHOLE_PPM,
            resets_ms=reset_ms(whole.get(b"reset", b""), now_ms),
            status="rejected",
            of_account=True,
        )


def _codex(window: str, fields: Fields, now_ms: int) -> Iterator[LimitSeen]:
    used = _number(fields.get(b"used-percent", b""))
    if used is None:
        return
    minutes = _whole(fields.get(b"window-minutes", b""))
    reset = reset_ms(fields.get(b"reset-at", b""), now_ms)
    after = _number(fields.get(b"reset-after-seconds", b""))
    if reset is None and after is not None:
        reset = now_ms + round(after * 1000)
    name = window.removesuffix("primary").removesuffix("secondary").rstrip("-")
    yield LimitSeen(
        window=f"{name} {_named(minutes, window)}".strip(),
        unit="share",
        left=_left_ppm(used / 100),
        limit=WHOLE_PPM,
        resets_ms=reset,
        length_ms=minutes * _MINUTE_MS if minutes else None,
        of_account=True,
        binding=not name,
    )


def _named(minutes: int | None, window: str) -> str:
    if not minutes:
        return window.rpartition("-")[2]
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}min"


def _length(window: str, provider: str) -> int | None:
    for word, length_ms in _LENGTHS.items():
        if window.endswith(word):
            return length_ms
    if "groq" in provider:
        return _DAY_MS if window == "requests" else _MINUTE_MS
    return None


def _window_ms(window: str) -> int | None:
    """`5h` and `7d`, also of `7d_oi`."""
    found = _WINDOW.match(window)
    return int(found[1]) * (_HOUR_MS if found[2] == "h" else _DAY_MS) if found else None


def reset_ms(value: bytes, now_ms: int) -> int | None:
    """The moment that a reset names, in whatever way; None when it cannot be read."""
    value = value.strip()
    number = _number(value)
    if number is not None:
        if number > 1e11:
            return int(number)
        return round(number * 1000) + (0 if number > 1e8 else now_ms)
    span = _SPAN.fullmatch(value) if value else None
    if span is not None:
        days, hours, minutes, seconds, millis = (float(part or 0) for part in span.groups())
        return now_ms + round(((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000 + millis)
    try:
        moment = datetime.fromisoformat(value.decode("ascii"))
    except ValueError:  # also of bytes that are no ASCII
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _retry_ms(value: bytes, now_ms: int) -> int | None:
    """RFC 9110: seconds, or a date."""
    seconds = _number(value)
    if seconds is not None:
        return now_ms + round(min(seconds, 1e8) * 1000)
    try:
        return round(parsedate_to_datetime(value.decode("ascii")).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _left_ppm(used: float) -> int:
    return max(0, WHOLE_PPM - round(used * WHOLE_PPM))


def _whole(value: bytes) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _number(value: bytes) -> float | None:
    """A number from 0; None for anything else."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST else None
