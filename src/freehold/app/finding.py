"""What can be asked for: the configuration's own at the start, what is found on the machine later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec.structs import replace

from freehold.adapters.providers.discover import Discovery, discover, list_models
from freehold.app.model_rows import model_rows
from freehold.app.offers import Offers
from freehold.app.telling import Teller
from freehold.core.catalog import Catalog
from freehold.core.errors import ConfigError
from freehold.core.progress import ReadyFacts, ready_progress
from freehold.core.servers import ServerState, ServerView
from freehold.gateway.gateway import Gateway
from freehold.supervisor.pool import ServerPool
from freehold.testing.tiny_model import MODEL_NAME


class Finding:
    """`first_catalog` before the gateway is made, then one of `look_around` and `offer_all` beside the calls.

    `failure` is there once the configuration was seen to name what is nowhere; then `failed` is called.
    """

    def __init__(
        self,
        offers: Offers,
        pool: ServerPool,
        teller: Teller,
        env: Mapping[str, str],
        failed: Callable[[], None],
    ) -> None:
        self.state: Literal["off", "running", "done"] = "off"
        self.failure: ConfigError | None = None
        self._offers = offers
        self._pool = pool
        self._teller = teller
        self._env = env
        self._failed = failed
        self._late: ConfigError | None = None
        """A candidate that was nowhere at the start; it may be found yet."""

    async def first_catalog(self, *, looking: bool) -> Catalog:
        """The configuration's own. Its servers that run already are taken up, others begin."""
        for spec in self._offers.configured:
            self._pool.add(spec)
        catalog, self._late = self._offers.first_catalog(looking=looking)
        await self._pool.adopt_running(stop_others=False)
        self._pool.start_all()
        return catalog

    async def look_around(self, gateway: Gateway, facts: ReadyFacts) -> None:
        """Look for what else this machine has, and tell when all is there. `facts` but for the models."""
        self.state = "running"
        found = await discover(self._env)
        for spec in self._offers.found(found):
            self._pool.add(spec)
        self._offer_test_model(gateway)
        catalog = self._catalog_or_none(self._late)
        if catalog is None:
            return
        gateway.use_catalog(catalog)
        await self._pool.adopt_running()
        self.state = "done"
        count = self._offers.count_found
        self._teller.say(
            "discovery",
            f"found {count} places to run models on this machine" if count else "nothing else found",
        )
        await self._announce(gateway, facts)
        asked = self._offers.to_be_listed()
        if asked:
            self._offers.listed(await asyncio.gather(*(list_models(one) for one in asked)))
            gateway.use_catalog(self._offers.catalog())

    async def offer_all(self, gateway: Gateway, facts: ReadyFacts) -> None:
        """The same without looking."""
        self._offers.found(Discovery())
        self._offer_test_model(gateway)
        await self._pool.adopt_running()
        await self._announce(gateway, facts)

    def _catalog_or_none(self, late: ConfigError | None) -> Catalog | None:
        try:
            return self._offers.catalog()
        except ConfigError as error:
            self.failure = late or error
            self._failed()
            return None

    def _offer_test_model(self, gateway: Gateway) -> None:
        """Where nothing is configured, the built-in model answers: at once when there is nothing else."""
        spec = self._offers.test_model()
        if spec is None:
            return
        self._pool.add(spec)
        catalog = self._catalog_or_none(None)
        if catalog is not None:
            gateway.use_catalog(catalog)
        if self._offers.nothing_found:
            self._pool.ensure_started(MODEL_NAME)

    async def _announce(self, gateway: Gateway, facts: ReadyFacts) -> None:
        """Tell that all is there, once the servers that are starting are ready (or have failed)."""
        starting = [view.name for view in self._pool.views() if view.state is not ServerState.STOPPED]
        await asyncio.gather(*(self._until_ready(name) for name in starting))
        views = {view.name: view for view in self._pool.views()}
        models = model_rows(gateway.catalog, views)
        self._teller.tell(ready_progress(replace(facts, models=models)))

    async def _until_ready(self, name: str) -> ServerView:
        future: asyncio.Future[ServerView] = asyncio.get_running_loop().create_future()
        cancel = self._pool.when_ready(name, lambda view: None if future.done() else future.set_result(view))
        try:
            return await future
        finally:
            cancel()
