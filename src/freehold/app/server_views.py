"""Model servers and calls under way, as people and the control API see them."""

from __future__ import annotations

from freehold.core import servers as core
from freehold.core.memory import MemoryUse
from freehold.web.control import ServerGpu, ServerMemory, ServerSpeed, ServerView


def server_view(
    view: core.ServerView, load: core.ServerLoad, use: MemoryUse | None, speed: ServerSpeed
) -> ServerView:
    """One server, with everything known of it now."""
    return ServerView(
        name=view.name,
        engine=view.engine,
        model=view.model,
        state=view.state.value,
        context=view.context,
        slots=view.slots,
        in_flight=load.in_flight,
        queued=load.queued,
        oldest_wait_ms=round(load.oldest_wait_s * 1000),
        pid=view.pid,
        url=view.base_url,
        detail=view.detail,
        since_ms=view.since_ms,
        ours=view.ours,
        pin=view.pin,
        priority=view.priority,
        restarts=view.restarts,
        loads=view.loads,
        load_ms=None if view.eta_s is None else round(view.eta_s * 1000),
        memory=_memory(view, use),
        speed=speed,
    )


def _memory(view: core.ServerView, use: MemoryUse | None) -> ServerMemory:
    place = view.placement
    known = place is not None and place.need.source != "unknown"
    indexes = sorted(
        {*(place.gpus if place is not None else ()), *(use.gpu_bytes if use is not None else ())}
    )
    return ServerMemory(
        planned_ram_bytes=place.ram_bytes if place is not None and known else None,
        planned_vram_bytes=place.need.vram_bytes if place is not None and known else None,
        reported_bytes=None if view.reported is None else sum(part.bytes for part in view.reported.parts),
        measured_ram_bytes=None if use is None else use.anon_bytes,
        gpus=tuple(
            ServerGpu(
                gpu=index,
                planned_bytes=place.on_gpu(index) if place is not None else 0,
                measured_bytes=None if use is None else use.gpu_bytes.get(index),
            )
            for index in indexes
        ),
    )
