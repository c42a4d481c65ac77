"""The slots of one server, and the queue in front of them.

Owned by the server's `ManagedServer`, which says when time has passed and tells those who waited; here is
only the bookkeeping: no clock, no loop, no timers. Times are monotonic seconds.

The order in the queue: a smaller priority number first; within one priority the callers take turns, so that
one with hundred calls does not keep out one with a single call; within one caller first come, first served.
A low priority waits for as long as higher ones come: its longest wait bounds that.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerLoad, ServerSpec

Callback = Callable[[Lease | LeaseRefusal], None]

_WEIGHT = 0.2
"""Of the newest call in the moving average of how long calls take."""
_MEMORY_S = 900.0
"""Uses are forgotten with this time constant."""
_SLACK = 64
"""Entries of the deadline heap that may be stale before it is made anew."""


class Waiter:
    """One call in the queue."""

    __slots__ = ("ask", "callback", "deadline_s", "joined_s", "lease", "number")

    def __init__(
        self, ask: LeaseAsk, callback: Callback, joined_s: float, wait_s: float, number: int
    ) -> None:
        self.ask = ask
        self.callback = callback
        self.joined_s = joined_s
        self.deadline_s = joined_s + wait_s
        self.number = number
        """Order of arrival."""
        self.lease: Lease | None = None
        """What it was granted."""


_Line = OrderedDict[int, Waiter]
"""The calls of one caller in one priority, by number."""


class Slots:
    """See the module. Never more leases than `spec.slots`, never more waiters than `spec.max_queue`."""

    def __init__(self, spec: ServerSpec) -> None:
        self.open = True
        """False while draining: nobody gets a slot, and who waits goes on waiting."""
        self.last_used_s: float | None = None
        self._spec = spec
        self._slots = spec.slots
        self._held: dict[Lease, None] = {}
        self._waiting: _Line = OrderedDict()
        self._levels: dict[int, OrderedDict[str, _Line]] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._next_number = 0
        self._mean_s: float | None = None
        self._uses = 0.0
        self._uses_at_s = -math.inf

    def use(self, spec: ServerSpec) -> None:
        """Go on under another specification; who holds or waits keeps what it has."""
        self._spec = spec
        self._slots = spec.slots

    # -- slots

    def take(self, base_url: str, ask: LeaseAsk, now_s: float) -> Lease | None:
        """A slot at once; None when there is none free, or others wait for it."""
        if len(self._held) >= self._slots or self._waiting or not self.open:
            return None
        return self._lease(base_url, ask, now_s)

    def give_back(self, lease: Lease, now_s: float, *, measured: bool = True) -> None:
        """Free the slot; does nothing when it is not held. `measured` False: the call broke, so how long it
        took says nothing about others."""
        if lease not in self._held:
            return
        del self._held[lease]
        self.last_used_s = now_s
        if measured:
            took_s, mean_s = now_s - lease.since_s, self._mean_s
            self._mean_s = took_s if mean_s is None else mean_s + _WEIGHT * (took_s - mean_s)

    @property
    def in_flight(self) -> tuple[Lease, ...]:
        """Leases that are out, the oldest first."""
        return tuple(self._held)

    # -- queue

    def join(self, ask: LeaseAsk, callback: Callback, now_s: float) -> Waiter | LeaseRefusal:
        """Stand in the queue, for at most `ask.max_wait_s`, else the server's own bound."""
        wait_s = self._spec.max_wait_s if ask.max_wait_s is None else ask.max_wait_s
        if wait_s <= 0:
            return self._refusal("waited_too_long", "has no free slot, and the call does not wait", now_s)
        if len(self._waiting) >= self._spec.max_queue:
            words = f"has {len(self._waiting)} calls waiting already, and takes no more"
            return self._refusal("queue_full", words, now_s)
        waiter = Waiter(ask, callback, now_s, wait_s, self._next_number)
        self._next_number += 1
        self._waiting[waiter.number] = waiter
        level = self._levels.get(ask.priority)
        if level is None:
            level = self._levels[ask.priority] = OrderedDict()
        line = level.get(ask.caller)
        if line is None:
            line = level[ask.caller] = OrderedDict()
        line[waiter.number] = waiter
        heapq.heappush(self._deadlines, (waiter.deadline_s, waiter.number))
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Out of the queue; does nothing when it is no longer in it. A slot that it was granted meanwhile
        (`waiter.lease`) is not given back by this."""
        if self._waiting.pop(waiter.number, None) is None:
            return
        priority, caller = waiter.ask.priority, waiter.ask.caller
        level = self._levels[priority]
        line = level[caller]
        del line[waiter.number]
        if not line:
            del level[caller]
            if not level:
                del self._levels[priority]
        if len(self._deadlines) > 2 * len(self._waiting) + _SLACK:
            self._deadlines = [(one.deadline_s, one.number) for one in self._waiting.values()]
            heapq.heapify(self._deadlines)

    def grant(self, base_url: str, now_s: float) -> list[tuple[Callback, Lease]]:
        """Who may go now, in order. Their leases are out from this moment."""
        granted: list[tuple[Callback, Lease]] = []
        while self._waiting and self.open and len(self._held) < self._slots:
            waiter = self._next()
            waiter.lease = self._lease(base_url, waiter.ask, now_s)
            granted.append((waiter.callback, waiter.lease))
        return granted

    def refuse_all(self, refusal: LeaseRefusal) -> list[tuple[Callback, LeaseRefusal]]:
        """Everybody out, with this answer."""
        told = [(waiter.callback, refusal) for waiter in self._waiting.values()]
        self._waiting.clear()
        self._levels.clear()
        self._deadlines.clear()
        return told

    def overdue(self, now_s: float) -> list[tuple[Callback, LeaseRefusal]]:
        """Who has waited for as long as it may; they are out of the queue."""
        told: list[tuple[Callback, LeaseRefusal]] = []
        while (until_s := self.next_deadline_s) is not None and until_s <= now_s:
            waiter = self._waiting[self._deadlines[0][1]]
            self.leave(waiter)
            words = f"had no free slot within {waiter.deadline_s - waiter.joined_s:g} s"
            told.append((waiter.callback, self._refusal("waited_too_long", words, now_s)))
        return told

    @property
    def next_deadline_s(self) -> float | None:
        """When `overdue` has something to tell next; None: nobody waits."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    # -- to see

    def load(self, now_s: float) -> ServerLoad:
        return ServerLoad(
            in_flight=len(self._held),
            queued=len(self._waiting),
            oldest_wait_s=self.oldest_wait_s(now_s),
            last_used_s=self.last_used_s,
        )

    def oldest_wait_s(self, now_s: float) -> float:
        """0 when nobody waits."""
        for waiter in self._waiting.values():
            return now_s - waiter.joined_s
        return 0.0

    @property
    def busy(self) -> bool:
        """Somebody holds a slot or waits for one."""
        return bool(self._held or self._waiting)

    @property
    def top_priority(self) -> int | None:
        """The most urgent priority in the queue."""
        return min(self._levels, default=None)

    def uses_per_hour(self, now_s: float) -> float:
        """How often a slot was taken lately."""
        return self._uses * math.exp((self._uses_at_s - now_s) / _MEMORY_S) * (3600 / _MEMORY_S)

    def estimated_wait_s(self, now_s: float) -> float | None:
        """Seconds until a call of usual priority that comes now would begin, if the server is ready: with c
        calls ahead of it beyond the free slots, c + 1 slots must come free, one every mean / slots seconds.
        None while no call has ended yet."""
        del now_s  # how long calls have run already says little about how long they will
        missing = len(self._waiting) + len(self._held) + 1 - self._slots
        if missing <= 0:
            return 0.0
        return None if self._mean_s is None else missing * self._mean_s / self._slots

    # -- inside

    def _lease(self, base_url: str, ask: LeaseAsk, now_s: float) -> Lease:
        lease = Lease(self._spec.name, base_url, ask, now_s)
        self._held[lease] = None
        if now_s - self._uses_at_s > 1.0:  # within a second there is nothing to forget
            self._uses *= math.exp((self._uses_at_s - now_s) / _MEMORY_S)
            self._uses_at_s = now_s
        self._uses += 1
        return lease

    def _next(self) -> Waiter:
        """Take whose turn it is out of the queue; its caller goes behind the others."""
        level = self._levels[min(self._levels)]  # at most 101 of them
        caller, line = next(iter(level.items()))
        level.move_to_end(caller)
        waiter = next(iter(line.values()))
        self.leave(waiter)
        return waiter

    def _refusal(
        self, code: Literal["queue_full", "waited_too_long"], words: str, now_s: float
    ) -> LeaseRefusal:
        """With when to come back: what is queued now will be done by then."""
        return LeaseRefusal(
            code=code,
            message=f"model server '{self._spec.name}' {words}",
            retry_after_s=self.estimated_wait_s(now_s),
        )
