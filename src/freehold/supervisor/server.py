"""One model server: its state, its slots and queue, and the life that runs it. Used by the pool only.

A server that is asked for waits in STARTING until the arbiter admits it; then its life runs as a task until
it is stopped, and with calls still waiting it is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from freehold.core.errors import FreeholdError
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import Engine, LeaseAsk, LeaseRefusal, ServerSpec
from freehold.core.servers import ServerState as S
from freehold.supervisor.adopted import AdoptedLife
from freehold.supervisor.leasing import Answer, Leasing
from freehold.supervisor.life import Life
from freehold.supervisor.orders import Order
from freehold.supervisor.residency import Resident
from freehold.supervisor.status import OnChange, Status
from freehold.supervisor.ties import Ties

_WAITS = "waits for its turn"


class ManagedServer:
    """See the module. `status.view` and `leasing` may be read by the pool at any time."""

    def __init__(self, spec: ServerSpec, engine: Engine | None, ties: Ties, on_change: OnChange) -> None:
        """`engine` None: it is adopted."""
        self.spec = spec
        self.status = Status(spec, ties.clock, on_change)
        self.leasing = Leasing(spec, ties.clock)
        self._ties = ties
        self.life = self._new_life(engine)
        self._next: tuple[ServerSpec, Engine | None] | None = None
        """To be used once the process that runs is gone."""
        self._task: asyncio.Task[Order | None] | None = None
        self._ordered = False
        """Somebody asked for it to run, beside the calls that wait."""
        self._due = False
        self._held_down = False
        """Somebody stopped it: keep-warm does not bring it back."""

    def _new_life(self, engine: Engine | None) -> Life | AdoptedLife:
        if engine is None:
            return AdoptedLife(self.spec, self._ties, self.status, self.leasing)
        return Life(self.spec, engine, self._ties, self.status, self.leasing)

    # -- asked for

    @property
    def is_waiting(self) -> bool:
        """Asked for, and not admitted."""
        return self._task is None and self.status.state is S.STARTING

    def begin(self, *, ordered: bool = True, due: bool = False) -> None:
        """Ask for it to run, if it does not and has not failed. `due`: only where there is room."""
        if isinstance(self.life, AdoptedLife) and self._task is not None:
            self.life.orders.ring()  # it cannot be started; look now whether it is there
            return
        self._ordered |= ordered and not due
        self._due |= due
        self._held_down = False
        if self._task is None and self.status.state is S.STOPPED:
            self.status.move(S.STARTING, _WAITS)
            if isinstance(self.life, AdoptedLife):
                self.admit(None)

    def begin_again(self) -> None:
        """Also after a failure, with a clean record."""
        self.life.forgive()
        if self.status.state is S.FAILED:
            self.status.move(S.STOPPED)
        self.begin()

    def admit(self, placement: Placement | None) -> None:
        """Its turn: the life begins. Does nothing when it is not asked for any more."""
        if self.is_waiting:
            self._ordered = self._due = False
            coroutine = self.life.run(placement)
            self._task = asyncio.create_task(coroutine, name=f"server {self.spec.name}")
            self._task.add_done_callback(self._ended)

    def refuse(self, message: str) -> None:
        """It cannot run here now."""
        if self.is_waiting:
            self._ordered = self._due = False
            words = f"model server '{self.spec.name}' does not fit: {message}"
            self.leasing.refuse(LeaseRefusal(code="does_not_fit", message=words))
            self.status.move(S.STOPPED, words)

    # -- calls

    def wait(self, ask: LeaseAsk, callback: Answer) -> Callable[[], None]:
        """Queue, and ask for it to run."""
        leave = self.leasing.wait(ask, callback)
        if self.leasing.base_url is None:
            if (refusal := self.refusal()) is not None:
                self.leasing.refuse(refusal)
            else:
                self.begin(ordered=False)
        return leave

    def refusal(self) -> LeaseRefusal | None:
        """Why no call will be served, however long it waits."""
        name, detail = self.spec.name, self.status.view.detail
        if self.status.state is S.FAILED:
            return LeaseRefusal(code="failed", message=f"model server '{name}' has failed: {detail}")
        if isinstance(self.life, AdoptedLife) and self._task is not None and self.status.state is S.STOPPED:
            return LeaseRefusal(code="stopped", message=f"model server '{name}' is adopted: {detail}")
        return None

    def gave_back(self, *, failed: bool, now_s: float) -> None:
        """A call ended: what that says of the server, and whether somebody waits for it to be empty."""
        running = self.life.running
        if running is None:
            return
        if failed:
            running.watch.suspect_s = now_s
            self.life.orders.ring()
        else:
            running.watch.worked_s = now_s
            if self.leasing.base_url is None:
                self.life.orders.ring()

    @property
    def may_come(self) -> bool:
        """Nobody waits for it; it starts where there is room."""
        return self._due or (self.spec.keep_warm and not self._held_down)

    def put_off(self, words: str) -> None:
        """There is no room now, and nobody waits: it starts when there is."""
        if self.is_waiting and not (self._ordered or self.leasing.slots.busy):
            self.status.move(S.STOPPED, words)

    def says_it_waits(self, words: str) -> None:
        """Why it is not admitted yet."""
        if self.is_waiting and self.status.view.detail != words:
            self.status.update(detail=words)

    def drop_if_unwanted(self) -> None:
        """It waits for its turn, and nobody for it any more."""
        if self.is_waiting and not (self._ordered or self._due or self.leasing.slots.busy):
            self.status.move(S.STOPPED, "")

    def estimated_wait_s(self, now_s: float) -> float | None:
        """See `ModelServers.estimated_wait_s`."""
        slots = self.leasing.slots
        queue_s = slots.estimated_wait_s(now_s)
        if self.leasing.base_url is not None:
            return queue_s
        load_s = self._ties.records.of(self.spec).load_s
        if self.status.state is S.FAILED or load_s is None:
            return None
        if (began_s := self.status.view.started_load_s) is not None:
            load_s = max(0.0, load_s - (now_s - began_s))
        if queue_s is None:  # nothing was ever measured, and nobody is before it
            return load_s if not slots.busy else None
        return load_s + queue_s

    # -- ended

    async def end(self, order: Order) -> None:
        """Stop it, and wait until its process is gone; with `order.then` "start" it is asked for again."""
        if order.then == "stay":
            self._ordered = self._due = False
            self._held_down = True
            words = f"model server '{self.spec.name}' was stopped"
            self.leasing.refuse(LeaseRefusal(code="stopped", message=words))
        if self._task is not None:
            self.life.orders.give(order)
            await asyncio.wait({self._task})
        elif self.status.state in (S.STARTING, S.FAILED) and order.then != "leave":
            self.status.move(S.STOPPED, order.reason)
            self._use_next()
            if order.then == "start":
                self.begin()

    def evict(self, order: Order) -> None:
        """Drain and stop, unless somebody has ordered an end already."""
        if self._task is not None and self.life.orders.now is None:
            self.leasing.close()  # at once: a call that comes now waits for the next process
            self.life.orders.give(order)

    def take_over(self, engine: Engine) -> None:
        """An adopted server becomes ours: it may be stopped, and `engine` starts it the next time. Raises
        FreeholdError when it is not there."""
        if not isinstance(self.life, AdoptedLife) or self.status.state is not S.READY:
            raise FreeholdError(f"'{self.spec.name}' cannot be taken over: it is {self.status.state}")
        self.life.take_over()
        self._next = (msgspec.structs.replace(self.spec, adopt=""), engine)

    def take_up(self) -> None:
        """Go on with a process that an earlier Freehold left: it has its memory already."""
        if self._task is None and self.status.state is S.STOPPED:
            self.status.move(S.STARTING, "was left running")
            self.admit(self._ties.records.of(self.spec).placement)

    def keep(self) -> None:
        """Not evicted after all, if its process still serves."""
        order = self.life.orders.now
        if order is not None and order.for_name and self.status.state is S.DRAINING:
            self.life.orders.withdraw()

    async def replace(self, spec: ServerSpec, engine: Engine | None, reason: str) -> None:
        """Go on under another specification; calls that wait go on waiting, and a process that serves both
        goes on running."""
        if self._next is None and self.spec.same_process(spec):
            self.spec = spec
            self.status.use(spec)
            self.leasing.slots.use(spec)
            self.life.adjust(spec)
            return
        self._next = (spec, engine)
        if self._task is None and self.status.state in (S.STOPPED, S.FAILED):
            if self.status.state is S.FAILED:
                self.status.move(S.STOPPED, reason)
            self._use_next()
        else:
            await self.end(Order(reason=reason, drain_s=self.spec.drain_timeout_s, then="start"))

    async def leave(self, order: Order) -> None:
        """The pool ends."""
        try:
            await self.end(order)
        finally:
            if self._task is not None:  # we are cancelled ourselves
                self._task.cancel()
                await asyncio.wait({self._task})
            if self.is_waiting:
                self.status.move(S.STOPPED, order.reason)
            self.leasing.refuse(LeaseRefusal(code="stopped", message="Freehold ends"))
            self.leasing.end()

    def _ended(self, task: asyncio.Task[Order | None]) -> None:
        """The life is over: state STOPPED or FAILED, or left alive."""
        self._task = None
        self.life.orders.now = None
        order = None if task.cancelled() or task.exception() is not None else task.result()
        if order is not None and order.then == "leave":
            return
        self._use_next()
        again = order is not None and order.then == "start"
        wanted = again or self._ordered or self._due or self.leasing.slots.busy
        if self.status.state is S.STOPPED and wanted:
            self.begin(ordered=again)

    def _use_next(self) -> None:
        if self._next is not None:
            self.spec, engine = self._next
            self._next = None
            self.status.use(self.spec)
            self.leasing.slots.use(self.spec)
            self.life = self._new_life(engine)

    # -- as the arbiter sees it

    def _state_for_arbiter(self) -> S:
        """Not admitted is not started, and ordered to end is going."""
        if self.is_waiting:
            return S.STOPPED
        going = self.status.state is S.READY and self.life.orders.now is not None
        return S.DRAINING if going else self.status.state

    def resident(self, now_s: float, ways: tuple[MemoryNeed, ...]) -> Resident:
        spec, view, slots = self.spec, self.status.view, self.leasing.slots
        load, record = slots.load(now_s), self._ties.records.of(self.spec)
        running = self.life.running
        ready_s = running.watch.ready_s if running is not None else now_s
        used_s = load.last_used_s
        return Resident(
            name=spec.name,
            state=self._state_for_arbiter(),
            ours=view.ours,
            pin=spec.pin,
            priority=spec.priority,
            min_stay_s=spec.min_stay_s,
            keep_warm=spec.keep_warm and not self._held_down,
            due=self._due,
            ordered=self._ordered,
            idle_stop_s=spec.idle_stop_s,
            after=spec.after,
            gpus=spec.gpus,
            placement=view.placement,
            holds=running.memory[-1] if running is not None and running.memory else None,
            ways=ways,
            in_flight=load.in_flight,
            queued=load.queued,
            oldest_wait_s=load.oldest_wait_s,
            top_priority=slots.top_priority,
            ready_for_s=now_s - ready_s if view.state in (S.READY, S.DRAINING) else 0.0,
            idle_for_s=now_s - used_s if used_s is not None and used_s >= ready_s else None,
            reload_cold_s=record.cold_s,
            reload_warm_s=record.warm_s,
            uses_per_hour=slots.uses_per_hour(now_s),
        )
