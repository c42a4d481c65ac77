"""The `budgets:` part of `freehold.yaml`: how much may be spent, by whom, in what time.

Values and the rules over them. What a budget does is `costs.budgets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from freehold.core.config_server_checks import Problem
from freehold.core.errors import ConfigError
from freehold.core.quantities import parse_duration_s

KINDS = ("provider", "model", "project", "agent", "session", "task", "key")
"""What a budget may be for, beside `all`."""
CALENDAR = ("total", "hour", "day", "week", "month")
"""Windows by name; any other is a duration, and rolls."""
SHORTEST_S, LONGEST_S = 60.0, 366 * 86_400.0
DECIMALS = 9

Usd = Annotated[float, Meta(ge=0, le=1e9)]


class BudgetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be spent in a window. Several that fit a call hold all together."""

    scope: Annotated[
        str,
        Meta(
            description="Whose spending: `all`, or `KIND:NAME` with the kinds provider, model, project, "
            "agent, session, task and key. With `*` as the name each one has the limit for itself; calls "
            "that name none share one.",
            examples=["all", "provider:openai", "model:openai/gpt-5", "agent:*", "key:4f0c1a2b"],
        ),
    ]
    limit_usd: Annotated[
        Usd, Meta(description="US dollars for each window, with at most nine decimals.", examples=[30, 0.5])
    ]
    window: Annotated[
        str,
        Meta(
            description="`total`, or a part of the calendar: `hour`, `day`, `week` (from Monday), `month`; "
            "or a duration, which rolls: `24h` always looks at the last 24 hours.",
            examples=["month", "day", "24h", "30d", "total"],
        ),
    ] = "month"
    time_zone: Annotated[
        str,
        Meta(
            description="Where days, weeks and months begin at midnight: a name of the IANA table.",
            examples=["Europe/Vienna"],
        ),
    ] = "UTC"
    hard: Annotated[
        bool,
        Meta(
            description="The limit is never passed: the dearest that a call can become is held before it is "
            "sent, and one that does not fit is not sent. Otherwise the limit is only watched."
        ),
    ] = True
    on_limit: Annotated[
        Literal["refuse", "degrade", "ask"] | None,
        Meta(
            description="What happens to a call that does not fit: `refuse` it, `degrade` it to a cheaper "
            "tier, or `ask` a person. Where nothing is said, a hard budget refuses, and one that is not hard "
            "does nothing. One that is not hard acts once its limit is spent."
        ),
    ] = None
    notify: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1000)], ...],
        Meta(description="Percent of the limit at which it is told, once for each window."),
    ] = (50, 80, 100)
    ceiling_usd_per_call: Annotated[
        Usd | None,
        Meta(
            description="What a call without a known price is taken to cost. Without it, a hard budget "
            "refuses such calls."
        ),
    ] = None

    @property
    def label(self) -> str:
        """What it is called in messages: no two budgets have the same."""
        return f"{self.scope} per {self.window}" if self.window != "total" else f"{self.scope} in total"


def nanos_of(usd: float) -> int:
    """US dollars as they were written, not as their binary value, in integer nano-USD.

    Raises ConfigError for more than nine decimals.
    """
    scaled = Decimal(str(usd)).scaleb(DECIMALS)
    if scaled != int(scaled):
        raise ConfigError(f"{usd} USD has more than {DECIMALS} decimals")
    return int(scaled)


def window_ms(window: str) -> int | None:
    """The length of a rolling window in milliseconds; None for one of `CALENDAR`. Raises ConfigError."""
    if window in CALENDAR:
        return None
    try:
        seconds = parse_duration_s(window)
    except ConfigError:
        raise ConfigError(f"'{window}' is no window; write {', '.join(CALENDAR)}, 24h or 30d") from None
    if re.fullmatch(r"[\d.\s]+", window):
        raise ConfigError(f"'{window}' has no unit; write it like {window.strip()}h or {window.strip()}d")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ConfigError("a window is a minute at least and 366 days at most; write total for no end")
    return round(seconds * 1000)


def budget_problems(budgets: Sequence[BudgetConfig]) -> Iterator[Problem]:
    """Every broken rule, in the order of the budgets."""
    seen: dict[str, int] = {}
    for position, budget in enumerate(budgets):
        path = ("budgets", position)
        first = seen.setdefault(budget.label, position)
        if first != position:
            yield Problem(path, f"is for the same as budgets[{first}]: {budget.label}; keep one of them")
        for key, problem in _broken(budget):
            yield Problem((*path, key), problem)


def _broken(budget: BudgetConfig) -> Iterator[tuple[str, str]]:
    if problem := _scope_problem(budget.scope):
        yield "scope", problem
    for key, usd in (("limit_usd", budget.limit_usd), ("ceiling_usd_per_call", budget.ceiling_usd_per_call)):
        try:
            nanos_of(usd or 0)
        except ConfigError as error:
            yield key, error.message
    try:
        window_ms(budget.window)
    except ConfigError as error:
        yield "window", error.message
    try:
        ZoneInfo(budget.time_zone)
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        yield "time_zone", "is no time zone that this machine knows; write it like Europe/Vienna"


def _scope_problem(scope: str) -> str | None:
    kind, colon, name = scope.partition(":")
    if scope == "all":
        return None
    if not colon or kind not in KINDS:
        return f"'{scope}' is no scope; write all, or KIND:NAME with one of {', '.join(KINDS)}"
    if not name.strip() or name != name.strip():
        return f"names no {kind}; write {kind}:NAME, or {kind}:* for each one"
    return None
