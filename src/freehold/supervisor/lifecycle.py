"""What may follow what in a model server's life, and what a death leads to. Pure: values in, values out."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

import msgspec

from freehold.core.servers import ServerState as S

_ERROR = re.compile(r"^[\d.]+ E |error|failed|cannot|could ?n.t|assert|abort|out of memory", re.IGNORECASE)
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")

MOVES: dict[S, frozenset[S]] = {
    S.STOPPED: frozenset({S.STARTING}),
    S.STARTING: frozenset({S.LOADING, S.READY, S.STOPPING, S.STOPPED, S.BACKOFF, S.FAILED}),
    S.LOADING: frozenset({S.READY, S.STOPPING, S.BACKOFF, S.FAILED}),
    S.READY: frozenset({S.DRAINING, S.STOPPING, S.BACKOFF, S.FAILED}),
    S.DRAINING: frozenset({S.READY, S.STOPPING, S.BACKOFF, S.FAILED}),
    S.STOPPING: frozenset({S.STOPPED}),
    S.BACKOFF: frozenset({S.STARTING, S.STOPPED, S.FAILED}),
    S.FAILED: frozenset({S.STARTING, S.STOPPED}),
}
"""Every allowed move; staying where one is, is none."""

ALIVE = frozenset({S.STARTING, S.LOADING, S.READY, S.DRAINING, S.STOPPING})
"""States in which there is, or is about to be, a process."""

WAITED_FOR = frozenset({S.STARTING, S.LOADING, S.BACKOFF})
"""States that end in READY or FAILED without anyone's order: waiting makes sense."""


class IllegalMoveError(Exception):
    """A fault in the owner of the states, never a user's."""


def check_move(current: S, wanted: S) -> S:
    """`wanted`, when it may follow `current`; raises `IllegalMoveError` otherwise."""
    if wanted not in MOVES[current]:
        raise IllegalMoveError(f"a server cannot go from {current} to {wanted}")
    return wanted


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast a server that died is started again."""

    tries: int = 5
    """Deaths in a row after which it is given up."""
    tries_unready: int = 2
    """The same when it ended by itself or hung before it was ready: a bad model or flag gets no better."""
    first_delay_s: float = 0.25
    factor: float = 2.0
    longest_delay_s: float = 30.0
    forgive_after_s: float = 60.0
    """Deaths before a stretch of this many ready seconds are forgotten."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """One exit that we did not order."""

    exit_code: int
    """As the system gives it to Python: negative numbers are signals."""
    was_ready: bool
    ready_s: float = 0.0
    """How long it had been ready."""
    last_lines: tuple[str, ...] = ()
    hung_s: float | None = None
    """When we ended it because it was not ready: after how long."""


class Retry(msgspec.Struct, frozen=True):
    delay_s: float


class GiveUp(msgspec.Struct, frozen=True):
    reason: str


def recent(deaths: Sequence[Death], policy: RestartPolicy) -> tuple[Death, ...]:
    """The deaths that count: those since the last one after a long healthy stretch, oldest first."""
    start = 0
    for n, death in enumerate(deaths):
        if death.ready_s >= policy.forgive_after_s:
            start = n
    return tuple(deaths[start:])


def after_death(deaths: Sequence[Death], policy: RestartPolicy) -> Retry | GiveUp:
    """What to do now that the last of `deaths` has happened.

    1. it ended by itself, or hung, before it was ever ready, `tries_unready` times in a row: give up
    2. `tries` deaths in a row: give up
    3. otherwise: wait, twice as long each time, and start again
    """
    counted = recent(deaths, policy)
    refusals = 0
    for death in reversed(counted):
        if death.was_ready or (death.exit_code < 0 and death.hung_s is None):
            break
        refusals += 1
    reason = describe(counted[-1])
    if refusals >= policy.tries_unready:
        return GiveUp(f"{reason} Tried {refusals} times.")
    if len(counted) >= policy.tries:
        return GiveUp(f"{reason} Died {len(counted)} times in a row.")
    delay_s = policy.first_delay_s * policy.factor ** (len(counted) - 1)
    return Retry(min(delay_s, policy.longest_delay_s))


def describe(death: Death) -> str:
    """One sentence for a person: how it ended, when, and its last words."""
    when = "after it was ready" if death.was_ready else "before it was ready"
    words = "; ".join(telling_lines(death.last_lines))
    said = f" Its last words: {words.rstrip('.')}." if words else " It said nothing."
    if death.hung_s is not None:
        return f"Not ready after {death.hung_s:g} s, so Freehold ended it.{said}"
    return f"Ended with {exit_words(death.exit_code)} {when}.{said}"


def telling_lines(lines: Sequence[str], most: int = 2) -> list[str]:
    """The lines that say what went wrong: the first with an error in them (later ones tend to repeat it
    from further away), else the last ones. Engines' time stamps and levels are taken off."""
    errors = [line for line in lines if _ERROR.search(line)]
    chosen = errors[:most] if errors else lines[-most:]
    return [_STAMP.sub("", line).strip() for line in chosen]


def exit_words(code: int) -> str:
    """`exit code 1`, or `signal SIGKILL (9)` for a negative code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"signal {name} ({-code})"
