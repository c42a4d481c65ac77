"""Whether a server that was ready still works: what to look at next, and when it is judged hung. Pure.

Carried out by `supervisor.watch`. A server is looked at in two ways: its health endpoint (it answers), and
a deep probe that makes it generate one token (it works). Three bad answers in a row judge it; while calls
are under way, only if in addition nothing at all was heard for the stall time and it uses no processor
time: a slow server is not a hung one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Literal

import msgspec

Kind = Literal["health", "deep"]


class Health(enum.StrEnum):
    """What a server says of itself, or what became of asking it."""

    READY = "ready"
    LOADING = "loading"
    """It answers, and is not ready (503)."""
    SILENT = "silent"
    """It takes the connection and does not answer in time, or closes it without a word."""
    REFUSED = "refused"
    """Nobody listens."""
    ERROR = "error"
    """It answers that something is wrong, or not with HTTP."""
    NO_TOKENS = "no tokens"
    """It answers health, and does not generate."""
    BROKEN = "broken"
    """It answers health, and that it failed when it is asked to generate (5xx)."""
    UNABLE = "unable"
    """It says that it does not generate at all: an embedding model. Nothing against it."""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a server that was ready."""

    at_s: float
    """Monotonic seconds, when the answer was there or given up."""
    kind: Kind = "health"
    result: Health
    cpu_s: float | None = None
    """Processor time that its processes have used since their start; None where nobody can tell."""


class LiveRules(msgspec.Struct, frozen=True, kw_only=True):
    """How a ready server is looked at."""

    probe_every_s: float = 5.0
    retry_every_s: float = 1.0
    """Between looks after a bad one."""
    deep_every_s: float = 60.0
    """Without any call that went well, for so long, it is asked for one token."""
    bad_in_a_row: int = 3
    cpu_share: float = 0.02
    """Of one core: less than this is no progress; waiting servers also wake up now and then."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a ready server at one moment. All times in monotonic seconds."""

    now_s: float
    ready_s: float
    """When it became ready."""
    worked_s: float
    """When a call last went well; `ready_s` before the first."""
    probes: Sequence[Probed] = ()
    """Oldest first."""
    silent_since_s: float | None = None
    """The oldest sign of work among the calls under way; None while there are none."""
    suspect_s: float | None = None
    """When a call last broke."""
    can_generate: bool = False
    """There is a deep probe."""
    stall_timeout_s: float = 120.0


class Look(msgspec.Struct, frozen=True):
    """Probe it now."""

    kind: Kind


class Rest(msgspec.Struct, frozen=True):
    """Nothing to do for so long, unless something happens."""

    seconds: float


class Hung(msgspec.Struct, frozen=True):
    """End it."""

    reason: str


def judge(pulse: Pulse, rules: LiveRules) -> Look | Rest | Hung:
    """What to do now with a server that was ready."""
    streak = _bad_streak(pulse)[-rules.bad_in_a_row :]
    if len(streak) == rules.bad_in_a_row and (_is_idle(pulse) or _stalled(pulse, streak, rules)):
        return Hung(_reason(pulse, streak))
    due_s, kind = _next_look(pulse, streak, rules)
    if due_s <= pulse.now_s:
        return Look(kind)
    return Rest(min(due_s - pulse.now_s, rules.probe_every_s))


def _next_look(pulse: Pulse, streak: Sequence[Probed], rules: LiveRules) -> tuple[float, Kind]:
    """When, and how."""
    last = pulse.probes[-1] if pulse.probes else None
    last_s = max(pulse.ready_s, last.at_s) if last else pulse.ready_s
    if pulse.suspect_s is not None and last_s < pulse.suspect_s:
        return pulse.suspect_s, "health"
    if streak:
        return last_s + rules.retry_every_s, streak[-1].kind
    if pulse.silent_since_s is None:
        if pulse.can_generate and (due_s := _deep_due_s(pulse, rules)) <= pulse.now_s:
            return due_s, "deep"
        return last_s + rules.probe_every_s, "health"
    stalled_s = pulse.silent_since_s + pulse.stall_timeout_s
    if last_s < stalled_s:
        return stalled_s, "health"
    if pulse.can_generate and last is not None and last.kind == "health":
        return last_s, "deep"
    return last_s + rules.probe_every_s, "health"


def _deep_due_s(pulse: Pulse, rules: LiveRules) -> float:
    """A broken call is a reason to ask at once; else a long time in which nothing is known to have worked."""
    asked_s = max((probed.at_s for probed in pulse.probes if probed.kind == "deep"), default=pulse.ready_s)
    known_s = max(asked_s, pulse.worked_s)
    if pulse.suspect_s is not None and pulse.suspect_s > known_s:
        return pulse.suspect_s
    return known_s + rules.deep_every_s


def _bad_streak(pulse: Pulse) -> list[Probed]:
    """The newest bad probes of one kind in a row, oldest first. A good health probe says nothing against bad
    deep ones; a token, or a call that went well, says everything."""
    health: list[Probed] = []
    deep: list[Probed] = []
    health_ended = False
    for probed in reversed(pulse.probes):
        good = probed.result is Health.READY
        if probed.at_s <= pulse.worked_s or (good and probed.kind == "deep"):
            break
        if good:
            health_ended = True
        elif probed.kind == "deep":
            deep.append(probed)
        elif not health_ended:
            health.append(probed)
    return (health or deep)[::-1]


def _is_idle(pulse: Pulse) -> bool:
    return pulse.silent_since_s is None


def _stalled(pulse: Pulse, streak: Sequence[Probed], rules: LiveRules) -> bool:
    """Calls are under way, none was seen to move for the stall time, and neither does the processor time."""
    assert pulse.silent_since_s is not None
    if pulse.now_s - pulse.silent_since_s < pulse.stall_timeout_s:
        return False
    first, last = streak[0], streak[-1]
    if first.cpu_s is None or last.cpu_s is None:
        return True
    return last.cpu_s - first.cpu_s < rules.cpu_share * (last.at_s - first.at_s)


def _reason(pulse: Pulse, streak: Sequence[Probed]) -> str:
    """For a person; goes into the certificate."""
    words = {
        Health.SILENT: "it took the connection and did not answer",
        Health.REFUSED: "nobody listened on its port any more",
        Health.LOADING: "it said again that it was loading",
        Health.ERROR: "its health endpoint answered with an error",
        Health.NO_TOKENS: "it answered its health endpoint and generated nothing",
        Health.BROKEN: "it had generated before, and now answered only with errors",
        Health.UNABLE: "",
        Health.READY: "",
    }[streak[-1].result]
    asked = f"{words}, {len(streak)} times in a row"
    if pulse.silent_since_s is None:
        return asked
    silent_s = pulse.now_s - pulse.silent_since_s
    return f"{asked}, and a call had shown no sign of work for {silent_s:.0f} s"
