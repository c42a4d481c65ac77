"""What may follow what in a model server's life, and what a death leads to. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from freehold.core.servers import RestartRules
from freehold.core.servers import ServerState as S

MOVES: dict[S, frozenset[S]] = {
    S.STOPPED: frozenset({S.STARTING}),
    S.STARTING: frozenset({S.LOADING, S.READY, S.STOPPING, S.STOPPED, S.BACKOFF, S.FAILED}),
    S.LOADING: frozenset({S.READY, S.STOPPING, S.STOPPED, S.BACKOFF, S.FAILED}),
    S.READY: frozenset({S.DRAINING, S.STOPPING, S.STOPPED, S.BACKOFF, S.FAILED}),
    S.DRAINING: frozenset({S.READY, S.STOPPING, S.STOPPED, S.BACKOFF, S.FAILED}),
    S.STOPPING: frozenset({S.STOPPED, S.FAILED}),
    S.BACKOFF: frozenset({S.STARTING, S.STOPPED, S.FAILED}),
    S.FAILED: frozenset({S.STARTING, S.STOPPED}),
}
"""Every allowed move; staying where one is, is none."""

WAITED_FOR = frozenset({S.STARTING, S.LOADING, S.BACKOFF})
"""States that end in READY or FAILED without anyone's order: waiting makes sense."""


class IllegalMoveError(Exception):
    """A fault in the owner of the states, never a user's."""


def check_move(current: S, wanted: S) -> S:
    """`wanted`, when it may follow `current`; raises `IllegalMoveError` otherwise."""
    if wanted not in MOVES[current]:
        raise IllegalMoveError(f"a server cannot go from {current} to {wanted}")
    return wanted


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a process that we did not order."""

    at_s: float
    """Monotonic seconds."""
    was_ready: bool
    by_itself: bool = True
    """It refused or hung, so the next try before it was ready will most likely end alike; False: somebody
    else's signal ended it."""
    sentence: str = ""
    """Why, for a person."""


class Retry(msgspec.Struct, frozen=True):
    delay_s: float


class GiveUp(msgspec.Struct, frozen=True):
    reason: str


def recent(deaths: Sequence[Death], rules: RestartRules) -> tuple[Death, ...]:
    """The deaths that count: those within the interval before the last one, oldest first."""
    if not deaths:
        return ()
    since_s = deaths[-1].at_s - rules.interval_s
    return tuple(death for death in deaths if death.at_s >= since_s)


def after_death(deaths: Sequence[Death], rules: RestartRules, chance: float) -> Retry | GiveUp:
    """What to do now that the last of `deaths` has happened. `chance` is a random number from 0 to 1.

    1. it refused, or hung, before it was ever ready, `tries_unready` times in a row: give up
    2. `tries` deaths within `interval_s`: give up
    3. otherwise: wait, `factor` times as long each time, a little longer by chance so that servers which
       died together do not come back together, and start again
    """
    counted = recent(deaths, rules)
    last = counted[-1]
    refusals = 0
    for death in reversed(counted):
        if death.was_ready or not death.by_itself:
            break
        refusals += 1
    if refusals >= rules.tries_unready:
        return GiveUp(f"{last.sentence} {_times('Tried', refusals)} without becoming ready.")
    if len(counted) >= rules.tries:
        return GiveUp(f"{last.sentence} {_times('Died', len(counted))} within {rules.interval_s:g} s.")
    delay_s = rules.first_delay_s * rules.factor ** (len(counted) - 1)
    return Retry(min(delay_s, rules.longest_delay_s) * (1 + rules.jitter * chance))


def _times(word: str, count: int) -> str:
    return f"{word} once" if count == 1 else f"{word} {count} times"
