"""How well answers did: chances by kind of task and deployment, and how an outcome changes them. Pure.

A chance is a Beta distribution: what is usual for the tier counts as `STRENGTH` outcomes, then every real one
is added with its weight. Answers that were sent up are told of only when they were bad, so they are no
outcomes beside the others: their share of all answers lowers the chance. That is the whole model where nobody
trained a better one (`routing.learn`), and the start of every deployment that nobody has tried. Keeping
beliefs on disk is `app.outcomes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from freehold.core.config_routing import Tier
from freehold.routing.world import Belief

STRENGTH = 6.0
"""Outcomes that the usual chance of a tier counts for."""
MOST = 200.0
"""Outcomes that are remembered of one pair; with more, the old ones fade: models and habits change."""
ELSEWHERE = 0.3
"""Of a deployment's outcomes in other kinds of task, so much counts for one that it was not tried in."""
FOUND = 0.35
"""Of answers that are not good enough, so many are noticed by `escalate` and asked again one tier up."""
CHECKED, COMPARED = 0.8, 0.6
"""The same where a validator looks at them, and where the answers of two places are compared."""

Source = Literal["person", "validator", "judge", "retry", "escalation"]
WEIGHTS: Mapping[Source, float] = {
    "person": 1.0,
    "validator": 1.0,
    "judge": 0.7,
    "retry": 0.1,
    "escalation": 1.0,
}
"""How much one outcome says, by who says it. A retry may have another reason, and nobody says so when there
is none: it takes several before a kind of task goes elsewhere, and about twenty after ten good answers."""
TOLD_BOTH_WAYS: frozenset[Source] = frozenset({"person", "validator", "judge"})
"""Who says good as well as bad: only from these can be learned what a place does with single prompts."""
WENT_ON = 0.01
"""So much of a good outcome is an answer after which its session asks something else, where anything was said
of the place before: retries count by how often they come, not by how long a house has been running."""

_USUAL: Mapping[str, tuple[float, float, float]] = {
    "heartbeat": (0.97, 0.98, 0.98),
    "classify": (0.91, 0.94, 0.95),
    "extract": (0.90, 0.94, 0.95),
    "summarise": (0.90, 0.93, 0.95),
    "translate": (0.88, 0.93, 0.95),
    "rewrite": (0.90, 0.93, 0.94),
    "chat": (0.89, 0.92, 0.93),
    "write": (0.86, 0.91, 0.94),
    "data": (0.80, 0.89, 0.92),
    "question": (0.78, 0.87, 0.92),
    "tool": (0.78, 0.88, 0.92),
    "code": (0.76, 0.87, 0.92),
    "maths": (0.74, 0.88, 0.93),
    "reason": (0.68, 0.83, 0.91),
    "review": (0.62, 0.80, 0.91),
    "plan": (0.62, 0.81, 0.91),
    "strategy": (0.58, 0.78, 0.91),
}
_OTHER = (0.84, 0.89, 0.92)
_ALIKE = {
    "summarize": "summarise", "summary": "summarise", "extraction": "extract", "classification": "classify",
    "translation": "translate", "coding": "code", "math": "maths", "planning": "plan", "qa": "question",
    "knowledge": "question", "reasoning": "reason", "logic": "reason", "tools": "tool", "agent": "tool",
    "edit": "rewrite", "writing": "write",
}  # fmt: skip
"""Chances that an answer is good, for local, balanced and premium: guesses, made so that a house without any
outcomes keeps everyday work local and sends up what small models are known to fail at (knowledge, long
reasoning, judgement). They weigh `STRENGTH` outcomes and are soon outvoted."""


def kind_of(task: str) -> str:
    """A kind of task as it is called here, however it is spelled."""
    word = task.strip().lower()
    return _ALIKE.get(word, word)


def usual(task: str, tier: Tier) -> Belief:
    """The chance of a deployment of which nothing is known but its tier."""
    row = _USUAL.get(kind_of(task), _OTHER)
    mean = row[("local", "balanced", "premium").index(tier)]
    return Belief(mean, _deviation(mean, STRENGTH), 0.0)


class Tally(msgspec.Struct, omit_defaults=True):
    """Weighted good and bad outcomes of one deployment in one kind of task."""

    good: float = 0.0
    bad: float = 0.0
    raised: float = 0.0
    given: float = 0.0
    """Answers that were sent up; and those that were given, counted from the first that was sent up."""

    @property
    def trials(self) -> float:
        return self.good + self.bad + self.raised


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one answer did. `score` is 0 to 1."""

    task: str
    deployment: str
    score: float
    source: Source = "person"
    receipt: str = ""


class Beliefs:
    """Tallies by kind of task and deployment; the one owner updates in place.

    An outcome of the same receipt and place from the same source replaces the one before: who thinks again
    has not seen two answers. The newest few thousand are remembered for that.
    """

    REMEMBERED = 4096
    KINDS = 256
    """Clients make up kinds of task, so there is a bound: the one longest without an outcome goes."""

    def __init__(self, tallies: Mapping[str, Mapping[str, Tally]] | None = None) -> None:
        self._tallies = {task: dict(row) for task, row in (tallies or {}).items()}
        self._all: dict[str, Tally] = {}
        """By deployment, over all kinds of task."""
        for row in self._tallies.values():
            for name, tally in row.items():
                self._count(self._all.setdefault(name, Tally()), tally)
        self._said: dict[tuple[str, str, Source], Outcome] = {}

    @property
    def tallies(self) -> Mapping[str, Mapping[str, Tally]]:
        """By kind of task, then by deployment."""
        return self._tallies

    def learn(self, outcome: Outcome) -> bool:
        """Count one outcome in. False: it takes the place of an earlier one."""
        before = None
        if outcome.receipt:
            key = (outcome.receipt, outcome.deployment, outcome.source)
            before = self._said.pop(key, None)
            if before is not None:
                self._add(before, -1.0)
            self._said[key] = outcome
            if len(self._said) > self.REMEMBERED:
                del self._said[next(iter(self._said))]
        self._add(outcome, 1.0)
        return before is None

    @property
    def said(self) -> list[Outcome]:
        """The newest ones that are remembered, oldest first."""
        return list(self._said.values())

    def remember(self, said: Iterable[Outcome]) -> None:
        """They are counted in already: who thinks again after a restart has not seen two answers, either."""
        self._said.update({(one.receipt, one.deployment, one.source): one for one in said})

    def went_on(self, task: str, deployment: str) -> None:
        """A session went on after an answer. Nothing is learned of whom nobody has said anything."""
        own = self._tallies.get(kind_of(task), {}).get(deployment)
        if own is not None:
            for tally in (own, self._all[deployment]):
                self._count(tally, Tally(good=WENT_ON))

    def given(self, task: str, deployment: str) -> None:
        """An answer was not sent up. It counts where others were."""
        own = self._tallies.get(kind_of(task), {}).get(deployment)
        if own is not None and own.raised:
            for tally in (own, self._all[deployment]):
                self._count(tally, Tally(given=1.0))

    def belief(self, task: str, deployment: str, tier: Tier) -> Belief:
        """The chance that this deployment answers a task of this kind well."""
        return updated(usual(task, tier), self._tally(task, deployment), self._else(task, deployment))

    def _add(self, outcome: Outcome, sign: float) -> None:
        kind = kind_of(outcome.task)
        row = self._tallies.pop(kind, {})
        self._tallies[kind] = row  # behind the others, as the newest
        if len(self._tallies) > self.KINDS:
            del self._tallies[next(iter(self._tallies))]
        weight = WEIGHTS[outcome.source] * sign
        score = min(1.0, max(0.0, outcome.score))
        if outcome.source == "escalation":
            more = Tally(raised=weight * (1.0 - score))
        else:
            more = Tally(good=weight * score, bad=weight * (1.0 - score))
        for tallies in (row, self._all):
            self._count(tallies.setdefault(outcome.deployment, Tally()), more)

    @staticmethod
    def _count(tally: Tally, more: Tally) -> None:
        tally.good, tally.bad = _faded(tally.good + more.good, tally.bad + more.bad)
        tally.raised, tally.given = _faded(tally.raised + more.raised, tally.given + more.given)

    def _tally(self, task: str, deployment: str) -> Tally:
        return self._tallies.get(kind_of(task), {}).get(deployment, _NONE)

    def _else(self, task: str, deployment: str) -> Tally:
        """What it did in other kinds of task."""
        whole, own = self._all.get(deployment, _NONE), self._tally(task, deployment)
        return Tally(
            max(0.0, whole.good - own.good),
            max(0.0, whole.bad - own.bad),
            max(0.0, whole.raised - own.raised),
            max(0.0, whole.given - own.given),
        )


_NONE = Tally()


def _faded(one: float, other: float) -> tuple[float, float]:
    one, other = max(0.0, one), max(0.0, other)
    fade = min(1.0, MOST / max(one + other, MOST))
    return one * fade, other * fade


def updated(start: Belief, own: Tally, elsewhere: Tally = _NONE) -> Belief:
    """A Beta of `STRENGTH` outcomes with mean `start.mean`, after what was seen. Outcomes in other kinds of
    task count a little, and never for more than the start itself."""
    if not own.trials and not elsewhere.trials:
        return start
    good, bad = start.mean * STRENGTH, (1.0 - start.mean) * STRENGTH
    share = _share(elsewhere.good + elsewhere.bad)
    good, bad = good + share * elsewhere.good + own.good, bad + share * elsewhere.bad + own.bad
    mean = good / (good + bad) * _kept(start, own, elsewhere)
    return Belief(mean, _deviation(mean, good + bad + own.raised), own.trials)


def _share(elsewhere: float) -> float:
    return min(ELSEWHERE, STRENGTH / elsewhere) if elsewhere else 0.0


def _kept(start: Belief, own: Tally, elsewhere: Tally) -> float:
    """What is left of the chance, 0..1, when more answers were sent up than the start has in it."""
    usual_share = FOUND * (1.0 - start.mean)
    share = _share(elsewhere.raised + elsewhere.given)
    raised = own.raised + share * elsewhere.raised
    given = own.given + share * elsewhere.given
    found = (usual_share * STRENGTH + raised) / (STRENGTH + raised + given)
    return min(1.0, (1.0 - found) / (1.0 - usual_share))


def cautious(belief: Belief) -> float:
    """The chance that it has at least, most likely: one deviation below the mean."""
    return max(0.0, belief.mean - belief.deviation)


def _deviation(mean: float, strength: float) -> float:
    return math.sqrt(mean * (1.0 - mean) / (strength + 1.0))
