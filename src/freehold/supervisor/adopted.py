"""A server that someone else runs: watched and used, and never stopped before it is taken over.

It is READY while its health answers, LOADING while it says so, else STOPPED: then Freehold goes on looking.
"""

from __future__ import annotations

import asyncio
import signal

from freehold.core.deaths import ExitFacts, Subject
from freehold.core.memory import Placement
from freehold.core.servers import Launch, LeaseRefusal, ServerSpec
from freehold.core.servers import ServerState as S
from freehold.supervisor.foreign import ForeignProcess
from freehold.supervisor.inquest import Running, inquest
from freehold.supervisor.leasing import Leasing
from freehold.supervisor.liveness import Health, Hung, Look
from freehold.supervisor.orders import Order, Orders
from freehold.supervisor.probe import probe
from freehold.supervisor.status import Status
from freehold.supervisor.ties import Ties
from freehold.supervisor.watch import Watch

_USUAL_PATHS = ("/health", "/v1/models")
"""Asked in turn where the configuration names none."""


class AdoptedLife:
    """Owned by a `ManagedServer`, like `supervisor.life.Life`."""

    def __init__(self, spec: ServerSpec, ties: Ties, status: Status, leasing: Leasing) -> None:
        self.orders = Orders()
        self.running: Running | None = None
        self._spec = spec
        self._settings = ties.settings
        self._ties = ties
        self._clock = ties.clock
        self._status = status
        self._leasing = leasing
        self._process: ForeignProcess | None = None

    def adjust(self, spec: ServerSpec) -> None:
        """Treat it otherwise."""
        self._spec = spec
        if self.running is not None:
            self.running.watch.adjust(spec)

    def forgive(self) -> None:
        """Look again."""
        self.orders.ring()

    def take_over(self) -> None:
        """From now on it may be stopped, and is ours to start again when it ends."""
        if self._process is not None:
            self._process.take_over()
        self._status.update(ours=True)

    async def run(self, _placement: Placement | None) -> Order | None:
        """Until an order ends the watch, or it ends after it was taken over: then it is to be started."""
        try:
            while self.orders.now is None:
                path = await self._until_it_answers()
                if path is not None:
                    await self._use(path)
                    if self._status.view.ours and self.orders.now is None:
                        return Order(reason="it ended after it was taken over", then="start")
        finally:
            self._leasing.close()
            self._leasing.forget()
            order = self.orders.now
            self._stopped("no longer watched" if order is None else order.reason)
        return self.orders.now

    async def _until_it_answers(self) -> str | None:
        """The path of its health; None when an order came first."""
        health = Health.SILENT
        while self.orders.now is None:
            for path in [self._spec.health_path] if self._spec.health_path else _USUAL_PATHS:
                health = await probe(self._spec.adopt, path, self._settings.probe_timeout_s)
                if health is Health.READY:
                    return path
                if health is not Health.ERROR:
                    break
            if health is Health.LOADING:
                self._to(S.LOADING)
            elif self._status.state is not S.STOPPED:
                self._stopped(f"nobody serves {self._spec.adopt}; start it where it belongs")
            await self.orders.rest(self._settings.live.probe_every_s)
        return None

    async def _use(self, path: str) -> None:
        """From ready to its end, or until it does not answer any more, or an order comes."""
        try:
            process = self._process = await ForeignProcess.adopt(self._spec.adopt)
        except OSError:
            return
        running = self._noted(process, path)
        exited = asyncio.ensure_future(process.wait())
        exited.add_done_callback(self.orders.ring)
        try:
            self._to(S.STARTING)
            self._status.move(S.READY, process.program, pid=process.pid, base_url=self._spec.adopt)
            self._leasing.open(self._spec.adopt)
            reason = await self._watch(running, exited)
            self._leasing.close()
            if exited.done() or process.ended:  # how it ended may take a moment to learn
                await self._ended(running, await exited)
                return
            if (order := self.orders.now) is not None and process.ours and order.then != "leave":
                reason = order.reason
                number = signal.Signals[self._spec.stop_signal]
                await self._ended(running, await process.stop(number, self._spec.stop_timeout_s, reason))
            self._stopped(reason)
        finally:
            self.running = self._process = None
            self._leasing.forget()
            if running.observation is not None:
                running.observation.close()
            exited.cancel()
            await asyncio.gather(exited, return_exceptions=True)
            process.leave()

    def _noted(self, process: ForeignProcess, path: str) -> Running:
        launch = Launch(argv=(), env={}, health_path=path, program=process.program)
        watch = Watch(self._spec, launch, self._spec.adopt, self._settings, self._clock)
        watch.became_ready()
        running = self.running = Running(
            process=process,
            launch=launch,
            watch=watch,
            base_url=self._spec.adopt,
            began_s=self._clock.monotonic_s(),
            found=True,
            ready_ms=self._clock.now_ms(),
        )
        witness = self._settings.witness
        if witness is not None and process.pid is not None:
            subject = Subject(
                server=self._spec.name, pid=process.pid, port=process.port, started_ms=process.started_ms
            )
            running.observation = witness.watch(subject)
        return running

    async def _watch(self, running: Running, exited: asyncio.Future[ExitFacts]) -> str:
        """Why it is used no longer."""
        began_s: float | None = None
        while not exited.done():
            left_s = float("inf")
            if (order := self.orders.now) is not None:
                self._leasing.close()
                now_s = self._clock.monotonic_s()
                began_s = now_s if began_s is None else began_s
                left_s = float("inf") if order.drain_s is None else began_s + order.drain_s - now_s
                if order.then == "leave" or not self._leasing.slots.in_flight or left_s <= 0:
                    return order.reason
                if self._status.state is S.READY:
                    self._status.move(S.DRAINING, order.reason)
            verdict = running.watch.verdict(self._leasing.slots.in_flight)
            if isinstance(verdict, Hung):
                return verdict.reason
            if isinstance(verdict, Look):
                running.watch.judge_by(await running.watch.look(verdict.kind, running.process.pid))
            else:
                await self.orders.rest(min(verdict.seconds, left_s))
        return "it ended"

    async def _ended(self, running: Running, exit: ExitFacts) -> None:
        """Its certificate, where its process could be seen at all."""
        leases = self._leasing.forget()
        if running.process.pid is None:
            self._stopped(f"nobody serves {self._spec.adopt} any more; start it where it belongs")
            return
        certificate = await inquest(self._spec, running, exit, leases, self._settings.evidence_s)
        self._ties.on_death(certificate)
        self._stopped(certificate.sentence)

    def _to(self, state: S, detail: str = "") -> None:
        """Over the states between."""
        if self._status.state is S.STOPPED:
            self._status.move(S.STARTING, detail)
        if self._status.state is not state and not (state is S.STARTING and self._status.state is S.LOADING):
            self._status.move(state, detail)

    def _stopped(self, detail: str) -> None:
        if self._status.state is S.STOPPED:
            self._status.update(detail=detail, pid=None, base_url=None)
            return
        self._status.move(S.STOPPED, detail, pid=None, base_url=None)
        words = f"model server '{self._spec.name}' is adopted and not there: {detail}"
        self._leasing.refuse(LeaseRefusal(code="stopped", message=words))
