"""The owner of what choosing remembers: sessions, speeds, beliefs. In memory, without clocks: times come in.

The gateway asks `takes` of every call (one look into a set), and `route` of those that leave the choice to
us. What is decided is `auto.decide`'s; from which configuration, catalog and prices, `app` says by `use`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from freehold.core.catalog import Deployment
from freehold.core.config_routing import AUTO
from freehold.routing.auto import aim_of, compares, decide
from freehold.routing.outcomes import TOLD_BOTH_WAYS, Beliefs, Outcome, Source, kind_of, usual
from freehold.routing.sticky import Sessions, asked_again, went_on
from freehold.routing.world import Ask, Belief, Decision, Place, RoutingRules, Standing, Sticky, World

if TYPE_CHECKING:
    from freehold.routing.jury import Jury
    from freehold.routing.learn.features import Features

_V = TypeVar("_V")
StandingOf = Callable[[Deployment], Standing]
_WEIGHT = 0.2
_SEEN = 64
_REMEMBERED = 512


class Learner(Protocol):
    """A model that reads prompts (`learned.Learned` over `routing.learn`)."""

    def guess(self, prompt: str) -> str:
        """The kind of task, or empty when it is not clear."""
        ...

    def beliefs(self, prompt: str, task: str, start: Mapping[str, Belief]) -> Mapping[str, Belief]:
        """The chances of the deployments in `start`, from there."""
        ...

    def features(self, prompt: str, task: str) -> Features:
        """The prompt as numbers."""
        ...

    def learn(self, prompt: str, outcome: Outcome, start: float) -> None:
        """An outcome whose prompt is known. `start` is the chance that a deployment begins with which has not
        been met yet."""
        ...


class Routed(msgspec.Struct, frozen=True):
    """A decision, and the call as it was understood for it: what `answered` and `insufficient` want back."""

    ask: Ask
    decision: Decision


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How a call went that was answered whole. Tokens as measured, caches included in `input_tokens`."""

    deployment: str
    receipt: str
    input_tokens: int = 0
    output_tokens: int = 0
    first_s: float = 0.0
    """From the attempt's start to its first byte."""
    total_s: float = 0.0


class _Speed:
    """Moving averages of one deployment, and its newest first bytes."""

    __slots__ = ("first_s", "firsts", "outstanding", "tokens_per_s")

    def __init__(self) -> None:
        self.first_s: float | None = None
        self.tokens_per_s: float | None = None
        self.outstanding = 0
        self.firsts: deque[float] = deque(maxlen=_SEEN)


class Router:
    """See the module. `on_outcome` is told what the router itself noticed (a retry, an answer that was not
    good enough), for the ledger; it must not block."""

    def __init__(self, beliefs: Beliefs | None = None, learner: Learner | None = None) -> None:
        self.rules = RoutingRules()
        self.places: tuple[Place, ...] = ()
        self.beliefs = beliefs or Beliefs()
        self.on_outcome: Callable[[Outcome], None] | None = None
        self.sessions = Sessions(self.rules.sticky_s)
        self.learner = learner
        self.jury: Jury | None = None
        """Where the answers of two places are compared."""
        self._taken: frozenset[str] = frozenset()
        self._places: dict[str, Place] = {}
        self._speeds: dict[str, _Speed] = {}
        self._out: OrderedDict[str, float] = OrderedDict()
        """Tokens of answers, by kind of task."""
        self._calls: OrderedDict[str, Routed] = OrderedDict()
        """The newest calls by receipt, so that an outcome finds its kind of task, and teaches the learner."""
        self.decided: dict[str, int] = {}
        """Calls by the tier of their first candidate."""
        self.escalations = 0

    def use(self, rules: RoutingRules, places: Sequence[Place], names: Collection[str] = ()) -> None:
        """From now on choose by these. `names` are the names of the catalog: one called `auto` is what it
        says, not a choice of ours."""
        self.rules = rules
        self.places = tuple(places)
        self._places = {place.name: place for place in places}
        self.sessions.keep_s = rules.sticky_s
        free = {AUTO} if places and AUTO not in names else set[str]()
        self._taken = frozenset(
            free | {name for name, rule in rules.aliases.items() if rule.route != "order"}
        )
        for gone in [name for name in self._speeds if name not in self._places]:
            self.sessions.forget(gone)
            del self._speeds[gone]

    @property
    def names(self) -> frozenset[str]:
        """Names that leave the choice to us."""
        return self._taken

    def takes(self, model: str | None) -> bool:
        """Whether a call for this name leaves the choice to us."""
        return model in self._taken

    def route(
        self,
        ask: Ask,
        standing: StandingOf,
        now_ms: int,
        chance: float,
        budget_left_nanos: int | None = None,
    ) -> Routed:
        """Choose for a call. `chance` is a random number in 0..1; `standing` is asked once for each place
        that takes part. Notices a question that is asked again, and counts that against who answered it."""
        ask = self.read(ask)
        former = self.sessions.of(ask.session, now_ms)
        if former is not None and asked_again(ask, former, now_ms):
            self._notice(former.deployment, former.task, former.receipt, "retry")
            ask = replace(ask, failed=(former.deployment,))
        elif former is not None and went_on(ask, former, now_ms):
            self.beliefs.went_on(former.task, former.deployment)
        world = self.world(ask, standing, now_ms, budget_left_nanos)
        decision = self.judge(ask, world, chance)
        if decision.candidates:
            tier = self._places[decision.candidates[0].name].tier
            self.decided[tier] = self.decided.get(tier, 0) + 1
        return Routed(ask, decision)

    def read(self, ask: Ask) -> Ask:
        """The call with what memory adds: the kind of task as recognised, the usual length of an answer."""
        if not ask.task and self.learner is not None and ask.prompt:
            ask = replace(ask, guess=self.learner.guess(ask.prompt))
        length = self._out.get(kind_of(ask.task or ask.guess))
        if length is None:
            return ask
        return replace(ask, output_tokens=min(int(length), ask.most_out or int(length)))

    def judge(self, ask: Ask, world: World, chance: float) -> Decision:
        """`auto.decide` by the rules in force."""
        return decide(ask, world, self.rules, chance)

    def world(
        self, ask: Ask, standing: StandingOf, now_ms: int, budget_left_nanos: int | None = None
    ) -> World:
        """Everything around a call, as `decide` wants it."""
        world = World(
            places=self.places,
            standings={place.name: self._measured(place, standing) for place in self.places},
            sticky=self.sessions.of(ask.session, now_ms),
            budget_left_nanos=budget_left_nanos,
            now_ms=now_ms,
        )
        task = aim_of(ask, world, self.rules).task
        beliefs: Mapping[str, Belief] = {
            place.name: self.beliefs.belief(task, place.name, place.tier) for place in self.places
        }
        if self.learner is not None and ask.prompt:
            beliefs = self.learner.beliefs(ask.prompt, task, beliefs)
        return replace(world, beliefs=beliefs)

    # -- what happened

    def began(self, deployment: str) -> None:
        """An attempt at a place has begun; `ended` follows in any case."""
        self._speed(deployment).outstanding += 1

    def ended(self, deployment: str) -> None:
        speed = self._speed(deployment)
        speed.outstanding = max(0, speed.outstanding - 1)

    def answered(self, routed: Routed, how: Answered, now_ms: int) -> None:
        """A call was answered whole: the session stays there, and how fast it was is remembered."""
        ask, task = routed.ask, routed.decision.task
        self.beliefs.given(task, how.deployment)
        self.sessions.stay(
            ask.session,
            Sticky(
                deployment=how.deployment,
                tokens=how.input_tokens + how.output_tokens,
                at_ms=now_ms,
                task=task,
                question=ask.question,
                prefix=ask.prefix,
                receipt=how.receipt,
            ),
        )
        _remember(self._calls, how.receipt, routed)
        if how.output_tokens:
            before = self._out.get(task, float(how.output_tokens))
            _remember(self._out, task, before + _WEIGHT * (how.output_tokens - before))
        self._time(how)

    def insufficient(self, routed: Routed, deployment: str, receipt: str) -> None:
        """An answer was seen to be not good enough (`escalate.insufficient`): counted against its place."""
        _remember(self._calls, receipt, routed)
        self.escalations += 1
        self._notice(deployment, routed.decision.task, receipt, "escalation")

    def checked(self, routed: Routed, deployment: str, receipt: str, *, good: bool) -> None:
        """A validator has said how good an answer is."""
        _remember(self._calls, receipt, routed)
        self.escalations += not good
        self._notice(deployment, routed.decision.task, receipt, "validator", float(good))

    def compares(self, routed: Routed) -> bool:
        """Whether the answers of two local places to this call are to be held against each other."""
        return self.jury is not None and compares(routed.ask, routed.decision.task, self.rules)

    def learn(self, outcome: Outcome, of: str = "") -> None:
        """Count an outcome that stands in the ledger. `of`: the call whose prompt it was, when that is not
        the one that the outcome is about."""
        first = self.beliefs.learn(outcome)
        if self.jury is not None:
            self.jury.learn(outcome)
        routed = self._calls.get(of or outcome.receipt)
        told = first and outcome.source in TOLD_BOTH_WAYS
        if told and self.learner is not None and routed is not None and routed.ask.prompt:
            place = self._places.get(outcome.deployment)
            start = usual("", "balanced" if place is None else place.tier).mean
            self.learner.learn(routed.ask.prompt, outcome, start)

    def task_of(self, receipt: str) -> str:
        """The kind of task that a recent call was taken for; empty when nobody knows any more."""
        routed = self._calls.get(receipt)
        return "" if routed is None else routed.decision.task

    def first_bytes(self, deployment: str) -> Sequence[float]:
        """Seconds to the newest first bytes, for `hedge.hedge_after_s`."""
        found = self._speeds.get(deployment)
        return () if found is None else tuple(found.firsts)

    # -- inside

    def _notice(self, deployment: str, task: str, receipt: str, source: Source, score: float = 0.0) -> None:
        outcome = Outcome(task=task, deployment=deployment, score=score, source=source, receipt=receipt)
        self.learn(outcome)
        if self.on_outcome is not None:
            self.on_outcome(outcome)

    def _measured(self, place: Place, standing: StandingOf) -> Standing:
        found, speed = standing(place.deployment), self._speeds.get(place.name)
        if speed is None:
            return found
        return replace(
            found,
            first_s=speed.first_s if found.first_s is None else found.first_s,
            tokens_per_s=speed.tokens_per_s if found.tokens_per_s is None else found.tokens_per_s,
            outstanding=max(found.outstanding, speed.outstanding),
        )

    def _time(self, how: Answered) -> None:
        if how.first_s <= 0:
            return
        speed = self._speed(how.deployment)
        speed.firsts.append(how.first_s)
        speed.first_s = _moved(speed.first_s, how.first_s)
        writing_s = how.total_s - how.first_s
        if how.output_tokens >= 16 and writing_s > 0.05:
            speed.tokens_per_s = _moved(speed.tokens_per_s, how.output_tokens / writing_s)

    def _speed(self, deployment: str) -> _Speed:
        found = self._speeds.get(deployment)
        if found is None:
            found = self._speeds[deployment] = _Speed()
        return found


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + _WEIGHT * (value - mean)


def _remember(table: OrderedDict[str, _V], key: str, value: _V) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > _REMEMBERED:
        table.popitem(last=False)
