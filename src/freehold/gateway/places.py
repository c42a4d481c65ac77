"""Where calls can go: the catalog in force, the addresses behind its names, and who rests for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from freehold.cache.keys import route_label
from freehold.core.catalog import Catalog, Deployment, Provider
from freehold.core.clock import Clock
from freehold.core.errors import CallError
from freehold.gateway import refusals
from freehold.gateway.allowing import spent_last
from freehold.gateway.targets import Target, provider_target, server_target
from freehold.routing import breaker
from freehold.routing.choose import Choice, NoSuchModel, choose
from freehold.routing.fallback import Failure

if TYPE_CHECKING:
    from freehold.costs.limits.book import LimitBook
    from freehold.gateway.call_state import CallState

_STORED_IDS = 10_000
_CHOICES = 4096
"""Names remembered; clients make them up, so there is a bound."""


class Places:
    """The part of the gateway that knows them. State with one owner here: the catalog, circuit breakers."""

    def __init__(self, catalog: Catalog, clock: Clock, allowances: LimitBook | None) -> None:
        self.catalog = catalog
        self.clock = clock
        self.allowances = allowances
        self.loop = asyncio.get_running_loop()
        self.changed: Callable[[], None] = _nothing
        """Is called when catalog or prices are others."""
        self._breakers: dict[str, breaker.Breaker] = {}
        self._targets: dict[str, Target] = {}
        self._choices: dict[str, Choice | NoSuchModel] = {}
        self._labels: dict[str, bytes] = {}
        self._stored: OrderedDict[str, str] = OrderedDict()

    def use_catalog(self, catalog: Catalog) -> None:
        """From now on calls choose from this one; calls under way keep theirs."""
        self.catalog = catalog
        self._targets = {}
        self._choices = {}
        self._labels = {}
        self.changed()

    def target_of(self, deployment: Deployment) -> Target | CallError:
        """Where to send what a provider's deployment shall answer."""
        target = self._targets.get(deployment.name)
        if target is None:
            provider = self.catalog.providers.get(deployment.provider or "")
            if provider is None:
                return refusals.gone(deployment.name)
            target = self._targets[deployment.name] = provider_target(
                deployment, provider, only_maker=self._is_only_maker(provider)
            )
        if not breaker.allows(self._breakers.get(deployment.name, breaker.CLOSED), self.loop.time()):
            return self._paused(deployment.name)
        return target

    def _is_only_maker(self, provider: Provider) -> bool:
        alike = [p for p in self.catalog.providers.values() if p.dialect == provider.dialect]
        return len(alike) == 1

    def server_target(self, deployment: Deployment, base_url: str) -> Target:
        """Where to send what a server of ours shall answer, which is there now."""
        target = self._targets.get(deployment.name)
        if target is None or target.base_url != base_url:
            target = self._targets[deployment.name] = server_target(deployment, base_url)
        return target

    def choice_of(self, asked: str) -> Choice | NoSuchModel:
        """`routing.choose` over the catalog in force, remembered until that changes."""
        found = self._choices.get(asked)
        if found is None:
            found = choose(self.catalog, asked)
            if len(self._choices) < _CHOICES:
                self._choices[asked] = found
        return found

    def label_of(self, asked: str) -> bytes:
        """What a name stands for, as the cache's keys want it."""
        found = self._labels.get(asked)
        if found is None:
            choice = self.choice_of(asked)
            found = route_label(asked, () if isinstance(choice, NoSuchModel) else choice.candidates)
            if len(self._labels) < _CHOICES:
                self._labels[asked] = found
        return found

    def best_first(self, candidates: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
        """The candidates less those that are paused, unless all are; last those whose limits are nearly
        used up."""
        if len(candidates) == 1:
            return candidates
        if self._breakers:
            now_s = self.loop.time()
            fit = [d for d in candidates if breaker.allows(self._breakers.get(d.name, breaker.CLOSED), now_s)]
            candidates = tuple(fit) or candidates
        allowances = self.allowances
        if allowances is not None:
            candidates = spent_last(allowances, candidates, self.clock.now_ms())
        return candidates

    def barred(self, deployment: Deployment, now_ms: int) -> str:
        """Why a provider's deployment should not be asked now; empty when it may be."""
        found = self._breakers.get(deployment.name)
        if found is not None and not breaker.allows(found, self.loop.time()):
            return f"rests for {found.open_until_s - self.loop.time():.0f} s"
        if self.allowances is not None and deployment.provider:
            spent = self.allowances.exhausting(deployment.provider, now_ms, deployment.model_id)
            return "" if spent is None else spent.text
        return ""

    def place_named(self, name: str) -> Deployment:
        """A deployment by its name, which may be one of a provider that takes any model."""
        found = self.catalog.deployments.get(name)
        if found is None:
            provider, slash, model = name.partition("/")
            found = Deployment(name=name, model_id=model, provider=provider if slash else None)
        return found

    def went_well(self, name: str) -> None:
        if self._breakers:
            self._breakers.pop(name, None)

    def went_wrong(self, name: str, failure: Failure) -> None:
        """Count a failure against a deployment (faults of the request itself are not its fault)."""
        before = self._breakers.get(name, breaker.CLOSED)
        now_s = self.loop.time()
        if failure.status == 429:
            if failure.retry_after_s:
                self._breakers[name] = breaker.after_rate_limit(before, now_s, failure.retry_after_s)
        elif (failure.status == 0 or failure.status >= 500) and breaker.allows(before, now_s):
            self._breakers[name] = breaker.after_failure(before, now_s)

    def remember_stored(self, call: CallState, answer_id: str) -> None:
        """A Responses answer may be asked for later by its id: keep where it lies."""
        if call.endpoint.dialect != "responses" or not answer_id or call.target is None:
            return
        self._stored[answer_id] = call.target.deployment.name
        if len(self._stored) > _STORED_IDS:
            self._stored.popitem(last=False)

    def stored_place(self, path: bytes) -> Deployment | None:
        """Where `/v1/responses/ID...` lies: where it was made, else the one provider that keeps responses."""
        if not path.startswith(b"/v1/responses/"):
            return None
        name = self._stored.get(path.split(b"/")[3].decode("latin-1"))
        if name is not None:
            return self.place_named(name)
        keepers = [provider.name for provider in self.catalog.providers.values() if provider.responses]
        if len(keepers) == 1:
            return Deployment(name=keepers[0], model_id="", provider=keepers[0])
        return None

    def breaker_states(self) -> Mapping[str, breaker.Breaker]:
        """For the status page."""
        return self._breakers

    def _paused(self, name: str) -> CallError:
        wait_s = self._breakers[name].open_until_s - self.loop.time()
        return CallError(
            kind="overloaded",
            status=503,
            code="deployment_paused",
            message=f"{name} failed several times in a row or asked for quiet; it rests for {wait_s:.0f} s",
            retry_after_s=max(1.0, wait_s),
        )


def _nothing() -> None:
    """Nobody wants to know."""
