"""One model server's life: the only place where its state changes.

A single task runs the life from start to stop (`run`); everybody else reads `view` or asks the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.core.servers import Engine, Launch, ServerSpec, ServerState, ServerView
from freehold.supervisor import lifecycle
from freehold.supervisor.probe import Health, probe
from freehold.supervisor.process import EngineProcess, free_port, log_path

Callback = Callable[[ServerView], None]

_FIRST_PROBE_S = 0.02
_SLOWEST_PROBE_S = 0.5


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all servers of a pool."""

    logs: Path
    """Folder for their output, one file each."""
    policy: lifecycle.RestartPolicy = lifecycle.RestartPolicy()
    stop_within_s: float = 5.0
    """From SIGTERM to SIGKILL."""
    load_within_s: float = 900.0
    """A server that is not ready by then is taken for hung, and killed."""
    pick_port: Callable[[], int] = free_port


class ManagedServer:
    """State, waiters and the running task's steps of one server. Used by the pool only."""

    def __init__(
        self, spec: ServerSpec, engine: Engine, settings: PoolSettings, clock: Clock, on_change: Callback
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._deaths: list[lifecycle.Death] = []
        self._waiters: dict[int, Callback] = {}
        self._next_waiter = 0
        self.task: asyncio.Task[None] | None = None
        self.view = ServerView(
            name=spec.name,
            engine=spec.engine,
            model=spec.model,
            model_id=spec.upstream_id,
            state=ServerState.STOPPED,
            since_ms=clock.now_ms(),
            slots=spec.slots,
            context=spec.context,
        )

    # What the pool asks for

    def begin(self) -> None:
        """Start the life, if it is not under way and has not failed."""
        if self.view.state is ServerState.STOPPED:
            self._launch_task()

    def begin_again(self) -> None:
        """Start also after a failure, with a clean record."""
        if self.view.state in (ServerState.STOPPED, ServerState.FAILED):
            self._deaths.clear()
            self._launch_task()

    def when_ready(self, callback: Callback) -> Callable[[], None]:
        number = self._next_waiter
        self._next_waiter += 1
        self._waiters[number] = callback
        if self.view.state not in lifecycle.WAITED_FOR:
            asyncio.get_running_loop().call_soon(self._answer_one, number)
        return lambda: self._forget(number)

    async def end(self) -> None:
        """Stop it and wait until the process is gone; bounded. Its state is STOPPED afterwards."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        if self.view.state is not ServerState.STOPPED:
            self._move(ServerState.STOPPED, "", base_url=None, pid=None)

    # Its life

    def _launch_task(self) -> None:
        self._move(ServerState.STARTING, "", started_load_s=self._clock.monotonic_s())
        self.task = asyncio.create_task(self._run_guarded(), name=f"server {self._spec.name}")

    async def _run_guarded(self) -> None:
        """The life, with the door shut behind it: whatever breaks, the state says so."""
        try:
            await self._run()
        except (FreeholdError, OSError) as error:  # it cannot be run here; trying again changes nothing
            self._move(ServerState.FAILED, str(error), base_url=None, pid=None)
        except Exception as error:
            if self.view.state not in (ServerState.FAILED, ServerState.STOPPED):
                self._move(ServerState.FAILED, f"internal error: {error!r}", base_url=None, pid=None)
            raise

    async def _run(self) -> None:
        while True:
            death = await self._live_once()
            self._deaths = [*lifecycle.recent(self._deaths, self._settings.policy), death]
            next_step = lifecycle.after_death(self._deaths, self._settings.policy)
            if isinstance(next_step, lifecycle.GiveUp):
                self._move(ServerState.FAILED, next_step.reason, base_url=None, pid=None)
                return
            self._move(ServerState.BACKOFF, lifecycle.describe(death), base_url=None, pid=None)
            await asyncio.sleep(next_step.delay_s)
            self._move(
                ServerState.STARTING,
                "again after it died",
                started_load_s=self._clock.monotonic_s(),
                restarts=self.view.restarts + 1,
            )

    async def _live_once(self) -> lifecycle.Death:
        """One process from start to its unordered end. Cancelling stops it, and waits until it is gone."""
        port = self._settings.pick_port()
        launch = self._engine.launch(self._spec, port)
        process = await EngineProcess.start(launch, log_path(self._settings.logs, self._spec.name))
        exited = asyncio.ensure_future(process.wait())
        try:
            self._update(pid=process.pid, base_url=f"http://127.0.0.1:{port}", detail=launch.program)
            self._on_change(self.view)
            ready_at_s = await self._until_ready(launch, port, exited)
            if ready_at_s is None and not exited.done():
                return await self._end_hung(process)
            code = await exited
        except BaseException:
            await asyncio.shield(self._stop(process))
            await exited
            raise
        ready_s = 0.0 if ready_at_s is None else self._clock.monotonic_s() - ready_at_s
        lines = process.last_lines()
        return lifecycle.Death(
            exit_code=code, was_ready=ready_at_s is not None, ready_s=ready_s, last_lines=lines
        )

    async def _until_ready(self, launch: Launch, port: int, exited: asyncio.Future[int]) -> float | None:
        """When it became ready (monotonic seconds); None when it ended before or took too long."""
        began_s = self._clock.monotonic_s()
        pause_s = _FIRST_PROBE_S
        while self._clock.monotonic_s() - began_s < self._settings.load_within_s:
            health = await self._ask(port, launch.health_path, exited)
            if exited.done():
                return None
            if health is Health.READY:
                return self._became_ready(began_s)
            if health is Health.LOADING and self.view.state is ServerState.STARTING:
                self._move(ServerState.LOADING, "loading the model")
            await asyncio.wait({exited}, timeout=pause_s)
            pause_s = min(pause_s * 1.5, _SLOWEST_PROBE_S)
        return None

    @staticmethod
    async def _ask(port: int, path: str, exited: asyncio.Future[int]) -> Health:
        """One probe, given up at once when the process ends: a stranger on its port may keep us waiting."""
        probing = asyncio.create_task(probe(port, path))
        try:
            await asyncio.wait({exited, probing}, return_when=asyncio.FIRST_COMPLETED)
            return probing.result() if probing.done() else Health.SILENT
        finally:
            probing.cancel()

    def _became_ready(self, began_s: float) -> float:
        now_s = self._clock.monotonic_s()
        took_s = now_s - began_s
        known_s = self.view.eta_s
        eta_s = took_s if known_s is None else (known_s + took_s) / 2  # recent loads weigh more
        self._move(ServerState.READY, "", started_load_s=None, eta_s=eta_s)
        return now_s

    async def _end_hung(self, process: EngineProcess) -> lifecycle.Death:
        code = await process.stop(self._settings.stop_within_s)
        return lifecycle.Death(
            exit_code=code,
            was_ready=False,
            last_lines=process.last_lines(),
            hung_s=self._settings.load_within_s,
        )

    async def _stop(self, process: EngineProcess) -> int:
        if ServerState.STOPPING in lifecycle.MOVES[self.view.state]:
            self._move(ServerState.STOPPING, "")
        return await process.stop(self._settings.stop_within_s)

    # State and those who wait for it

    def _move(self, state: ServerState, detail: str, **changes: object) -> None:
        lifecycle.check_move(self.view.state, state)
        self._update(state=state, detail=detail, since_ms=self._clock.now_ms(), **changes)
        self._on_change(self.view)
        if state not in lifecycle.WAITED_FOR:
            for number in list(self._waiters):
                asyncio.get_running_loop().call_soon(self._answer_one, number)

    def _update(self, **changes: object) -> None:
        self.view = msgspec.structs.replace(self.view, **changes)

    def _forget(self, number: int) -> None:
        self._waiters.pop(number, None)

    def _answer_one(self, number: int) -> None:
        if self.view.state in lifecycle.WAITED_FOR:
            return  # it died between the move and this answer: wait on
        if callback := self._waiters.pop(number, None):
            callback(self.view)
