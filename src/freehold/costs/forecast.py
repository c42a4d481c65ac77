"""What a month will have cost at its end, from the days until now. Pure.

A day's cost is (level + trend x day) x the habit of its weekday. The habit is that weekday's mean over all
days' mean, drawn towards 1 while few such days are known; level and trend are the least squares of that, the
trend only where two weeks are known. The band is the usual one of a regression's prediction: nine times of
ten the month ends in it, if it goes on like this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

HISTORY_DAYS = 56
"""Older days tell little about the next."""
TREND_DAYS = 14
HABIT_DAYS = 1.0
"""Days at the mean that are counted to each weekday, so that one odd Tuesday is no habit."""
BAND = 1.645


class Day(msgspec.Struct, frozen=True):
    """A whole day's cost, in nano-USD."""

    day: date
    nanos: int


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-USD at the end of the month, with the ends of the error band."""

    spent_nanos: int
    expected_nanos: int
    low_nanos: int
    high_nanos: int
    until: date
    """The last day of the month."""
    known_days: int
    """Whole days that it was made from."""


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """The day that is under way: its cost until now, and how much of it has passed (0 to 1)."""

    day: date
    nanos: int
    share: float


class _Line(msgspec.Struct, frozen=True):
    """What is usual: a line over the days before, the weekdays' habits, and how far days stray from both."""

    level: float
    trend: float
    middle: float
    habits: tuple[float, ...]
    deviation: float
    weight: float
    """Squared habits of all days, summed: how sure the level is."""
    spread: float
    """The same, times squared distances from the middle: how sure the trend is; 0 without one."""


def forecast(before: Sequence[Day], today: Today, last: date) -> Forecast:
    """The month that ends with `last` and has today in it.

    `before` are whole days in order, without gaps, days without cost included; those of this month count as
    spent.
    """
    spent = today.nanos + sum(each.nanos for each in before if _same_month(each.day, last))
    known = before[-HISTORY_DAYS:]
    if not known:
        return _by_today_alone(today, last, spent)
    line = _line(known)
    ahead = [(0.0, today.day, 1 - today.share)]
    ahead += [(float(n), today.day + timedelta(days=n), 1.0) for n in range(1, (last - today.day).days + 1)]
    weights = [line.habits[day.weekday()] * share for _, day, share in ahead]
    distances = [len(known) + offset - line.middle for offset, _, _ in ahead]
    pairs = list(zip(weights, distances, strict=True))
    mean = sum(weight * max(0.0, line.level + line.trend * distance) for weight, distance in pairs)
    variance = sum(share for _, _, share in ahead) + sum(weights) ** 2 / line.weight
    if line.spread:
        variance += sum(weight * distance for weight, distance in pairs) ** 2 / line.spread
    error = BAND * line.deviation * math.sqrt(variance)
    return Forecast(
        spent_nanos=spent,
        expected_nanos=spent + round(mean),
        low_nanos=spent + round(max(0.0, mean - error)),
        high_nanos=spent + round(mean + error),
        until=last,
        known_days=len(known),
    )


def _line(known: Sequence[Day]) -> _Line:
    count = len(known)
    costs = [float(each.nanos) for each in known]
    habits = _habits(known, sum(costs) / count)
    own = [habits[each.day.weekday()] for each in known]
    weight = sum(habit * habit for habit in own)
    middle = sum(at * habit * habit for at, habit in enumerate(own)) / weight
    level = sum(habit * cost for habit, cost in zip(own, costs, strict=True)) / weight
    spread = trend = 0.0
    if count >= TREND_DAYS:
        spread = sum((habit * (at - middle)) ** 2 for at, habit in enumerate(own))
        trend = sum(own[at] * cost * (at - middle) for at, cost in enumerate(costs)) / spread
    strays = [cost - own[at] * (level + trend * (at - middle)) for at, cost in enumerate(costs)]
    freedom = count - (2 if spread else 1)
    # A single day tells nothing about how days differ: then they may differ by as much as it cost.
    deviation = math.sqrt(sum(stray**2 for stray in strays) / freedom) if freedom > 0 else level
    return _Line(level, trend, middle, habits, deviation, weight, spread)


def _habits(known: Sequence[Day], mean: float) -> tuple[float, ...]:
    if not mean:
        return (1.0,) * 7
    habits: list[float] = []
    for weekday in range(7):
        costs = [each.nanos for each in known if each.day.weekday() == weekday]
        habits.append((sum(costs) + HABIT_DAYS * mean) / (len(costs) + HABIT_DAYS) / mean)
    return tuple(habits)


def _by_today_alone(today: Today, last: date, spent: int) -> Forecast:
    """On the first day, by its pace; the truth may be anything from nothing more to twice as much more."""
    rest = 1 - today.share + (last - today.day).days
    more = round(today.nanos / max(today.share, 1 / 24) * rest)
    return Forecast(
        spent_nanos=spent,
        expected_nanos=spent + more,
        low_nanos=spent,
        high_nanos=spent + 2 * more,
        until=last,
        known_days=0,
    )


def _same_month(one: date, other: date) -> bool:
    return (one.year, one.month) == (other.year, other.month)
