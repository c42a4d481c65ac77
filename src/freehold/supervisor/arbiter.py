"""Carries out which servers run: the only place that admits, evicts and stops them unasked.

What to do is `supervisor.swap`; this asks it again whenever something has changed, or when it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.core.memory import MachineMemory, MemoryNeed
from freehold.core.quantities import duration_words
from freehold.core.servers import ServerSpec
from freehold.core.servers import ServerState as S
from freehold.supervisor.lifecycle import WAITED_FOR
from freehold.supervisor.orders import Order
from freehold.supervisor.placement import free_after
from freehold.supervisor.residency import (
    Evict,
    Later,
    Refuse,
    Residency,
    Start,
    Step,
    StopIdle,
    SwapRules,
    held,
)
from freehold.supervisor.server import ManagedServer
from freehold.supervisor.settings import PoolSettings
from freehold.supervisor.swap import next_steps

_Ways = Mapping[str, tuple[MemoryNeed, ...]]


class Arbiter:
    """Owned by the pool. `nudge` after every change; `run` is a task of the pool."""

    def __init__(
        self, servers: Mapping[str, ManagedServer], settings: PoolSettings, rules: SwapRules, clock: Clock
    ) -> None:
        self.somebody_waits = False
        """For memory that others hold: then every end of a call may matter."""
        self._servers = servers
        self._settings = settings
        self._rules = rules
        self._clock = clock
        self._bell = asyncio.Event()
        self._again_s: float | None = None
        self._advice: dict[str, tuple[tuple[ServerSpec, str], str]] = {}
        """By server: for which specification and shortage, and what would fit."""

    def nudge(self) -> None:
        """Something has changed."""
        self._bell.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._rest()
            try:
                await self._turn()
            except Exception as error:  # a fault in one decision must not end all later ones
                loop.call_exception_handler({"message": "deciding which servers run", "exception": error})

    def residency(self, machine: MachineMemory | None, ways: _Ways) -> Residency:
        """All servers as they are now."""
        now_s = self._clock.monotonic_s()
        return Residency(
            residents=tuple(
                server.resident(now_s, ways.get(name, ())) for name, server in self._servers.items()
            ),
            machine=machine,
            reserve=self._settings.reserve,
            now_s=now_s,
        )

    async def measure(self) -> tuple[MachineMemory | None, _Ways]:
        """What the machine has, and how those who wait could run. In a thread: it reads files."""
        gauge, appraiser = self._settings.gauge, self._settings.appraiser
        if gauge is None:
            return None, {}
        specs = [server.spec for server in self._servers.values() if server.is_waiting or server.may_come]

        def look() -> tuple[MachineMemory, _Ways]:
            machine = gauge.machine()
            ways: dict[str, tuple[MemoryNeed, ...]] = {}
            if appraiser is None:
                return machine, ways
            for spec in specs:
                with contextlib.suppress(FreeholdError):  # it cannot be read: the engine will say so better
                    ways[spec.name] = appraiser.appraise(spec, machine)
            return machine, ways

        return await asyncio.to_thread(look)

    async def _rest(self) -> None:
        left_s = None if self._again_s is None else max(0.0, self._again_s - self._clock.monotonic_s())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._bell.wait()
        await asyncio.sleep(0)  # all that happens in this turn of the loop is one change
        self._bell.clear()

    async def _turn(self) -> None:
        for server in self._servers.values():
            server.drop_if_unwanted()
        known = {name for name, server in self._servers.items() if server.is_waiting}
        machine, ways = await self.measure()
        self._keep_if_unneeded()
        self._again_s = None
        residency = self.residency(machine, ways)
        steps = next_steps(residency, self._rules)
        for step in steps:
            self._carry_out(step, known)
        for step in steps:
            if isinstance(step, Refuse) and step.name in known:
                await self._refuse(step, residency)
        for name, server in self._servers.items():
            if name in known:
                self._tell_what_it_waits_for(server)
        self.somebody_waits = any(server.is_waiting for server in self._servers.values())

    def _tell_what_it_waits_for(self, server: ManagedServer) -> None:
        """It was not admitted in this turn. One that nobody waits for does not stand in the way of those who
        wait until all has started."""
        needed = [self._servers[name] for name in server.spec.after if name in self._servers]
        missing = [one for one in needed if one.status.state is not S.READY]
        words = f"waits for '{missing[0].spec.name}'" if missing else "waits for memory that others hold"
        if any(one.status.state in WAITED_FOR for one in missing):
            server.says_it_waits(words)
        else:
            server.put_off(f"{words}; it starts when it can")
            server.says_it_waits(words)

    def _carry_out(self, step: Step, known: set[str]) -> None:
        if isinstance(step, Later):
            self._again_s = step.at_s
            return
        server = self._servers[step.name]
        if isinstance(step, Start):
            if step.name in known:
                server.admit(step.placement)
            elif not server.is_waiting:  # kept warm, or needed by another: measured in the next turn
                server.begin(due=server.spec.keep_warm)
        elif isinstance(step, Evict):
            price = duration_words(step.price)
            reason = f"makes room for '{step.for_name}' (its own reload is expected to cost {price})"
            server.evict(Order(reason=reason, drain_s=None, for_name=step.for_name))
        elif isinstance(step, StopIdle):
            idle = duration_words(server.spec.idle_stop_s or 0)
            server.evict(Order(reason=f"not used for {idle}", drain_s=None))

    async def _refuse(self, step: Refuse, residency: Residency) -> None:
        """With the nearest thing that would fit, looked for once."""
        server, advise = self._servers[step.name], self._settings.advise
        if advise is None or residency.machine is None:
            server.refuse(step.message)
            return
        asked = (server.spec, step.message)
        if self._advice.get(step.name, (None, ""))[0] != asked:
            at_best = emptied(residency)
            assert at_best is not None
            self._advice[step.name] = asked, await asyncio.to_thread(advise, server.spec, at_best)
        words = self._advice[step.name][1]
        server.refuse(f"{step.message}; {words}" if words else step.message)

    def _keep_if_unneeded(self) -> None:
        """Who drains for a server that nobody waits for any more goes on."""
        for server in self._servers.values():
            order = server.life.orders.now
            if order is not None and order.for_name and server.status.state is S.DRAINING:
                wanted = self._servers.get(order.for_name)
                if wanted is None or not wanted.is_waiting:
                    server.keep()


def emptied(residency: Residency) -> MachineMemory | None:
    """The machine as it could be at best for one that is wanted: without those that may go for it."""
    if residency.machine is None:
        return None
    going = [one for one in residency.residents if one.ours and not one.pin and one.placement is not None]
    return free_after(residency.machine, [place for one in going if (place := held(one)) is not None])
