"""The facts of a death in the order in which the rules ask for them. Pure, no judgement."""

from __future__ import annotations

import signal

import msgspec

from freehold.core.deaths import Clue, DeathFacts, Order, SignalSeen
from freehold.core.quantities import bytes_words
from freehold.supervisor.postmortem.kernel_lines import (
    Fault,
    GpuError,
    OomKill,
    faults,
    gpu_errors,
    oom_kills,
)
from freehold.supervisor.postmortem.markers import Hit, read_markers

_CLOCKS_APART_MS = 250
"""How far the kernel's time of a signal may lie before the time that we wrote down."""
_JUST_BEFORE_MS = 60_000
_KEEPER = "freehold-keeper"
"""What the keeper process calls itself (`supervisor.keeper`)."""
_SHELL_SIGNALS = frozenset({1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 15, 24})
"""A shell reports a child ended by signal n as exit code 128 + n."""
ASKING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Signals that ask a program to end, and that it may answer with an exit code."""
CRASHES = frozenset({4, 6, 7, 8, 11})
"""ILL, ABRT, BUS, FPE, SEGV: what a program does to itself."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """`DeathFacts`, looked at once."""

    facts: DeathFacts
    signal: int | None
    """That ended it; also when a shell in between told it as an exit code."""
    by_shell: bool
    """The signal was told by a shell: 128 + n may also be the program's own code."""
    ordered: Order | None
    """Our first order that came before the death."""
    stranger: SignalSeen | None
    """The signal of another process that ended it, where that was seen and was not ours."""
    by_kernel: SignalSeen | None
    """The kernel's signal that ended it."""
    by_itself: bool
    """It was seen to send itself the signal that ended it."""
    hits: tuple[Hit, ...]
    """What its output says, already weighed against the way it ended."""
    oom_kills: tuple[OomKill, ...]
    faults: tuple[Fault, ...]
    gpu_errors: tuple[GpuError, ...]

    @property
    def program(self) -> str:
        return self.facts.program or self.facts.engine or "the program"

    @property
    def failed(self) -> bool:
        """It ended with an exit code that says failure."""
        return self.signal is None and bool(self.facts.exit.code)

    def hit(self, cause: str) -> Hit | None:
        """The weightiest thing that the output says for this cause."""
        return max((hit for hit in self.hits if hit.cause == cause), key=lambda hit: hit.weight, default=None)


def look(facts: DeathFacts) -> Scene:
    """Total: makes sense of any facts."""
    number, by_shell = _ended_by(facts)
    seen = _killing_signal(facts, number)
    itself = seen is not None and not seen.from_kernel and seen.sender_pid == facts.pid
    ordered = next((order for order in facts.orders if _before_death(facts, order.at_ms)), None)
    kernel = facts.host.kernel or ()
    return Scene(
        facts=facts,
        signal=number,
        by_shell=by_shell,
        ordered=ordered,
        stranger=seen if seen and not itself and not seen.from_kernel and not _ours(facts, seen) else None,
        by_kernel=seen if seen and seen.from_kernel else None,
        by_itself=itself,
        hits=read_markers(facts, number),
        oom_kills=oom_kills(kernel),
        faults=faults(kernel),
        gpu_errors=gpu_errors(kernel),
    )


def signal_name(number: int | None) -> str:
    """`SIGKILL`; `signal 99` when this machine has no name for it."""
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def clip(text: str, longest: int = 200) -> str:
    """Text for a sentence or a clue."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def size_words(count: int) -> str:
    """`60 MiB`, `3.2 GiB`: round numbers without their zero."""
    return bytes_words(count).replace(".0 ", " ")


def clue(source: str, text: str) -> Clue:
    return Clue(source=source, text=clip(text, 400))


def _ended_by(facts: DeathFacts) -> tuple[int | None, bool]:
    code = facts.exit.code
    if facts.exit.signal is None and code is not None and code - 128 in _SHELL_SIGNALS:
        return code - 128, True
    return facts.exit.signal, False


def _before_death(facts: DeathFacts, at_ms: int) -> bool:
    return facts.exit.died_ms <= 0 or at_ms <= facts.exit.died_ms


def _killing_signal(facts: DeathFacts, number: int | None) -> SignalSeen | None:
    """The first signal of the kind that ended it; for an exit code the newest one that asked it to end,
    unless that was long before. A signal after the death (the rest of its group is killed) is none."""
    seen = [
        one
        for one in facts.host.senders or ()
        if (facts.exit.died_ms <= 0 or one.at_ms <= facts.exit.died_ms + _CLOCKS_APART_MS)
        and not _swept(facts, one)
    ]
    if number is not None:
        fitting = [one for one in seen if one.signal == number]
        if fitting:
            return min(fitting, key=lambda one: one.at_ms)
    if number in (None, signal.SIGKILL) and facts.exit.keeper_lost:
        return next((one for one in seen if one.signal == signal.SIGKILL), None)
    if number is not None and not facts.exit.code:
        return None
    late = [one for one in seen if one.signal in ASKING]
    late = [one for one in late if facts.exit.died_ms - one.at_ms <= _JUST_BEFORE_MS]
    return min(late, key=lambda one: one.at_ms, default=None)


def _swept(facts: DeathFacts, seen: SignalSeen) -> bool:
    """A keeper that lives on writes its orders down. Without one it kills only the rest of a dead engine's
    group: within the same milliseconds, and the dead leader is of that group."""
    return (
        not facts.exit.keeper_lost
        and not seen.from_kernel
        and seen.signal == signal.SIGKILL
        and seen.sender_comm == _KEEPER
    )


def _ours(facts: DeathFacts, seen: SignalSeen) -> bool:
    return any(
        order.signal == seen.signal and order.at_ms <= seen.at_ms + _CLOCKS_APART_MS for order in facts.orders
    )
