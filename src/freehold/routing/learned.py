"""The trained reader of prompts, as the router uses it: kinds of task from words, chances by alike prompts.

What it says counts as far as outcomes on alike prompts stand behind it; without any, the chances stay those
of `outcomes`: how hard a prompt looks has been measured to say less than what kind of task it is. Changed in
place by one owner. Keeping it on disk is `app.outcomes`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from freehold.routing.learn import shipped
from freehold.routing.learn.ability import ability_of_chance
from freehold.routing.learn.estimator import Estimator
from freehold.routing.learn.features import Features
from freehold.routing.learn.keeping import from_kept, to_kept
from freehold.routing.outcomes import Outcome
from freehold.routing.world import Belief

SURE = 0.5
"""Probability from which a recognised kind of task is taken for it."""
TRUST = 4.0
"""Outcomes on alike prompts that weigh as much as all that is known of the task and the tier."""
_MOST_SINCE = 4096


class Learned:
    """Implements `router.Learner`."""

    def __init__(self, estimator: Estimator | None = None) -> None:
        self._estimator = estimator or shipped.estimator()
        self._read: tuple[str, str, Features] | None = None
        """The newest prompt: it is asked about several times."""
        self._since: deque[tuple[Features, str, float]] = deque(maxlen=_MOST_SINCE)
        """Learned since `kept`, for the estimator that is grown from it."""

    def guess(self, prompt: str) -> str:
        guess = self._features(prompt, "").guess
        return guess.kind if guess.confidence >= SURE else ""

    def beliefs(self, prompt: str, task: str, start: Mapping[str, Belief]) -> Mapping[str, Belief]:
        features = self._features(prompt, task)
        return {name: self._blended(features, name, belief) for name, belief in start.items()}

    def features(self, prompt: str, task: str) -> Features:
        return self._features(prompt, task)

    def learn(self, prompt: str, outcome: Outcome, start: float) -> None:
        features = self._features(prompt, outcome.task)
        self._estimator.introduce(outcome.deployment, ability_of_chance(start))
        self._estimator.update(features, outcome.deployment, outcome.score)
        self._since.append((features, outcome.deployment, outcome.score))

    @property
    def due(self) -> bool:
        """It is worth growing groups of alike prompts anew: `kept`, `grown` elsewhere, then `use`."""
        return self._estimator.due

    def kept(self) -> bytes:
        """Everything that it has learned; no prompts, only numbers."""
        self._since.clear()
        return to_kept(self._estimator, shipped.prior())

    def use(self, estimator: Estimator) -> None:
        """From now on this one, which was made of the newest `kept`; what was learned since is added."""
        for features, deployment, score in self._since:
            estimator.update(features, deployment, score)
        self._estimator = estimator
        self._since.clear()

    def _features(self, prompt: str, task: str) -> Features:
        if self._read is None or self._read[:2] != (prompt, task):
            self._read = (prompt, task, shipped.features_of(prompt, task))
        return self._read[2]

    def _blended(self, features: Features, name: str, start: Belief) -> Belief:
        seen = self._estimator.predict(features, name)
        weight = seen.trials / (seen.trials + TRUST)
        if not weight:
            return start
        return Belief(
            mean=start.mean + weight * (seen.mean - start.mean),
            deviation=start.deviation + weight * (seen.deviation - start.deviation),
            trials=max(start.trials, seen.trials),
        )


def grown(kept: bytes) -> Estimator | None:
    """An estimator of what `Learned.kept` gave, with its groups of alike prompts. None: damaged, or of
    another version. Takes seconds with thousands of outcomes: for a worker thread."""
    estimator = from_kept(kept, shipped.prior())
    if estimator is not None:
        estimator.regrow()
    return estimator
