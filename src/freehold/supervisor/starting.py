"""How a server's process comes to be: started in its cage, or taken up where an earlier Freehold left it."""

from __future__ import annotations

import asyncio

from freehold.core.deaths import Subject
from freehold.core.memory import Placement
from freehold.core.servers import Engine, Launch, ServerSpec
from freehold.supervisor.inquest import Running
from freehold.supervisor.leftover import take_up
from freehold.supervisor.process import EngineProcess
from freehold.supervisor.ties import Ties
from freehold.supervisor.watch import Watch


async def begin(spec: ServerSpec, engine: Engine, ties: Ties, placement: Placement | None) -> Running:
    """A process that runs, and is watched from now on. Raises EngineMissingError, and OSError when it cannot
    be started."""
    settings, records = ties.settings, ties.records
    process = await take_up(spec, engine, ties)
    began_s = ties.clock.monotonic_s()
    if found := process is not None:
        placement = records.of(spec).placement
        launch = engine.launch(spec, process.port, placement)
    else:
        port = settings.pick_port()
        launch = engine.launch(spec, port, placement)
        process = await _start(spec, launch, port, ties)
        records.started(spec, placement)
    process.keep_end()
    base_url = f"http://127.0.0.1:{process.port}"
    running = Running(
        process=process,
        launch=launch,
        watch=Watch(spec, launch, base_url, settings, ties.clock),
        base_url=base_url,
        placement=placement,
        began_s=began_s,
        found=found,
    )
    if settings.witness is not None:
        running.observation = await asyncio.to_thread(settings.witness.watch, _subject(spec, process, ties))
    return running


async def _start(spec: ServerSpec, launch: Launch, port: int, ties: Ties) -> EngineProcess:
    """In a cage where there may be one."""
    settings = ties.settings
    cage: tuple[str, ...] = ()
    if settings.cages is not None:
        cage = await asyncio.to_thread(settings.cages.make, spec.name, spec.ram_limit_bytes)
    folder = settings.folder(spec.name)
    return await EngineProcess.start(
        launch, folder, port=port, cage_files=cage, orphan_stop_s=settings.orphan_stop_s
    )


def _subject(spec: ServerSpec, process: EngineProcess, ties: Ties) -> Subject:
    return Subject(
        server=spec.name,
        pid=process.pid,
        port=process.port,
        started_ms=process.started_ms,
        model_path=spec.model or None,
        log_folder=str(ties.settings.logs),
        cage=spec.name if ties.settings.cages is not None else None,
    )
