"""How likely a deployment is to answer a prompt well enough, with how much is known about it.

The estimate is built from the coarse to the fine:
1. what is shipped: how hard prompts of this sort are (`Prior`), met with the deployment's ability, a number
   on the logistic scale that starts from its size or price and follows its outcomes
2. in the shipped groups of alike prompts (`forest`): what all deployments did better or worse than that,
   which moves the difficulty, and what this deployment did beyond the others
3. in groups grown from the outcomes themselves, once there are enough: what this deployment did there
Every step is drawn towards the one before as if `*_TRUST` outcomes had agreed with it. Means over many trees
stand for a smooth estimate; what a prompt's groups are is found once for all deployments.

An `Estimator` is changed in place by its one owner; predicting never changes what it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp, sqrt

import msgspec

from freehold.routing.learn.ability import DEFAULT_ABILITY
from freehold.routing.learn.features import Features
from freehold.routing.learn.forest import Forest, Growth, Residual, grow
from freehold.routing.learn.tally import Tally

ABILITY_TRUST = 40.0
"""Precision of a starting ability (a standard deviation of a sixth on the logistic scale)."""
SHARED_TRUST = 60.0
OWN_TRUST = 20.0
"""With 12 and 60 the first hundred outcomes of two close models led astray (APGR 0.03 lower over 16 orders of
`llmrouter-local9`, standard error 0.01). With 60 and 60 a deployment that failed 20 times of 20 on one prompt
was still given 0.38. These do neither (0.01 lower, within noise; 0.23)."""
GROWN_TRUST = 4.0
GROWN_SHARE = 0.6
"""How much of the estimate grown groups make, once there are any."""
FEWEST_TO_GROW = 150
MOST_SAMPLES = 8192
"""Prompts that are kept to grow from, the newest."""
_USUAL_CURVE = 0.2
"""p (1 - p) of a usual chance of success: turns a shift of a chance into one on the logistic scale."""
_LEAST, _MOST = 0.01, 0.99


class Prior(msgspec.Struct, frozen=True):
    """What is shipped of earlier outcomes. Per leaf: logit(success) = base + slope x ability."""

    forest: Forest
    bases: list[float]
    slopes: list[float]


class Belief(msgspec.Struct, frozen=True):
    """`mean`: chance of a good enough answer, 0..1; `deviation`: how unsure that is; `trials`: outcomes of
    this deployment on prompts like this one (a mean over groups, so not a whole number)."""

    mean: float
    deviation: float
    trials: float


class Sample(msgspec.Struct, frozen=True):
    """One prompt with the quality (0..1) of the answers of some deployments."""

    features: Features
    outcomes: Mapping[str, float]


class Known(msgspec.Struct, frozen=True):
    """What is known of one deployment: ability with its precision, outcomes in the shipped groups."""

    ability: float
    precision: float
    tally: Tally


class _Record:
    __slots__ = ("ability", "grown", "precision", "shipped")

    def __init__(self, known: Known, grown: int) -> None:
        self.ability, self.precision, self.shipped = known.ability, known.precision, known.tally
        self.grown = Tally.empty(grown)


class _Place(msgspec.Struct, frozen=True):
    """Where a prompt stands: everything that does not depend on the deployment."""

    features: Features
    base: float
    slope: float
    shipped: tuple[int, ...]
    grown: tuple[int, ...]


class Estimator:
    """Success of deployments, learned outcome by outcome. See the module."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._grown = Forest()
        self._records: dict[str, _Record] = {}
        self._shared = Tally.empty(prior.forest.leaves)
        self._samples: list[Sample] = []
        self._place: _Place | None = None
        self._grown_from = 0

    def introduce(self, deployment: str, ability: float) -> None:
        """Say where a deployment's ability starts (`ability.expected_ability`). A second time: no change."""
        if deployment not in self._records:
            self._records[deployment] = self._new(ability)

    def predict(self, features: Features, deployment: str) -> Belief:
        """The belief before the call. A deployment that was never introduced is taken for a middling one."""
        place = self._placed(features)
        record = self._records.get(deployment)
        if record is None:
            mean = logistic(self._difficulty(place) + place.slope * DEFAULT_ABILITY)
            return Belief(mean, sqrt(mean * (1 - mean) / (1 + ABILITY_TRUST)), 0.0)
        mean = self._mean(place, record)
        trials = record.shipped.trials(place.shipped)
        return Belief(mean, sqrt(mean * (1 - mean) / (1 + ABILITY_TRUST + trials)), trials)

    def update(self, features: Features, deployment: str, quality: float) -> None:
        """Learn one outcome, in place. `quality` 0..1. Some hundred microseconds."""
        place = self._placed(features)
        self._learn(place, deployment, quality)
        newest = self._samples[-1] if self._samples else None
        if newest is not None and newest.features is features and deployment not in newest.outcomes:
            self._samples[-1] = Sample(features, {**newest.outcomes, deployment: quality})
        else:
            self._keep(Sample(features, {deployment: quality}))

    def learn(self, samples: Iterable[Sample]) -> None:
        """Learn many outcomes at once, without growing groups (`regrow`)."""
        for sample in samples:
            place = self._placed(sample.features)
            for deployment, quality in sample.outcomes.items():
                self._learn(place, deployment, quality)
            self._keep(sample)

    @property
    def due(self) -> bool:
        """Whether growing groups is worth it: at first with `FEWEST_TO_GROW` prompts, then with half as many
        again as the last time."""
        return len(self._samples) >= max(FEWEST_TO_GROW, self._grown_from * 3 // 2)

    def regrow(self, growth: Growth | None = None, seed: int = 1) -> None:
        """Grow groups of alike prompts from the outcomes kept. Seconds with thousands of them: not for a hot
        path. Does nothing with fewer than `FEWEST_TO_GROW` prompts."""
        if len(self._samples) < FEWEST_TO_GROW:
            return
        places = [self._placed(sample.features) for sample in self._samples]
        residuals = [
            [
                (name, quality - self._expected(place, self._records[name]))
                for name, quality in sample.outcomes.items()
            ]
            for sample, place in zip(self._samples, places, strict=True)
        ]
        thirds = self._thirds()
        rows = [_row(found, thirds) for found in residuals]
        vectors = [place.features.vector for place in places]
        self._grown = grow(vectors, rows, growth or Growth(), seed)
        self._grown_from = len(self._samples)
        self._place = None
        for record in self._records.values():
            record.grown = Tally.empty(self._grown.leaves)
        for vector, found in zip(vectors, residuals, strict=True):
            groups = self._grown.groups(vector)
            for name, residual in found:
                self._records[name].grown.add(groups, residual)

    @property
    def samples(self) -> Sequence[Sample]:
        """What is kept to grow from, the oldest first."""
        return self._samples

    def known(self) -> Mapping[str, Known]:
        """What is known of every deployment; `restore` takes it back."""
        return {
            name: Known(record.ability, record.precision, record.shipped)
            for name, record in self._records.items()
        }

    def restore(self, known: Mapping[str, Known], shared: Tally, samples: Iterable[Sample]) -> None:
        """Take up what an earlier estimator over the same prior knew. Groups have to be grown again."""
        self._records = {name: _Record(one, self._grown.leaves) for name, one in known.items()}
        self._shared = shared
        self._samples = list(samples)[-MOST_SAMPLES:]

    @property
    def shared(self) -> Tally:
        """Outcomes of all deployments together in the shipped groups."""
        return self._shared

    def _new(self, ability: float) -> _Record:
        empty = Tally.empty(self._prior.forest.leaves)
        return _Record(Known(ability, ABILITY_TRUST, empty), self._grown.leaves)

    def _thirds(self) -> dict[str, int]:
        """Weak, middling and strong deployments as 0, 1 and 2, by ability."""
        order = sorted(self._records, key=lambda name: self._records[name].ability)
        return {name: 3 * rank // len(order) for rank, name in enumerate(order)}

    def _placed(self, features: Features) -> _Place:
        """Walk the trees once per prompt; the last prompt is remembered, as it is asked about many times."""
        place = self._place
        if place is None or place.features is not features:
            shipped = self._prior.forest.groups(features.vector)
            share = 1.0 / max(len(shipped), 1)
            place = self._place = _Place(
                features,
                sum(map(self._prior.bases.__getitem__, shipped)) * share,
                sum(map(self._prior.slopes.__getitem__, shipped)) * share if shipped else 1.0,
                shipped,
                self._grown.groups(features.vector),
            )
        return place

    def _expected(self, place: _Place, record: _Record) -> float:
        """What the prior says, given the ability."""
        return logistic(place.base + place.slope * record.ability)

    def _difficulty(self, place: _Place) -> float:
        """The prior's base, moved by what all deployments together did better or worse than it said."""
        return place.base + self._shared.shift(place.shipped, SHARED_TRUST) / _USUAL_CURVE

    def _mean(self, place: _Place, record: _Record) -> float:
        mean = logistic(self._difficulty(place) + place.slope * record.ability)
        mean += record.shipped.shift_beyond(place.shipped, OWN_TRUST, self._shared, SHARED_TRUST)
        if place.grown:
            grown = self._expected(place, record) + record.grown.shift(place.grown, GROWN_TRUST)
            mean += GROWN_SHARE * (grown - mean)
        return min(max(mean, _LEAST), _MOST)

    def _learn(self, place: _Place, deployment: str, quality: float) -> None:
        """One step of Newton's method for the ability, one count in every group."""
        record = self._records.get(deployment)
        if record is None:
            record = self._records[deployment] = self._new(DEFAULT_ABILITY)
        expected = self._expected(place, record)
        residual = quality - expected
        record.precision += expected * (1 - expected) * place.slope * place.slope
        record.ability += place.slope * residual / record.precision
        record.shipped.add(place.shipped, residual)
        self._shared.add(place.shipped, residual)
        if place.grown:
            record.grown.add(place.grown, residual)

    def _keep(self, sample: Sample) -> None:
        self._samples.append(sample)
        if len(self._samples) > MOST_SAMPLES:
            del self._samples[: MOST_SAMPLES // 8]
            self._grown_from = min(self._grown_from, len(self._samples) // 2)


def logistic(value: float) -> float:
    """1 / (1 + e^-value), without overflow."""
    if value < -30.0:
        return 0.0
    return 1.0 / (1.0 + exp(-value))


def _row(found: Sequence[tuple[str, float]], thirds: Mapping[str, int]) -> Residual:
    sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]
    for name, residual in found:
        sums[thirds[name]] += min(max(residual, -1.0), 1.0)
        counts[thirds[name]] += 1
    return Residual((sums[0], sums[1], sums[2]), (counts[0], counts[1], counts[2]))
