"""The pool of model servers with everything that it needs of this machine: engines, readings, evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from freehold.adapters.engines.model_files import read_model_file
from freehold.adapters.engines.registry import engines
from freehold.adapters.host.cages import HostCages
from freehold.adapters.host.gauge import HostGauge
from freehold.adapters.host.witness import HostWitness
from freehold.adapters.providers.catalog import memory_reserve
from freehold.app.appraise import HouseAppraiser
from freehold.core.clock import Clock
from freehold.core.config import Config
from freehold.core.deaths import Certificate
from freehold.core.servers import ServerView
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.settings import PoolSettings


class Machine:
    """Builds the pool, and keeps what others ask about memory with. `close` after the pool has ended."""

    def __init__(self, config: Config, home: Path, env: Mapping[str, str]) -> None:
        reserve = memory_reserve(config)
        self.gauge = HostGauge(env)
        self.engines = engines(env, {str(name): path for name, path in config.engines.items()})
        self.appraiser = HouseAppraiser(home, self.engines, env, reserve)
        self._cages = HostCages(home)
        self._witness = HostWitness(
            state_folder=home / "servers", cages=self._cages, model_check=read_model_file
        )
        self.settings = PoolSettings(
            home=home,
            keep_servers=config.keep_servers,
            reserve=reserve,
            gauge=self.gauge,
            appraiser=self.appraiser,
            witness=self._witness,
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

    def close(self) -> None:
        """Take back what was set up in the kernel."""
        self._witness.close()
