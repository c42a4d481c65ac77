"""Cheap answers held against each other: is one of them right, and who is asked further? Pure.

How often answers are right that agree, or do not, begins with how able their places are taken to be, and
follows outcomes: first as one drift for each pattern, then, with some hundreds of outcomes, by everything
that the learned `Judge` sees of an answer. Texts are not kept, only their signs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from freehold.routing.learn.answers import GivenAnswer, alike, answer_vectors, final_answer
from freehold.routing.learn.cascade import COINCIDENCE, Further, Judge, Judgement, next_step
from freehold.routing.learn.estimator import FEWEST_TO_GROW, Estimator, Prior
from freehold.routing.learn.features import Features
from freehold.routing.learn.forest import Forest, Growth
from freehold.routing.learn.keeping import from_kept, to_kept
from freehold.routing.outcomes import Outcome

Pattern = Literal["alone", "agree", "apart"]
TRUST = 12.0
"""Outcomes of a pattern that weigh as much as what the places' chances say."""
JUDGED_TRUST = 150.0
"""Outcomes from which on the learned judge weighs as much as the pattern alone."""
LEAST_SHORT = 0.001
"""Of `1 - quality`: with a wanted quality of 1 a wrong answer would have no price."""
LEAST_WRONG_USD = 1e-6
_GROWTH = Growth(tried=40, smallest=16, most_rows=3000)
_PRIOR = Prior(Forest(), [], [])
_REMEMBERED = 512
_MOST_SINCE = 1024


class Weighing(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with the answers so far: give `best` (its place among them), or ask `deployment`."""

    best: int
    pattern: Pattern
    chances: tuple[float, ...]
    action: Literal["take", "ask"] = "take"
    deployment: str = ""


class _Drift(msgspec.Struct):
    """How much better than expected the answers of a pattern were, and of how many that is known."""

    total: float = 0.0
    count: float = 0.0

    @property
    def shift(self) -> float:
        return self.total / (TRUST + self.count)


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a call until somebody says how its answer did: signs, no texts."""

    vectors: tuple[Features, ...]
    """Of each answer; empty when the prompt could not be read."""
    names: tuple[str, ...]
    pattern: Pattern
    expected: float


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    v: int = 1
    drifts: dict[str, _Drift]
    judge: bytes


class Jury:
    """Changed in place by its one owner, who also keeps it between starts (`kept`, `grown`, `use`)."""

    def __init__(self) -> None:
        self._judge = Judge(Estimator(_PRIOR))
        self._drifts: dict[str, _Drift] = {}
        self._calls: OrderedDict[str, _Heard] = OrderedDict()
        self._since: deque[tuple[_Heard, str, float]] = deque(maxlen=_MOST_SINCE)
        """Learned since `kept`, for the judge that is grown from it."""
        self._grown_from = 0

    def weigh(
        self,
        features: Features | None,
        given: Sequence[GivenAnswer],
        further: Sequence[Further],
        wrong_usd: float,
    ) -> Weighing:
        """One or two answers of cheap places. `features`: of the prompt, when it can be read. Where only one
        answer is there, only a peer is asked: what is better is worth asking when two do not agree."""
        pattern, chances = pattern_of(given), self._chances(features, given)
        best = max(range(len(given)), key=chances.__getitem__)
        rest = self._further(features, given, further)
        step = next_step(chances[best], rest, wrong_usd)
        if step.action == "take":
            return Weighing(best=best, pattern=pattern, chances=chances)
        whom = step.deployment
        if len(given) == 1:
            peers = [one for one in rest if one.peer]
            if not peers:
                return Weighing(best=best, pattern=pattern, chances=chances)
            whom = max(peers, key=lambda one: (one.deployment == whom, one.chance)).deployment
        return Weighing(best=best, pattern=pattern, chances=chances, action="ask", deployment=whom)

    def remember(
        self, receipt: str, features: Features | None, given: Sequence[GivenAnswer], weighing: Weighing
    ) -> None:
        """The call's answers were weighed so: an outcome of it will teach. The newest few hundred."""
        self._calls[receipt] = _Heard(
            vectors=() if features is None else tuple(answer_vectors(features, given)),
            names=tuple([one.deployment for one in given]),
            pattern=weighing.pattern,
            expected=max(expected(given)),
        )
        if len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)

    def learn(self, outcome: Outcome) -> None:
        """Somebody says how an answer of a call did that is remembered. Once for each call."""
        heard = self._calls.pop(outcome.receipt, None)
        if heard is not None:
            self._learn(heard, outcome.deployment, outcome.score)
            self._since.append((heard, outcome.deployment, outcome.score))

    # -- keeping

    @property
    def due(self) -> bool:
        """It is worth growing the judge anew: `kept`, `grown` elsewhere, then `use`."""
        return self._judge.estimator.due

    def kept(self) -> bytes:
        """Everything that it has learned: numbers, no texts."""
        self._since.clear()
        return msgspec.msgpack.encode(
            _Kept(drifts=self._drifts, judge=to_kept(self._judge.estimator, _PRIOR))
        )

    def use(self, other: Jury) -> None:
        """From now on what `other` has learned, which was made of the newest `kept`; what was learned since
        is added."""
        self._judge, self._drifts, self._grown_from = other._judge, other._drifts, other._grown_from
        for heard, deployment, score in self._since:
            self._learn(heard, deployment, score)
        self._since.clear()

    @staticmethod
    def grown(kept: bytes) -> Jury | None:
        """A jury of what `kept` gave. None: damaged, or of another version. Takes seconds with thousands of
        outcomes: for a worker thread."""
        try:
            found = msgspec.msgpack.decode(kept, type=_Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        estimator = from_kept(found.judge, _PRIOR)
        if found.v != 1 or estimator is None:
            return None
        estimator.regrow(_GROWTH)
        jury = Jury()
        jury._judge, jury._drifts = Judge(estimator), dict(found.drifts)
        known = len(estimator.samples)
        jury._grown_from = known if known >= FEWEST_TO_GROW else 0
        return jury

    # -- inside

    def _chances(self, features: Features | None, given: Sequence[GivenAnswer]) -> tuple[float, ...]:
        drift = self._drifts.get(pattern_of(given), _Drift()).shift
        start = tuple(_bounded(chance + drift) for chance in expected(given))
        found = self._judged(features, given, {})
        if found is None:
            return start
        weight = self._grown_from / (self._grown_from + JUDGED_TRUST)
        return tuple(one + weight * (other - one) for one, other in zip(start, found.chances, strict=True))

    def _further(
        self, features: Features | None, given: Sequence[GivenAnswer], further: Sequence[Further]
    ) -> list[Further]:
        """With what the judge has seen of how the better ones do where answers look like this."""
        stronger = {one.deployment: 0.0 for one in further if not one.peer}
        found = self._judged(features, given, stronger)
        if found is None:
            return list(further)
        weight = self._grown_from / (self._grown_from + JUDGED_TRUST)
        return [
            one
            if one.peer
            else msgspec.structs.replace(
                one, chance=one.chance + weight * (found.stronger[one.deployment] - one.chance)
            )
            for one in further
        ]

    def _judged(
        self, features: Features | None, given: Sequence[GivenAnswer], stronger: Mapping[str, float]
    ) -> Judgement | None:
        """What the learned judge says; None before it has grown."""
        if features is None or not self._grown_from:
            return None
        return self._judge.judge(features, given, stronger)

    def _learn(self, heard: _Heard, deployment: str, score: float) -> None:
        mine = deployment in heard.names
        if mine:
            drift = self._drifts.setdefault(heard.pattern, _Drift())
            drift.total += score - heard.expected
            drift.count += 1.0
        if not heard.vectors:
            return
        both = heard.pattern == "agree" and mine
        right = [score if both or name == deployment else None for name in heard.names]
        self._judge.learn_signs(heard.vectors, right, {} if mine else {deployment: score})


def pattern_of(given: Sequence[GivenAnswer]) -> Pattern:
    """Whether one or two answers stand alone, say the same, or do not."""
    if len(given) < 2:
        return "alone"
    return "agree" if alike(given[0].text, given[1].text) else "apart"


def comparable(text: str) -> bool:
    """Whether an answer comes down to something that another can be held against."""
    return bool(final_answer(text))


def expected(given: Sequence[GivenAnswer]) -> tuple[float, ...]:
    """The chance of each of one or two answers, from how able their places are: two that are right say the
    same, two that are wrong seldom do."""
    if len(given) < 2:
        return (_bounded(given[0].belief),)
    one, other = _bounded(given[0].belief), _bounded(given[1].belief)
    both, neither = one * other, (1.0 - one) * (1.0 - other)
    agree = both + neither * COINCIDENCE
    if pattern_of(given) == "agree":
        return (both / agree, both / agree)
    if not comparable(given[0].text) and not comparable(given[1].text):
        return (one, other)  # two free texts are never the same: that says nothing
    return (one * (1.0 - other) / (1.0 - agree), other * (1.0 - one) / (1.0 - agree))


def price_of_wrong_usd(quality: float, best: Further | None) -> float:
    """What a wrong answer costs, so that `quality` means here what it means for the choice: whoever is worse
    than the best by less than that share is not worth the best one's price."""
    if best is None:
        return LEAST_WRONG_USD
    short = max(1.0 - quality, LEAST_SHORT) * max(best.chance, LEAST_SHORT)
    return max(best.usd / short, LEAST_WRONG_USD)


def _bounded(chance: float) -> float:
    return min(max(chance, 0.01), 0.99)
