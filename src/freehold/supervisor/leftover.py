"""What an earlier Freehold left in a server's folder: a process that runs, or one that ended unseen."""

from __future__ import annotations

import asyncio
import signal

from msgspec.structs import replace

from freehold.core.deaths import DeathFacts, ExitFacts, HostEvidence, Subject
from freehold.core.servers import Engine, ServerSpec
from freehold.supervisor.postmortem import certify
from freehold.supervisor.process import EngineProcess, LeftExit, launch_key
from freehold.supervisor.ties import Ties


async def take_up(spec: ServerSpec, engine: Engine, ties: Ties) -> EngineProcess | None:
    """The process that runs already, if it is what is wanted now. Another one is ended; an end that nobody
    saw is told. Raises EngineMissingError as the engine does."""
    found = EngineProcess.find(ties.settings.folder(spec.name))
    if found is None:
        await tell_left_exit(spec, ties)
        return None
    launch = engine.launch(spec, found.port, ties.records.of(spec).placement)
    if launch_key(launch) == found.launch_key:
        return found
    await end(spec, found, ties, "it was started otherwise than it is configured now")
    return None


async def end(spec: ServerSpec, found: EngineProcess, ties: Ties, reason: str) -> None:
    """Stop a process that nobody wants any more, and tell."""
    exit = await found.stop(signal.Signals[spec.stop_signal], spec.stop_timeout_s, reason)
    await clear_cage(spec, ties)
    ties.on_death(certify(_facts(spec, found, exit, ties)))
    found.told()


async def tell_left_exit(spec: ServerSpec, ties: Ties) -> None:
    """How its last process ended, when no Freehold ran to see it. Told once."""
    left = EngineProcess.left_exit(ties.settings.folder(spec.name))
    if left is None:
        return
    host = HostEvidence(rebooted=left.rebooted)
    if ties.settings.witness is not None:
        host = await asyncio.to_thread(_late_evidence, spec, left, ties)
    await clear_cage(spec, ties)
    ties.on_death(certify(replace(_facts(spec, left, left.exit, ties), host=host)))


def _facts(spec: ServerSpec, process: EngineProcess | LeftExit, exit: ExitFacts, ties: Ties) -> DeathFacts:
    return DeathFacts(
        server=spec.name,
        engine=spec.engine,
        program=process.program,
        pid=process.pid,
        started_ms=process.started_ms,
        was_ready=ties.records.of(spec).ready,
        exit=exit,
        orders=process.orders if isinstance(process, LeftExit) else process.orders(),
        last_lines=process.last_lines if isinstance(process, LeftExit) else process.last_lines(),
    )


def _late_evidence(spec: ServerSpec, left: LeftExit, ties: Ties) -> HostEvidence:
    """The machine still knows much: its log since the start, what the cage counted, the disks, the model."""
    assert ties.settings.witness is not None
    subject = Subject(
        server=spec.name,
        pid=left.pid,
        port=left.port,
        started_ms=left.started_ms,
        model_path=spec.model or None,
        log_folder=str(ties.settings.logs),
        cage=spec.name if ties.settings.cages is not None else None,
    )
    observation = ties.settings.witness.watch(subject)
    try:
        seen = observation.collect()
    finally:
        observation.close()
    return replace(seen, rebooted=seen.rebooted or left.rebooted)


async def clear_cage(spec: ServerSpec, ties: Ties) -> None:
    """Nothing of the server is left. Takes as long as the last of it dies."""
    cages = ties.settings.cages
    if cages is not None:
        await asyncio.to_thread(lambda: (cages.kill(spec.name), cages.remove(spec.name)))
