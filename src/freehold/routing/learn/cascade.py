"""After the call: is one of the cheap answers right, and is it worth asking further?

`Judge` learns, like the estimator of prompts and by the same means, how often an answer with such signs
(agreement, length, form, who gave it, to what prompt) is right, and how well a stronger model does there.
What is wanted of quality is turned into the price of a wrong answer: ask further while the chance gained,
times that price, is more than asking costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from freehold.routing.learn.answers import GivenAnswer, answer_vectors
from freehold.routing.learn.estimator import Estimator
from freehold.routing.learn.features import Features

CHEAP = "\x00cheap"
"""The name under which the judge keeps how often cheap answers are right."""
COINCIDENCE = 0.15
"""Chance that two wrong answers are wrong in the same way."""


class Judgement(msgspec.Struct, frozen=True):
    """`best`: place of the answer that is most probably right; `chances` per answer; `stronger`: the chance
    of each stronger deployment on this prompt, given these answers."""

    best: int
    chances: tuple[float, ...]
    stronger: Mapping[str, float]

    @property
    def chance(self) -> float:
        return self.chances[self.best]


class Further(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who could be asked. `chance` of doing well; a `peer` is cheap and is asked to compare; the
    answer of one that is no peer is taken as it is."""

    deployment: str
    chance: float
    usd: float
    peer: bool = False


class Step(msgspec.Struct, frozen=True):
    """`take` the best answer so far, or `ask` a deployment. `gain`: what asking is worth beyond its cost."""

    action: Literal["take", "ask"]
    deployment: str = ""
    gain: float = 0.0


class Judge:
    """What answers' signs have come to mean. Changed in place by its one owner."""

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        estimator.introduce(CHEAP, 0.0)

    def judge(
        self, features: Features, answers: Sequence[GivenAnswer], stronger: Mapping[str, float]
    ) -> Judgement:
        """Judge at least one answer. `stronger`: deployments that could be asked, with the ability that they
        start from when the judge has not met them (`ability.expected_ability`)."""
        vectors = answer_vectors(features, answers)
        chances = tuple(self.estimator.predict(vector, CHEAP).mean for vector in vectors)
        best = max(range(len(chances)), key=chances.__getitem__)
        for deployment, ability in stronger.items():
            self.estimator.introduce(deployment, ability)
        theirs = {name: self.estimator.predict(vectors[best], name).mean for name in stronger}
        return Judgement(best, chances, theirs)

    def learn(
        self,
        features: Features,
        answers: Sequence[GivenAnswer],
        right: Sequence[float | None],
        stronger: Mapping[str, float],
    ) -> None:
        """Learn what came out: quality (0..1) per answer where it is known, and of stronger deployments."""
        self.learn_signs(answer_vectors(features, answers), right, stronger)

    def learn_signs(
        self, vectors: Sequence[Features], right: Sequence[float | None], stronger: Mapping[str, float]
    ) -> None:
        """The same from `answer_vectors`, for who has not kept the answers."""
        chances = [self.estimator.predict(vector, CHEAP).mean for vector in vectors]
        best = max(range(len(chances)), key=chances.__getitem__)
        for place, (vector, quality) in enumerate(zip(vectors, right, strict=True)):
            if quality is not None:
                self.estimator.update(vector, CHEAP, quality)
            if place == best:
                for name, theirs in stronger.items():
                    self.estimator.update(vector, name, theirs)


def next_step(chance: float, further: Sequence[Further], wrong_usd: float) -> Step:
    """What to do with a best answer that is right with `chance`. `wrong_usd`: the price of a wrong answer.

    Asking someone better gains the difference of the chances. Asking a peer gains what comparing allows: take
    the answer when both agree, ask the best of the others when they do not.
    """
    best = Step("take")
    stronger = [one for one in further if not one.peer]
    for one in stronger:
        gain = (one.chance - chance) * wrong_usd - one.usd
        if gain > best.gain:
            best = Step("ask", one.deployment, gain)
    for peer in further:
        if peer.peer:
            gain = _worth_of_comparing(chance, peer, stronger, wrong_usd) - peer.usd
            if gain > best.gain:
                best = Step("ask", peer.deployment, gain)
    return best


def _worth_of_comparing(chance: float, peer: Further, stronger: Sequence[Further], wrong_usd: float) -> float:
    """How much better than taking the answer now it is, on average, to decide after the peer's answer."""
    both = chance * peer.chance
    neither = (1.0 - chance) * (1.0 - peer.chance)
    agree = both + neither * COINCIDENCE
    if agree >= 1.0:
        return 0.0
    after = both / agree if agree else 0.0
    apart = max(chance * (1.0 - peer.chance), peer.chance * (1.0 - chance)) / (1.0 - agree)

    def worth(held: float) -> float:
        return max([held * wrong_usd, *(one.chance * wrong_usd - one.usd for one in stronger)])

    return agree * worth(after) + (1.0 - agree) * worth(apart) - chance * wrong_usd
