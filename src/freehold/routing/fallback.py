"""What to do when an attempt failed before the client saw a byte: again, elsewhere, or give up.

Pure: the caller says what happened and how much time is gone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RETRYABLE_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Both vendors' SDKs retry 408, 409, 429 and >= 500; 501 and 505 say "never", so they are left out."""

ELSEWHERE_STATUSES = RETRYABLE_STATUSES | {401, 402, 403, 404}
"""A bad key, an empty account or a missing model at one place says nothing about the next place.
A 400, 413 or 422 does: the request itself is at fault and is never sent again."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on trying again. All times in seconds, counted from the start of the call."""

    tries_per_deployment: int = 2
    tries_total: int = 6
    patience_s: float = 60.0
    """No new attempt starts later than this."""
    longest_wait_s: float = 5.0
    """A `retry-after` beyond this is passed to the client instead of waited for."""
    backoff_s: float = 0.25


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failed attempt. `status` 0: no HTTP answer came back (connect error, cut, time-out)."""

    status: int
    retry_after_s: float | None = None
    final_here: bool = False
    """The upstream said that the same place will not do better (`x-should-retry: false`, quota gone)."""
    timed_out: bool = False
    too_long: bool = False
    """The prompt does not fit there: it may at the next place."""


class Next(msgspec.Struct, frozen=True):
    """`retry`: the same place after `wait_s`; `elsewhere`: the next candidate; `stop`: tell the client."""

    action: Literal["retry", "elsewhere", "stop"]
    wait_s: float = 0.0


def after_failure(
    failure: Failure, *, policy: Policy, tries_here: int, tries: int, more: bool, elapsed_s: float
) -> Next:
    """Decide. `more`: another candidate is left; `tries_here`, `tries`: attempts made so far.

    1. the request is at fault, or patience or tries are used up: stop
    2. another candidate is left: go there at once
    3. the same place may do better soon: wait what it asked for, within bounds
    """
    allowed = failure.status == 0 or failure.status in ELSEWHERE_STATUSES or (failure.too_long and more)
    if not allowed or tries >= policy.tries_total or elapsed_s >= policy.patience_s:  # 1
        return Next("stop")
    if more:  # 2
        return Next("elsewhere")
    worth_it = failure.status == 0 or failure.status in RETRYABLE_STATUSES
    if not worth_it or failure.final_here or failure.timed_out or tries_here >= policy.tries_per_deployment:
        return Next("stop")
    wait_s = (
        failure.retry_after_s
        if failure.retry_after_s is not None
        else policy.backoff_s * 2 ** (tries_here - 1)
    )
    if wait_s > policy.longest_wait_s or elapsed_s + wait_s > policy.patience_s:
        return Next("stop")
    return Next("retry", wait_s)  # 3
