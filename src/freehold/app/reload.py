"""Reload: the configuration is read again, compared with the one in force, and the difference applied.

What has to happen is decided in `core.config_diff`; the one who carries it out is `Reload`, through the few
functions that are given to it (`Hands`). A file that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from freehold.adapters.providers.catalog import configured_servers
from freehold.core.catalog import Catalog
from freehold.core.config import Config
from freehold.core.config_checks import require_usable
from freehold.core.config_diff import Change, FoundProblem, ReloadPlan, differences, in_force
from freehold.core.config_file import LoadedConfig, Stamps, find_config, read_config, stamps_of
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.servers import ServerSpec

LOOK_EVERY_S = 2.0


class Reading(msgspec.Struct, frozen=True):
    """What the file says now; without `config` the problems say why."""

    config: Config | None
    file: Path | None = None
    problems: tuple[ConfigError, ...] = ()


Read = Callable[[], Reading]


@dataclass(frozen=True)
class Hands:
    """How a running Freehold is changed."""

    add: Callable[[ServerSpec], None]
    """Make a server known, stopped. Raises FreeholdError."""
    replace: Callable[[ServerSpec], Awaitable[None]]
    """Go on under another specification: drained, stopped and started again where that is needed."""
    remove: Callable[[str], Awaitable[None]]
    start: Callable[[str], None]
    """Ask for a server to run; returns at once."""
    make_catalog: Callable[[Config, Sequence[ServerSpec]], Catalog]
    """Raises ConfigError for a candidate that is nowhere; changes nothing."""
    use_catalog: Callable[[Catalog], None]
    use: Callable[[Config, Sequence[ServerSpec]], None]
    """The configuration that is in force now, and its servers."""
    use_section: Callable[[str, Config], Awaitable[None]]
    """Let one section be in force. Raises FreeholdError, OSError: then what was before is."""


def reader(loaded: LoadedConfig, env: Mapping[str, str], cwd: Path, listen: str | None = None) -> Read:
    """Reads what `loaded` was read from; where there was no file, one may have come. `listen` is what the
    command line said instead of the file."""

    def read() -> Reading:
        try:
            file = loaded.file or find_config(None, env, cwd)
            config, problems = read_config(file, env) if file else (Config(), [])
            if config is not None and listen is not None:
                config = replace(config, listen=listen)
                require_usable(config)
        except ConfigError as error:
            return Reading(None, None, (error,))
        return Reading(config, file, tuple(problems))

    return read


class Reload:
    """Owns which configuration is in force. One reload at a time."""

    def __init__(
        self, config: Config, specs: Sequence[ServerSpec], read: Read, hands: Hands, env: Mapping[str, str]
    ) -> None:
        self.config = config
        """In force now, with the parts that only a restart of Freehold changes as they were at its start."""
        self.specs = tuple(specs)
        """The configured servers in force."""
        self._read = read
        self._hands = hands
        self._env = env
        self._turn = asyncio.Lock()

    async def reload(self, *, dry_run: bool = False) -> ReloadPlan:
        """Read, compare, and unless `dry_run` apply. What fails on the way is told in its change; the others
        are applied all the same."""
        async with self._turn:
            reading = await asyncio.to_thread(self._read)
            file = str(reading.file) if reading.file else None
            if reading.config is None:
                return ReloadPlan(file=file, problems=tuple(map(_found, reading.problems)), dry_run=dry_run)
            folder = reading.file.parent if reading.file else Path.cwd()
            specs = tuple(configured_servers(reading.config, folder, self._env))
            plan = ReloadPlan(file=file, changes=differences(self.config, reading.config), dry_run=dry_run)
            try:
                catalog = self._hands.make_catalog(reading.config, specs)
            except ConfigError as error:
                return replace(plan, changes=(), problems=(_found(error),))
            if dry_run or not plan.changes:
                return plan
            return await self._apply(plan, reading.config, specs, catalog)

    async def _apply(
        self, plan: ReloadPlan, config: Config, specs: tuple[ServerSpec, ...], catalog: Catalog
    ) -> ReloadPlan:
        """New servers are known before the names that lead to them, old ones are forgotten after."""
        problem = await self._add(plan.changes, specs)
        if problem is not None:
            return replace(plan, changes=(), problems=(problem,))
        new = in_force(self.config, config)
        self._hands.use_catalog(catalog)
        self._hands.use(new, specs)
        old, before_config, self.config, self.specs = self.specs, self.config, new, specs
        by_name = {spec.name: spec for spec in specs}
        before = {spec.name: spec for spec in old}
        done = {
            change.key: await self._carry_out(change, before, by_name)
            for change in sorted(plan.changes, key=lambda change: _ORDER[change.effect])
        }
        kept = {
            key: getattr(before_config, key)
            for key, change in done.items()
            if change.effect == "at once" and change.outcome == "failed"
        }
        if kept:  # the next reload tries again
            self.config = replace(new, **kept)
            self._hands.use(self.config, specs)
        return replace(plan, changes=tuple(done[change.key] for change in plan.changes))

    async def _add(self, changes: Sequence[Change], specs: Sequence[ServerSpec]) -> FoundProblem | None:
        """Make all new servers known, or none of them."""
        wanted = {change.server for change in changes if change.effect == "add"}
        added: list[str] = []
        for spec in (spec for spec in specs if spec.name in wanted):
            try:
                self._hands.add(spec)
            except FreeholdError as error:
                for name in added:
                    await self._hands.remove(name)
                return FoundProblem(message=str(error), key=f"servers.{spec.name}")
            added.append(spec.name)
        return None

    async def _carry_out(
        self, change: Change, before: Mapping[str, ServerSpec], specs: Mapping[str, ServerSpec]
    ) -> Change:
        if change.effect == "restart Freehold":
            return change
        try:
            if change.effect == "at once":
                await self._hands.use_section(change.key, self.config)
            elif change.server is not None:
                await self._server(change.server, before.get(change.server), specs.get(change.server))
        except (FreeholdError, OSError) as error:
            return replace(change, outcome="failed", detail=str(error))
        return replace(change, outcome="done")

    async def _server(self, name: str, old: ServerSpec | None, new: ServerSpec | None) -> None:
        if new is None:
            await self._hands.remove(name)
            return
        if old is not None and old.engine != new.engine and "adopt" in (old.engine, new.engine):
            await self._hands.remove(name)
            self._hands.add(new)
        elif old is not None:
            await self._hands.replace(new)
        if new.start == "always" and (old is None or old.start != "always"):
            self._hands.start(name)


_ORDER = {
    "remove": 0,
    "restart": 1,
    "adjust": 1,
    "add": 2,
    "names": 3,
    "access": 3,
    "at once": 3,
    "restart Freehold": 3,
}
"""What goes makes room for what comes."""


def _found(error: ConfigError) -> FoundProblem:
    return FoundProblem(message=error.message, line=error.line, key=error.key, nearest=error.nearest)


async def watch(
    file: Path,
    changed: Callable[[], Awaitable[object]],
    known: Stamps = (),
    *,
    every_s: float = LOOK_EVERY_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Runs until it is cancelled; awaits `changed` when `file`, or the `.env` beside it, is another one than
    the one `known` and has stayed the same for one look: whoever writes it is done by then. A file that is
    gone is waited for."""
    last = await asyncio.to_thread(stamps_of, file)
    known = known or last
    while True:
        await sleep(every_s)
        now = await asyncio.to_thread(stamps_of, file)
        if now != known and now == last and now[0] is not None:
            known = now
            await changed()
        last = now
