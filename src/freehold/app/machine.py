"""The pool of model servers with everything that it needs of this machine: engines, readings, evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.adapters.engines.registry import engines
from freehold.adapters.host.cages import HostCages
from freehold.adapters.host.gauge import HostGauge
from freehold.adapters.providers.catalog import memory_reserve
from freehold.core.clock import Clock
from freehold.core.config import Config
from freehold.core.deaths import Certificate, Observation, Subject
from freehold.core.memory import MachineMemory, MemoryNeed, Placement
from freehold.core.servers import ServerSpec, ServerView
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.settings import PoolSettings

if TYPE_CHECKING:
    from freehold.adapters.host.witness import HostWitness
    from freehold.app.appraise import HouseAppraiser


class Machine:
    """Builds the pool, and keeps what others ask about memory with. `close` after the pool has ended.

    Evidence and prices are loaded with the first server that starts: a Freehold in front of providers never
    needs them.
    """

    def __init__(self, config: Config, home: Path, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = env
        self._reserve = memory_reserve(config)
        self._cages = HostCages(home)
        self._witnessed = False
        self.gauge = HostGauge(env)
        self.engines = engines(env, {str(name): path for name, path in config.engines.items()})
        late = _LateAppraiser(self)
        self.settings = PoolSettings(
            home=home,
            keep_servers=config.keep_servers,
            reserve=self._reserve,
            gauge=self.gauge,
            appraiser=late,
            advise=late.advise,
            witness=_LateWitness(self),
            cages=self._cages,
        )

    def pool(
        self,
        clock: Clock,
        on_change: Callable[[ServerView], None],
        on_death: Callable[[Certificate], None],
    ) -> ServerPool:
        """An empty pool, to be entered."""
        return ServerPool(
            (), self.engines, self.settings, clock=clock, on_change=on_change, on_death=on_death
        )

    @cached_property
    def appraiser(self) -> HouseAppraiser:
        from freehold.app.appraise import HouseAppraiser  # noqa: PLC0415 - see the class

        return HouseAppraiser(self._home, self.engines, self._env, self._reserve)

    @cached_property
    def witness(self) -> HostWitness:
        from freehold.adapters.engines.model_files import read_model_file  # noqa: PLC0415 - see the class
        from freehold.adapters.host.witness import HostWitness  # noqa: PLC0415

        self._witnessed = True
        return HostWitness(
            state_folder=self._home / "servers", cages=self._cages, model_check=read_model_file
        )

    def close(self) -> None:
        """Take back what was set up in the kernel."""
        if self._witnessed:
            self.witness.close()


class _LateAppraiser:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def appraise(self, spec: ServerSpec, machine: MachineMemory) -> tuple[MemoryNeed, ...]:
        return self._machine.appraiser.appraise(spec, machine)

    def advise(self, spec: ServerSpec, machine: MachineMemory) -> str:
        return self._machine.appraiser.advise(spec, machine)

    def learn(self, spec: ServerSpec, placement: Placement, report: MemoryNeed) -> None:
        self._machine.appraiser.learn(spec, placement, report)


class _LateWitness:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def watch(self, subject: Subject) -> Observation:
        return self._machine.witness.watch(subject)
