"""Slots of one server on the event loop: answers are delivered, and waits end in time.

The bookkeeping is `supervisor.slots`; here are the timer and the callbacks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from freehold.core.clock import Clock
from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerSpec
from freehold.supervisor.slots import Slots, Waiter

_BROKEN_S = 10.0
"""A call that broke so long before its server's end was seen may have been the reason."""
_BROKEN_KEPT = 64

Answer = Callable[[Lease | LeaseRefusal], None]


class _Wait:
    """One call that waits, from `join` until its answer was delivered or it left."""

    __slots__ = ("answer", "callback", "left", "waiter")

    def __init__(self, callback: Answer) -> None:
        self.callback = callback
        self.waiter: Waiter | None = None
        self.answer: Lease | LeaseRefusal | None = None
        self.left = False

    def tell(self, answer: Lease | LeaseRefusal) -> None:
        """Never from within the call that asked or gave back: the loop delivers."""
        self.answer = answer
        asyncio.get_running_loop().call_soon(self._deliver, answer)

    def _deliver(self, answer: Lease | LeaseRefusal) -> None:
        if not self.left:
            self.left = True
            self.callback(answer)


class Leasing:
    """Owned by a `ManagedServer`. `base_url` None: nobody gets a slot, who waits goes on waiting."""

    def __init__(self, spec: ServerSpec, clock: Clock) -> None:
        self.slots = Slots(spec)
        self.base_url: str | None = None
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._broken: deque[tuple[float, Lease]] = deque(maxlen=_BROKEN_KEPT)

    def open(self, base_url: str) -> None:
        """The server is ready: grant from now on."""
        self.base_url = base_url
        self.grant()

    def close(self) -> None:
        """Grant no more; who holds a slot keeps it."""
        self.base_url = None

    def forget(self) -> tuple[Lease, ...]:
        """The server is gone, and with it every lease; giving them back later does nothing. Answers what was
        in flight, also what its callers saw break before we saw it end."""
        self.base_url = None
        now_s = self._clock.monotonic_s()
        leases = self.slots.in_flight
        for lease in leases:
            self.slots.give_back(lease, now_s, measured=False)
        broken = [lease for broke_s, lease in self._broken if now_s - broke_s <= _BROKEN_S]
        self._broken.clear()
        return (*broken, *leases)

    def unbreak(self, until_s: float) -> None:
        """The server lived at this time (monotonic): what broke before has another reason."""
        while self._broken and self._broken[0][0] <= until_s:
            self._broken.popleft()

    def take(self, ask: LeaseAsk) -> Lease | None:
        base_url = self.base_url
        return None if base_url is None else self.slots.take(base_url, ask, self._clock.monotonic_s())

    def give_back(self, lease: Lease, *, failed: bool) -> None:
        now_s = self._clock.monotonic_s()
        if failed:
            self._broken.append((now_s, lease))
        self.slots.give_back(lease, now_s, measured=not failed)
        self.grant()

    def wait(self, ask: LeaseAsk, callback: Answer) -> Callable[[], None]:
        """Queue. Answers once, later; returns a function that leaves."""
        wait = _Wait(callback)
        joined = self.slots.join(ask, wait.tell, self._clock.monotonic_s())
        if isinstance(joined, LeaseRefusal):
            wait.tell(joined)
        else:
            wait.waiter = joined
            if self.base_url is not None:
                self.grant()
            self._set_timer()
        return lambda: self._leave(wait)

    def refuse(self, refusal: LeaseRefusal) -> None:
        """Everybody who waits is told."""
        for tell, answer in self.slots.refuse_all(refusal):
            tell(answer)

    def grant(self) -> None:
        if self.base_url is not None:
            for tell, lease in self.slots.grant(self.base_url, self._clock.monotonic_s()):
                tell(lease)

    def end(self) -> None:
        """No timer is left behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self, wait: _Wait) -> None:
        if wait.left:
            return
        wait.left = True
        if isinstance(wait.answer, Lease):  # granted, and not delivered yet
            self.slots.give_back(wait.answer, self._clock.monotonic_s(), measured=False)
            self.grant()
        elif wait.waiter is not None:
            self.slots.leave(wait.waiter)

    def _set_timer(self) -> None:
        """A timer may stand for a wait that is over: then nothing is overdue, and the next one is set."""
        deadline_s = self.slots.next_deadline_s
        if deadline_s is None:
            return
        delay_s = max(0.0, deadline_s - self._clock.monotonic_s())
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay_s, self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        for tell, refusal in self.slots.overdue(self._clock.monotonic_s()):
            tell(refusal)
        self._set_timer()
