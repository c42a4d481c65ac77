"""Shadow evaluation at work: some calls are put to a cheaper place, too, and a judge compares.

Calls go over our own port, under the agent `freehold-shadow` and by the name of a deployment, so nothing is
chosen for them: they are not shadowed themselves. Questions and answers are kept in memory, until they are
compared; the score goes into the ledger, like any outcome. Which calls, and what a judge is asked, is
`routing.shadow` and `routing.comparing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from freehold.app.outcomes import OutcomeBook
from freehold.app.own_port import OwnAnswer, OwnPort
from freehold.app.shadow_tally import load_tallies, note_of, save_tallies, task_views
from freehold.app.to_the_end import to_the_end
from freehold.cache.gather import gathered
from freehold.core.clock import Clock
from freehold.core.servers import ServerState
from freehold.dialects.conversation import Answer
from freehold.gateway.deciding import standing_now
from freehold.gateway.gateway import Gateway
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.spend import Wanted, read_spending
from freehold.routing.comparing import (
    PATHS,
    comparable,
    judge_body,
    plain_verdict,
    read_whole,
    shadow_body,
    text_of,
)
from freehold.routing.outcomes import Outcome, Source
from freehold.routing.shadow import (
    AGENT,
    ShadowCall,
    ShadowPlan,
    ShadowRules,
    Tallies,
    counted,
    judged,
    shadow_plan,
)
from freehold.routing.world import Decision, Standing
from freehold.web.money import ShadowView

TASK = "shadow"
MOST_WAITING = 8
_DAY_MS = 86_400_000
_WITHIN_S = 300.0
_PATIENCE_S = 120.0
"""So long a comparison waits until a server of ours has nothing else to do."""
_LOOK_S = 1.0
_SAVE_EVERY = 20
_HEADERS: Mapping[str, str] = {
    "x-freehold-task": TASK,
    "x-freehold-priority": "100",
    "x-freehold-cache": "off",
}


class Places(Protocol):
    """How deployments are doing, by name. `HousePlaces`."""

    def standing(self, deployment: str) -> Standing:
        """`loaded` is None for those that are no servers of ours."""
        ...

    def may_load(self, server: str) -> bool:
        """Whether its model can be loaded without taking the place of another."""
        ...


class HousePlaces:
    """What the gateway knows of them."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock

    def standing(self, deployment: str) -> Standing:
        place = self._gateway.place_named(deployment)
        return standing_now(self._gateway, place, self._clock.now_ms())

    def may_load(self, server: str) -> bool:
        views = self._gateway.servers.views()
        return all(view.name == server or view.state is ServerState.STOPPED for view in views)


class _Unusable(Exception):
    """This comparison comes to nothing, for a reason that is nobody's fault."""


class HouseShadow:
    """Implements `routing.shadow.Shadows`. Lives on the loop; `keep` runs beside the calls."""

    def __init__(
        self, rules: ShadowRules, book: OutcomeBook, own: OwnPort, places: Places, clock: Clock
    ) -> None:
        """`own`: our port, as agent `freehold-shadow`."""
        self._rules = rules
        self._home = book.home
        self._book = book
        self._places = places
        self._clock = clock
        self._own = own
        self._queue: deque[ShadowCall] = deque()
        """The first one is under way."""
        self._came = asyncio.Event()
        self._tallies: Tallies = {}
        self._day = 0
        self._spent_nanos = 0
        self._held_nanos = 0
        """Expected of those that wait or are under way."""
        self._unsaved = 0
        self._ready = False
        self.dropped = 0
        """Not compared: too many waited, a server was busy for too long, a call failed."""

    @property
    def accepted(self) -> Mapping[str, str]:
        """The key of its own calls, as `OwnPort.accepted`."""
        return self._own.accepted

    def use(self, rules: ShadowRules) -> None:
        """From now on by these."""
        self._rules = rules

    # -- routing.shadow.Shadows

    def wants(self, decision: Decision, *, critical: bool, side_effects: bool) -> ShadowPlan | None:
        rules = self._rules
        chance = random.random()  # noqa: S311 - which calls are compared is no secret
        if chance >= rules.share or not self._ready or len(self._queue) >= MOST_WAITING:
            return None
        return shadow_plan(
            decision,
            rules,
            chance=chance,
            spent_nanos=self._spent_today() + self._held_nanos,
            critical=critical,
            side_effects=side_effects,
        )

    def offer(self, call: ShadowCall) -> None:
        if len(self._queue) >= MOST_WAITING or call.endpoint not in PATHS:
            self.dropped += 1
            return
        self._held_nanos += call.plan.price_nanos
        self._queue.append(call)
        self._came.set()

    def view(self) -> ShadowView:
        """What was found, and what it cost today."""
        return ShadowView(
            at_work=self._ready and self._rules.share > 0,
            spent_nanos=self._spent_today(),
            budget_nanos=self._rules.budget_nanos,
            waiting=len(self._queue),
            dropped=self.dropped,
            tasks=tuple(task_views(self._tallies)),
        )

    # -- beside the calls

    async def keep(self) -> None:
        """Compare, one after the other, until cancelled."""
        await self._take_up()
        try:
            while True:
                while not self._queue:
                    self._came.clear()
                    await self._came.wait()
                try:
                    await self._next(self._queue[0])
                finally:
                    self._queue.popleft()
        finally:
            if self._unsaved:
                with contextlib.suppress(OSError):
                    save_tallies(self._home, self._tallies, self._book.entries())

    async def _take_up(self) -> None:
        """What was found, and paid today, before this start. Calls that are made meanwhile are not compared,
        so nothing is counted twice."""
        self._tallies = await asyncio.to_thread(load_tallies, self._home)
        await self._count_paid()
        self._ready = True

    async def _next(self, call: ShadowCall) -> None:
        try:
            try:
                await self._compare(call)
            except (OSError, _Unusable):
                self.dropped += 1
            await self._count_paid()
        finally:  # not before it is counted as paid: at no time is it neither
            self._held_nanos -= call.plan.price_nanos
        if self._unsaved >= _SAVE_EVERY:
            self._unsaved = 0
            with contextlib.suppress(OSError):
                await to_the_end(save_tallies, self._home, self._tallies, self._book.entries())

    async def _compare(self, call: ShadowCall) -> None:
        plan, answer = call.plan, _answer_of(call)
        body = shadow_body(call.body, plan.deployment)
        if answer is None or body is None or not comparable(call.body, answer):
            raise _Unusable
        told = await self._ask(plan.deployment, PATHS[call.endpoint], body)
        receipt = told.headers.get("x-freehold-receipt", "")
        shadow = read_whole(call.dialect, told.body)
        if shadow is None:
            raise _Unusable
        source: Source = "validator"
        verdict = plain_verdict(call.body, answer, shadow)
        if verdict is not None:
            score, why = verdict.score, verdict.why
        else:
            source, why = "judge", f"judged by {plan.judge}"
            score = await self._judge(plan.judge, call, text_of(answer), text_of(shadow))
        outcome = Outcome(
            task=call.task, deployment=plan.deployment, score=score, source=source, receipt=receipt
        )
        self._book.compared(outcome, call.receipt, AGENT, note_of(plan.tier, call.receipt, why))
        self._tallies = counted(self._tallies, call.task, plan.deployment, plan.tier, score)
        self._unsaved += 1

    async def _judge(self, judge: str, call: ShadowCall, answer: str, shadow: str) -> float:
        told = await self._ask(judge, PATHS["chat"], judge_body(judge, call.body, answer, shadow))
        said = read_whole("chat", told.body)
        score = None if said is None else judged(text_of(said))
        if score is None:
            raise _Unusable
        return score

    async def _ask(self, deployment: str, path: str, body: bytes) -> OwnAnswer:
        """Put one call to a place, when it has nothing else to do. Raises OSError, _Unusable: also when
        somebody else began to wait for it meanwhile."""
        await self._quiet(deployment)
        asking = asyncio.ensure_future(self._own.post(path, body, _HEADERS, _WITHIN_S))
        try:
            while not asking.done():
                await asyncio.wait((asking,), timeout=_LOOK_S)
                if not asking.done() and self._awaited(deployment):
                    raise _Unusable
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait((asking,))
        told = asking.result()
        if told.status != 200:
            raise _Unusable
        return told

    async def _quiet(self, deployment: str) -> None:
        """Wait until nobody else is at work there. Raises _Unusable when that takes too long, when it may not
        be asked, and when its model would have to be loaded."""
        until_s = self._clock.monotonic_s() + _PATIENCE_S
        while True:
            standing = self._places.standing(deployment)
            if standing.barred or (standing.loaded is False and not self._places.may_load(deployment)):
                raise _Unusable
            if standing.loaded is None or not standing.outstanding:
                return
            if self._clock.monotonic_s() > until_s:
                raise _Unusable
            await asyncio.sleep(_LOOK_S)

    def _awaited(self, deployment: str) -> bool:
        """Whether somebody else waits for the server that works for us."""
        standing = self._places.standing(deployment)
        return standing.loaded is not None and standing.outstanding > standing.slots

    # -- money

    async def _count_paid(self) -> None:
        """What receipts say, so that calls count that broke off, too."""
        today = self._today()
        with contextlib.suppress(LedgerError):  # none yet; a damaged one is told by those who own it
            spent_nanos = await asyncio.to_thread(_paid_since, self._home, today * _DAY_MS)
            self._day, self._spent_nanos = today, spent_nanos

    def _spent_today(self) -> int:
        today = self._today()
        if today != self._day:
            self._day, self._spent_nanos = today, 0
        return self._spent_nanos

    def _today(self) -> int:
        return self._clock.now_ms() // _DAY_MS


def shadow_of(
    rules: ShadowRules, book: OutcomeBook, gateway: Gateway, clock: Clock, port: int, host: str = "127.0.0.1"
) -> HouseShadow:
    """That of a running house, whose port is open."""
    own = OwnPort(AGENT)
    own.host, own.port = host, port
    return HouseShadow(rules, book, own, HousePlaces(gateway, clock), clock)


def _answer_of(call: ShadowCall) -> Answer | None:
    """What the client got, streamed or not."""
    document = call.answer
    lines = call.endpoint == "ollama.chat" and b"\n{" in document
    if lines or not document.lstrip().startswith(b"{"):
        try:
            whole = gathered(call.endpoint, document)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if whole is None:
            return None
        document = msgspec.json.encode(whole)
    return read_whole(call.dialect, document)


def _paid_since(home: Path, since_ms: int) -> int:
    """What shadows cost since then. Blocking."""
    found = read_spending(home, [Wanted("agent", since_ms)])
    newer: list[Receipt] = [one for one in found.newer if one.agent == AGENT and one.started_ms >= since_ms]
    return sum(one.nanos for one in found.sums[0] if one.name == AGENT) + sum(one.cost_nanos for one in newer)
