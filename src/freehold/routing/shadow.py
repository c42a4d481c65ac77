"""Shadow evaluation: some calls are put to a cheaper place as well, and a judge compares. Pure.

The client never sees it. What comes out is a share: of the calls that went up, so many could have been local.
Sending the calls is the gateway's; the judge's words are an outcome like any other (source `judge`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.config_routing import Tier
from freehold.routing.outcomes import kind_of
from freehold.routing.tiers import rank
from freehold.routing.world import Considered, Decision

AGENT = "freehold-shadow"
"""Under this name the house makes the calls of its own that comparing takes."""
GOOD = 0.5
"""A shadow's answer with at least this score would have done."""
_ANSWER_CHARS = 12_000
_SCORE = re.compile(r"(?:^|\D)(10|\d)(?:\s*/\s*10)?(?:\D|$)")

_SCALE = re.compile(r"\b0\s*(?:-|\u2013|to|through)\s*10\b")
"""The scale, which some repeat before they say their number."""


class ShadowRules(msgspec.Struct, frozen=True, kw_only=True):
    """`share` 0: never. `budget_nanos` is for a day."""

    share: float = 0.0
    judge: str = ""
    budget_nanos: int = 0


class ShadowPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Put the call to `deployment` too, and both answers to `judge`."""

    deployment: str
    tier: Tier
    judge: str
    price_nanos: int
    """Expected, of both together."""


class ShadowCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was answered well by its first candidate, and what it takes to put it to another place.

    In memory only, and only until it is judged.
    """

    plan: ShadowPlan
    body: bytes
    """The request as the client sent it."""
    endpoint: str
    """As receipts name it: `chat`, `messages`, `responses`, `ollama.chat`."""
    dialect: Dialect
    """The client's; `answer` is in it, too."""
    answer: bytes
    """What the client got: one document, or the whole stream as it went out."""
    receipt: str
    deployment: str
    """Who answered."""
    task: str = ""
    """The kind of task that was assumed: `decision.task`."""
    project: str = ""
    agent: str = ""
    session: str = ""


class Shadows(Protocol):
    """How calls get here: `wants` when a call has been decided, before its answer is passed on, so that only
    answers that are needed are kept; `offer` when it was answered whole, by its first candidate. Both are
    quick, and on the loop."""

    def wants(self, decision: Decision, *, critical: bool, side_effects: bool) -> ShadowPlan | None:
        """Whether the answer to this call is to be kept for `offer`. `side_effects`: it has tools."""
        ...

    def offer(self, call: ShadowCall) -> None:
        """Put it to the cheaper place, some time; with too many of them, never."""
        ...


class ShadowTally(msgspec.Struct, frozen=True, kw_only=True):
    """Of one place in one kind of task: how many of its answers were compared, and how many would have
    done."""

    tier: Tier = "local"
    compared: int = 0
    good: int = 0


Tallies = Mapping[str, Mapping[str, ShadowTally]]
"""By kind of task, then by deployment."""


def shadow_plan(
    decision: Decision,
    rules: ShadowRules,
    *,
    chance: float,
    spent_nanos: int,
    critical: bool,
    side_effects: bool,
) -> ShadowPlan | None:
    """Whether this call, which was answered by its first candidate, is put to a cheaper place too.

    Not when it is critical, or has tools that may act (a shadow's tool calls are never carried out, but its
    answer would be half of one). `chance` is a random number in 0..1; `spent_nanos` is what shadows cost
    today. What nobody knows the price of is not asked.
    """
    if chance >= rules.share or critical or side_effects or not decision.candidates or not rules.judge:
        return None
    seen = {one.name: one for one in decision.considered}
    first, judge = seen.get(decision.candidates[0].name), seen.get(rules.judge)
    if first is None:
        return None
    cheaper = [
        one
        for one in decision.considered
        if one.name != first.name and _able(one) and rank(one.tier) < rank(first.tier)
    ]
    judging = first.price_nanos if judge is None else judge.price_nanos
    if not cheaper or judging is None:
        return None
    best = _whom(cheaper, chance / rules.share)
    if best.price_nanos is None:
        return None
    price = best.price_nanos + 2 * judging  # it reads the request and both answers
    if spent_nanos + price > rules.budget_nanos:
        return None
    return ShadowPlan(deployment=best.name, tier=best.tier, judge=rules.judge, price_nanos=price)


_LOWEST = 0.75
"""Of the calls that could go to several tiers below, so many go to the lowest: what could be local is the
question; what could at least be cheaper is the next one."""


def _whom(cheaper: Sequence[Considered], chance: float) -> Considered:
    """The one that is most likely good, of the tier that is to be learned about."""
    tiers = sorted({rank(one.tier) for one in cheaper})
    wanted = tiers[0] if chance < _LOWEST else tiers[min(1, len(tiers) - 1)]
    return max((one for one in cheaper if rank(one.tier) == wanted), key=lambda one: one.chance)


def _able(one: Considered) -> bool:
    """It could have answered; that its tier was not wanted is what is to be found out."""
    return not one.excluded or one.unwanted


def judge_prompt(question: str, answer: str, shadow: str) -> str:
    """What the judge is asked. Its answer is read by `judged`."""
    return (
        "Two assistants answered the same request. Answer A is known to be good. Say how well answer B "
        "serves the person who asked, compared with A: 10 is as good or better, 5 usable with small flaws, "
        "0 is useless or wrong. Differences of style or length do not count.\n\n"
        f"# Request\n{question[:_ANSWER_CHARS]}\n\n# Answer A\n{answer[:_ANSWER_CHARS]}\n\n"
        f"# Answer B\n{shadow[:_ANSWER_CHARS]}\n\nReply with one whole number from 0 to 10 and nothing else."
    )


def judged(words: str) -> float | None:
    """The score in 0..1 that a judge's words say; None when they say none."""
    found = _SCORE.search(_SCALE.sub(" ", words.strip()[:200]))
    return None if found is None else int(found[1]) / 10


def counted(tallies: Tallies, task: str, deployment: str, tier: Tier, score: float) -> Tallies:
    """The tallies with one more comparison."""
    kind = kind_of(task)
    row = tallies.get(kind, {})
    before = row.get(deployment, ShadowTally())
    after = ShadowTally(tier=tier, compared=before.compared + 1, good=before.good + (score >= GOOD))
    return {**tallies, kind: {**row, deployment: after}}
