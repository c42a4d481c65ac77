"""Looks at one server that was ready, as `supervisor.liveness` decides."""

from __future__ import annotations

from collections import deque

from freehold.core.clock import Clock
from freehold.core.deaths import ProbeSeen
from freehold.core.servers import Launch, Lease, ServerSpec
from freehold.supervisor.family import cpu_s, family
from freehold.supervisor.liveness import Health, Hung, Kind, Look, Probed, Pulse, Rest, judge
from freehold.supervisor.probe import probe, probe_deep
from freehold.supervisor.settings import PoolSettings

_KEPT = 60


class Watch:
    """What was seen of one process, from its first probe to its end. Owned by the server's life."""

    def __init__(
        self, spec: ServerSpec, launch: Launch, base_url: str, settings: PoolSettings, clock: Clock
    ) -> None:
        self._spec = spec
        self._launch = launch
        self._base_url = base_url
        self._settings = settings
        self._clock = clock
        self._probes: deque[Probed] = deque(maxlen=_KEPT)
        self.seen: deque[ProbeSeen] = deque(maxlen=_KEPT)
        """For the certificate; also those before it was ready."""
        self.ready_s = clock.monotonic_s()
        self.worked_s = self.ready_s
        """When a call last went well."""
        self.suspect_s: float | None = None
        """When a call last broke."""
        self._has_generated = False
        """A deep probe got its token."""

    def adjust(self, spec: ServerSpec) -> None:
        self._spec = spec

    def became_ready(self) -> None:
        self.ready_s = self.worked_s = self._clock.monotonic_s()

    async def load_probe(self) -> Health:
        """Before it is ready: only its health, briefly."""
        began_s = self._clock.monotonic_s()
        health = await probe(self._base_url, self._launch.health_path)
        self._note(health, began_s)
        return health

    def verdict(self, in_flight: tuple[Lease, ...]) -> Look | Rest | Hung:
        """What to do now."""
        heard_s = max((one.heard_s for one in in_flight if one.heard_s > one.since_s), default=0.0)
        pulse = Pulse(
            now_s=self._clock.monotonic_s(),
            ready_s=self.ready_s,
            worked_s=max(self.worked_s, heard_s),
            probes=self._probes,
            silent_since_s=min((lease.heard_s for lease in in_flight), default=None),
            suspect_s=self.suspect_s,
            can_generate=bool(self._launch.probe_path),
            stall_timeout_s=self._spec.stall_timeout_s,
        )
        return judge(pulse, self._settings.live)

    async def look(self, kind: Kind, pid: int | None) -> Probed:
        """Probe it. The result counts only when it is given to `judge_by`."""
        began_s = self._clock.monotonic_s()
        if kind == "deep":
            path, body = self._launch.probe_path, self._launch.probe_body
            health = self._deep(await probe_deep(self._base_url, path, body, self._settings.deep_timeout_s))
        else:
            health = await probe(self._base_url, self._launch.health_path, self._settings.probe_timeout_s)
        self._note(health, began_s)
        used_s = cpu_s(family(pid)) if pid is not None else None
        return Probed(at_s=self._clock.monotonic_s(), kind=kind, result=health, cpu_s=used_s)

    def judge_by(self, probed: Probed) -> None:
        self._probes.append(probed)
        if probed.kind == "deep" and probed.result is Health.READY:
            self.worked_s = probed.at_s

    def _deep(self, found: Health) -> Health:
        """What never generated need not: some engines say 500 where others say that they cannot."""
        self._has_generated = self._has_generated or found is Health.READY
        excused = found is Health.UNABLE or (found is Health.BROKEN and not self._has_generated)
        return Health.READY if excused else found

    def _note(self, health: Health, began_s: float) -> None:
        took_ms = round((self._clock.monotonic_s() - began_s) * 1000)
        if self.seen and self.seen[-1].result == health.value == Health.LOADING.value:
            self.seen.pop()  # a long load is one line
        self.seen.append(ProbeSeen(at_ms=self._clock.now_ms(), result=health.value, took_ms=took_ms))
