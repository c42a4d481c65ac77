"""The life of one server of ours: processes one after the other, from admission until it is stopped for good.

One task runs it. It alone moves the state; what others want of it are `Orders`, and what follows a death is
decided by `supervisor.lifecycle`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

from freehold.core.deaths import Certificate, ExitFacts
from freehold.core.errors import FreeholdError
from freehold.core.memory import Placement
from freehold.core.servers import Engine, LeaseRefusal, ServerSpec
from freehold.core.servers import ServerState as S
from freehold.supervisor import lifecycle
from freehold.supervisor.inquest import Running, inquest
from freehold.supervisor.leasing import Leasing
from freehold.supervisor.leftover import clear_cage
from freehold.supervisor.liveness import Health, Hung, Kind, Look
from freehold.supervisor.orders import Order, Orders
from freehold.supervisor.probe import error_words, post
from freehold.supervisor.process import EngineProcess
from freehold.supervisor.room import memory_back
from freehold.supervisor.starting import begin
from freehold.supervisor.status import Status
from freehold.supervisor.ties import Ties

_Found = TypeVar("_Found")

_FIRST_PROBE_S = 0.02
_SLOWEST_PROBE_S = 0.2
_HUNG_STOP_S = 1.0
"""A server that does not answer seldom listens to a signal."""
_FROM_OUTSIDE = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL})


class UnendableError(FreeholdError):
    """Not even SIGKILL ends it."""


class Life:
    """Owned by a `ManagedServer`; `run` once for each admission."""

    def __init__(
        self, spec: ServerSpec, engine: Engine, ties: Ties, status: Status, leasing: Leasing
    ) -> None:
        self.orders = Orders()
        self.running: Running | None = None
        self._spec = spec
        self._engine = engine
        self._ties = ties
        self._settings = ties.settings
        self._clock = ties.clock
        self._status = status
        self._leasing = leasing
        self._deaths: tuple[lifecycle.Death, ...] = ()
        self._drain_began_s: float | None = None

    def adjust(self, spec: ServerSpec) -> None:
        """Treat the same process otherwise."""
        self._spec = spec
        if self.running is not None:
            self.running.watch.adjust(spec)

    def forgive(self) -> None:
        """Forget earlier deaths: a person wants another try."""
        self._deaths = ()

    async def run(self, placement: Placement | None) -> Order | None:
        """From STARTING to STOPPED or FAILED, or until it is left to the next Freehold; answers the order
        that ended it, if one did. A process that an earlier Freehold left is gone on with. Cancelling stops
        the process, and waits until it is gone."""
        try:
            while await self._round(placement):
                pass
            return self.orders.now
        except (FreeholdError, OSError) as error:  # it cannot be run here; trying again changes nothing
            self._fail(str(error))
            return None
        except Exception as error:
            self._fail(f"internal error: {error!r}")
            raise
        finally:
            self.running = None

    # One process

    async def _round(self, placement: Placement | None) -> bool:
        """One process from its start to its end; whether another one follows."""
        if (order := self.orders.now) is not None:
            self._stopped(order)
            return False
        running = self.running = await self._begin(placement)
        try:
            exit = await self._live(running)
            self.running = None
            if exit is None:
                return False
            if self.orders.now is None:
                self._status.move(S.BACKOFF, "it ended; looking why", base_url=None, pid=None)
            certificate = await self._certify(running, exit)
        finally:
            if running.observation is not None:
                running.observation.close()
        await memory_back(running, self._settings)
        return await self._after(certificate, exit)

    async def _begin(self, placement: Placement | None) -> Running:
        running = await begin(self._spec, self._engine, self._ties, placement)
        self._status.update(
            pid=running.process.pid,
            base_url=running.base_url,
            detail=running.launch.program,
            placement=running.placement,
            reported=None,
            started_load_s=running.began_s,
            eta_s=self._ties.records.of(self._spec).load_s,
        )
        return running

    async def _live(self, running: Running) -> ExitFacts | None:
        """Until its end; None when it is left alive."""
        exited = asyncio.ensure_future(running.process.wait())
        exited.add_done_callback(self.orders.ring)
        self._drain_began_s = None
        try:
            running.hung = await self._until_ready(running, exited)
            if running.ready_ms is not None:
                await self._learn(running)
                running.hung = await self._serve(running, exited)
            self._leasing.close()
            order = self.orders.now
            if order is not None and order.then == "leave" and not running.hung and not exited.done():
                exited.cancel()
                await asyncio.gather(exited, return_exceptions=True)
                running.process.leave()
                return None
            if not exited.done():
                await self._stop(running)
            return await exited
        except UnendableError:
            raise
        except BaseException:
            self._leasing.close()
            await asyncio.shield(self._stop(running))
            await asyncio.gather(exited, return_exceptions=True)
            self._leasing.forget()
            raise

    async def _until_ready(self, running: Running, exited: asyncio.Future[ExitFacts]) -> str:
        """Until it is ready, has ended, or is ordered to end; else why it is taken for hung."""
        pause_s = _FIRST_PROBE_S
        while (took_s := self._clock.monotonic_s() - running.began_s) < self._spec.load_timeout_s:
            health = await self._while_nothing_else(running.watch.load_probe(), exited)
            if exited.done() or self.orders.now is not None:
                return ""
            if health is Health.READY:
                return await self._load(running, exited)
            if health is Health.LOADING and self._status.state is S.STARTING:
                self._status.move(S.LOADING)
            await self.orders.rest(min(pause_s, self._spec.load_timeout_s - took_s))
            pause_s = min(pause_s * 1.5, _SLOWEST_PROBE_S)
            if exited.done() or self.orders.now is not None:
                return ""
        return f"it was not ready after {self._spec.load_timeout_s:g} s"

    async def _load(self, running: Running, exited: asyncio.Future[ExitFacts]) -> str:
        """It answers: ready, for most engines. Some load with the first call, so they get one; why that
        failed, if it did."""
        launch = running.launch
        if launch.load_path and not running.found:
            if self._status.state is S.STARTING:
                self._status.move(S.LOADING)
            left_s = self._spec.load_timeout_s - (self._clock.monotonic_s() - running.began_s)
            loading = post(running.base_url, launch.load_path, launch.load_body, left_s)
            loaded = await self._while_nothing_else(loading, exited)
            if loaded is None:
                return ""
            status, answer = loaded
            if status != 200:
                return f"it did not load the model: {error_words(answer)}"
        self._became_ready(running)
        return ""

    async def _while_nothing_else(
        self, work: Coroutine[object, object, _Found], exited: asyncio.Future[ExitFacts]
    ) -> _Found | None:
        """What is found; None when it was given up because the process ended or an order came: a stranger on
        its port may keep us waiting."""
        order = self.orders.now
        doing = asyncio.ensure_future(work)
        doing.add_done_callback(self.orders.ring)
        try:
            while not (doing.done() or exited.done() or self.orders.now is not order):
                await self.orders.rest(None)
            return doing.result() if doing.done() else None
        finally:
            if not doing.done():
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)

    def _became_ready(self, running: Running) -> None:
        running.ready_ms = self._clock.now_ms()
        running.watch.became_ready()
        records, loads = self._ties.records, self._status.view.loads
        if not running.found:
            records.loaded(self._spec, self._clock.monotonic_s() - running.began_s)
            loads += 1
        records.ready(self._spec)
        load_s = records.of(self._spec).load_s
        self._status.move(S.READY, "", started_load_s=None, loads=loads, eta_s=load_s)
        self._leasing.open(running.base_url)

    async def _learn(self, running: Running) -> None:
        """The memory that the engine says it took: for people, and for the next appraisal."""
        spec, placement = self._spec, running.placement

        def read() -> object:
            report = self._engine.report(spec, running.process.output())
            if report is not None and placement is not None and self._settings.appraiser is not None:
                self._settings.appraiser.learn(spec, placement, report)
            return report

        report = await asyncio.to_thread(read)
        self._status.update(reported=report)

    # While it is ready

    async def _serve(self, running: Running, exited: asyncio.Future[ExitFacts]) -> str:
        """Until it has ended, or is ordered to end and nobody holds it any more; else why it is hung."""
        while not exited.done():
            left_s = self._drain_left_s()
            if left_s is not None and left_s <= 0:
                return ""
            verdict = running.watch.verdict(self._leasing.slots.in_flight)
            if isinstance(verdict, Hung):
                return verdict.reason
            if isinstance(verdict, Look):
                await self._look(running, verdict.kind, exited)
            else:
                await self.orders.rest(verdict.seconds if left_s is None else min(verdict.seconds, left_s))
        return ""

    def _drain_left_s(self) -> float | None:
        """Seconds that calls in flight still have; None: nobody orders an end. Moves between READY and
        DRAINING as orders come and are withdrawn."""
        order = self.orders.now
        if order is None:
            if self._status.state is S.DRAINING:
                self._status.move(S.READY, "")
                assert self._status.view.base_url is not None
                self._leasing.open(self._status.view.base_url)
            self._drain_began_s = None
            return None
        self._leasing.close()
        if order.then == "leave" or not self._leasing.slots.in_flight:
            return 0.0
        now_s = self._clock.monotonic_s()
        if self._drain_began_s is None:
            self._drain_began_s = now_s
        left_s = float("inf") if order.drain_s is None else self._drain_began_s + order.drain_s - now_s
        if left_s > 0 and self._status.state is S.READY:
            self._status.move(S.DRAINING, order.reason)
        return left_s

    async def _look(self, running: Running, kind: Kind, exited: asyncio.Future[ExitFacts]) -> None:
        was_idle = not self._leasing.slots.in_flight
        began_s = self._clock.monotonic_s()
        probed = await self._while_nothing_else(running.watch.look(kind, running.process.pid), exited)
        if probed is None:
            return
        if probed.result is Health.READY:
            self._leasing.unbreak(began_s)
        if (
            kind == "deep"
            and was_idle
            and self._leasing.slots.in_flight
            and probed.result is not Health.READY
        ):
            return  # calls came meanwhile, so it had to wait behind them
        running.watch.judge_by(probed)

    # Its end

    async def _stop(self, running: Running) -> None:
        spec, order = self._spec, self.orders.now
        if running.hung:
            within_s, reason = min(spec.stop_timeout_s, _HUNG_STOP_S), f"it hung: {running.hung}"
        else:
            within_s = spec.stop_timeout_s
            reason = order.reason if order is not None else "Freehold ends"
        wanted = S.STOPPING if order is not None or not running.hung else S.DRAINING
        if wanted in lifecycle.MOVES[self._status.state]:
            self._status.move(wanted, reason)
        try:
            await running.process.stop(signal.Signals[spec.stop_signal], within_s, reason)
        except TimeoutError as error:
            raise UnendableError(
                f"process {running.process.pid} does not end, even when killed: it hangs in the kernel, "
                "most likely in a driver or a disk. Look at `dmesg`; a restart of the machine helps."
            ) from error

    async def _certify(self, running: Running, exit: ExitFacts) -> Certificate:
        """Look into the death, while the machine still shows it, and tell."""
        leases = self._leasing.forget()
        certificate = await inquest(self._spec, running, exit, leases, self._settings.evidence_s)
        await clear_cage(self._spec, self._ties)
        self._ties.on_death(certificate)
        if isinstance(running.process, EngineProcess):
            running.process.told()
        return certificate

    async def _after(self, certificate: Certificate, exit: ExitFacts) -> bool:
        """What follows: stopped as ordered, again after a pause, or given up."""
        if (order := self.orders.now) is not None:
            self._stopped(order)
            return False
        death = lifecycle.Death(
            at_s=self._clock.monotonic_s(),
            was_ready=certificate.ready,
            by_itself=exit.signal not in _FROM_OUTSIDE or certificate.cause.startswith(("oom", "hung")),
            sentence=certificate.sentence,
        )
        self._deaths = (*lifecycle.recent(self._deaths, self._spec.restart), death)
        step = lifecycle.after_death(self._deaths, self._spec.restart, self._settings.chance())
        if isinstance(step, lifecycle.GiveUp):
            self._fail(step.reason)
            return False
        self._status.update(detail=certificate.sentence)
        again_s = self._clock.monotonic_s() + step.delay_s
        while (left_s := again_s - self._clock.monotonic_s()) > 0 and self.orders.now is None:
            await self.orders.rest(left_s)
        if (order := self.orders.now) is not None:
            self._stopped(order)
            return False
        self._status.move(S.STARTING, "again after it died", restarts=self._status.view.restarts + 1)
        return True

    def _stopped(self, order: Order) -> None:
        if self._status.state in (S.STARTING, S.LOADING, S.READY, S.DRAINING):
            self._status.move(S.STOPPING, order.reason, base_url=None, pid=None)
        self._status.move(
            S.STOPPED, order.reason, base_url=None, pid=None, placement=None, started_load_s=None
        )

    def _fail(self, reason: str) -> None:
        if S.FAILED in lifecycle.MOVES[self._status.state]:
            self._status.move(S.FAILED, reason, base_url=None, pid=None, placement=None, started_load_s=None)
        name = self._spec.name
        self._leasing.refuse(
            LeaseRefusal(code="failed", message=f"model server '{name}' has failed: {reason}")
        )
