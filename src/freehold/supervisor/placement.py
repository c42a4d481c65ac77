"""Where a model server goes: which GPUs, and whether there is room at all. Pure; all sizes in bytes.

Given are the ways in which a server can run (`supervisor.memory` makes them, the fastest first) and what
the machine has free. Which server may have the room is decided elsewhere: `supervisor.swap` for one that
is wanted now, `supervisor.plan` for all that are configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, Placement, Reserve
from freehold.core.quantities import bytes_words


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """What one place has too little of. `gpu` None is RAM, -1 a GPU that is not there."""

    gpu: int | None
    needed_bytes: int
    free_bytes: int
    """After the reserve, so it may be given to model servers."""

    @property
    def missing_bytes(self) -> int:
        return max(0, self.needed_bytes - self.free_bytes)


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """No way to run it fits. The numbers are those of the way that lacks least."""

    needed_vram_bytes: int
    """On all its devices together."""
    needed_ram_bytes: int
    free_vram_bytes: int
    """On all GPUs that it may use, after the reserves."""
    free_ram_bytes: int
    """After the reserve."""
    lacks: tuple[Lack, ...] = ()
    message: str
    """For a person: what is needed, what is free, what is short."""
    nearest: str = ""
    """For a person: the nearest thing that would fit; empty when nobody has looked for it."""


class _Room(msgspec.Struct, frozen=True):
    """What may be given away: reserves are taken off already."""

    gpus: tuple[tuple[int, int], ...]
    """(free bytes, index) of each GPU that may be used, the smallest hole first."""
    ram: int


def place(
    ways: Sequence[MemoryNeed],
    machine: MachineMemory,
    reserve: Reserve,
    gpus: tuple[int, ...] | None = None,
) -> Placement | Shortage:
    """The first way that fits, on the GPUs that it leaves fullest, so that large holes stay large.

    `machine` must not count what would still have to be stopped (`free_after`). `gpus` are the indexes that
    may be used: empty for none, None for any. Mapped weights are wanted in RAM and not required: a way
    whose mapped weights stay in RAM goes before one whose weights would be read from the disk again and
    again. A way whose use of GPUs is not known (nothing is, or only its RAM was stated) needs nothing of
    them, and sees all that it may use.
    """
    room = _room(machine, reserve, gpus)
    for mapped_counts in (True, False):
        for way in ways:
            found = _fit(way, room, mapped_counts=mapped_counts)
            if found is not None:
                return found
    return _shortage(ways, machine, room, gpus)


def free_after(machine: MachineMemory, gone: Iterable[Placement]) -> MachineMemory:
    """The machine when these servers have ended and the driver has given their memory back."""
    return _moved(machine, gone, sign=1)


def free_with(machine: MachineMemory, come: Iterable[Placement]) -> MachineMemory:
    """The machine when these servers run too; never less than nothing is free."""
    return _moved(machine, come, sign=-1)


def _moved(machine: MachineMemory, placements: Iterable[Placement], *, sign: int) -> MachineMemory:
    moved = tuple(placements)
    ram = machine.ram_free_bytes + sign * sum(one.ram_bytes for one in moved)
    return MachineMemory(
        ram_total_bytes=machine.ram_total_bytes,
        ram_free_bytes=_within(ram, machine.ram_total_bytes),
        gpus=tuple(
            msgspec.structs.replace(
                gpu,
                free_bytes=_within(
                    gpu.free_bytes + sign * sum(one.on_gpu(gpu.index) for one in moved), gpu.total_bytes
                ),
            )
            for gpu in machine.gpus
        ),
    )


def _within(count: int, total: int) -> int:
    return min(max(count, 0), total)


def _allowed(machine: MachineMemory, gpus: tuple[int, ...] | None) -> tuple[GpuMemory, ...]:
    return machine.gpus if gpus is None else tuple(gpu for gpu in machine.gpus if gpu.index in gpus)


def _room(machine: MachineMemory, reserve: Reserve, gpus: tuple[int, ...] | None) -> _Room:
    holes = ((max(0, gpu.free_bytes - reserve.vram_bytes), gpu.index) for gpu in _allowed(machine, gpus))
    return _Room(tuple(sorted(holes)), max(0, machine.ram_free_bytes - reserve.ram_bytes))


def _fit(way: MemoryNeed, room: _Room, *, mapped_counts: bool) -> Placement | None:
    everything = tuple(sorted(index for _, index in room.gpus))
    if way.source == "unknown":
        return Placement(need=way, gpus=everything)
    if way.ram_bytes + (way.mapped_bytes if mapped_counts else 0) > room.ram:
        return None
    if way.source == "configured" and not way.devices:
        return Placement(need=way, gpus=everything)
    chosen = _match(way, room.gpus)
    return None if chosen is None else Placement(need=way, gpus=chosen, split=_split(way))


def _match(way: MemoryNeed, holes: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """A GPU for each device, or None. The largest need takes the smallest hole that is large enough: any
    hole that it could have instead is as good for those that come after it, so none is refused in vain."""
    left = [hole for hole in holes if not way.gpus or hole[1] in way.gpus]
    chosen = [0] * way.devices
    for device in sorted(range(way.devices), key=way.on_device, reverse=True):
        hole = next((hole for hole in left if hole[0] >= way.on_device(device)), None)
        if hole is None:
            return None
        left.remove(hole)
        chosen[device] = hole[1]
    sizes = {index: size for size, index in holes}
    in_order = sorted(chosen)
    if all(way.on_device(device) <= sizes[index] for device, index in enumerate(in_order)):
        return tuple(in_order)  # neighbours on the bus exchange data fastest, and people read it more easily
    return tuple(chosen)


def _split(way: MemoryNeed) -> tuple[float, ...]:
    """The shares that the way was counted with, else those of its weights."""
    if way.devices < 2:
        return ()
    if way.split:
        return way.split
    weights = [
        sum(part.bytes for part in way.parts if part.device == device and part.what == "weights")
        for device in range(way.devices)
    ]
    total = sum(weights)
    return tuple(round(size / total, 4) for size in weights) if total else (1.0,) * way.devices


# -- what is short


def _shortage(
    ways: Sequence[MemoryNeed], machine: MachineMemory, room: _Room, gpus: tuple[int, ...] | None
) -> Shortage:
    if not ways:
        return Shortage(
            needed_vram_bytes=0,
            needed_ram_bytes=0,
            free_vram_bytes=sum(hole for hole, _ in room.gpus),
            free_ram_bytes=room.ram,
            message="there is no way to run it here",
        )
    lacking = [_lacks(way, room) for way in ways]
    least = min(range(len(ways)), key=lambda n: sum(lack.missing_bytes for lack in lacking[n]))
    way, lacks = ways[least], lacking[least]
    return Shortage(
        needed_vram_bytes=way.vram_bytes,
        needed_ram_bytes=way.ram_bytes,
        free_vram_bytes=sum(hole for hole, _ in room.gpus),
        free_ram_bytes=room.ram,
        lacks=lacks,
        message=_words(way, lacks, machine, gpus),
    )


def _lacks(way: MemoryNeed, room: _Room) -> tuple[Lack, ...]:
    """What the way lacks if its largest needs get the largest holes."""
    lacks: list[Lack] = []
    there = [hole for hole in room.gpus if not way.gpus or hole[1] in way.gpus]
    holes = sorted(there, key=lambda hole: (-hole[0], hole[1]))
    needs = sorted((way.on_device(device) for device in range(way.devices)), reverse=True)
    for number, needed in enumerate(needs):
        free, index = holes[number] if number < len(holes) else (0, -1)
        if needed > free or index < 0:
            lacks.append(Lack(gpu=index, needed_bytes=needed, free_bytes=free))
    if way.ram_bytes > room.ram:
        lacks.append(Lack(gpu=None, needed_bytes=way.ram_bytes, free_bytes=room.ram))
    return tuple(lacks)


def _words(
    way: MemoryNeed, lacks: Sequence[Lack], machine: MachineMemory, gpus: tuple[int, ...] | None
) -> str:
    there = {gpu.index for gpu in machine.gpus}
    strangers = sorted(set(gpus or ()) - there)
    if strangers and way.devices:
        named = ", ".join(map(str, strangers))
        return f"it shall use GPU {named}, which this machine does not have"
    sentences = [_lack_words(lack, way, gpus) for lack in lacks]
    return "; ".join(sentences)


def _lack_words(lack: Lack, way: MemoryNeed, gpus: tuple[int, ...] | None) -> str:
    needed, free = bytes_words(lack.needed_bytes), bytes_words(lack.free_bytes)
    if lack.gpu is None:
        return f"it needs {needed} of RAM and {free} may be used"
    if lack.gpu >= 0:
        return f"it needs {needed} on one GPU and {free} may be used (GPU {lack.gpu})"
    if gpus == ():
        return f"it needs {needed} on a GPU and may use none"
    if way.devices == 1:
        return f"it needs {needed} on a GPU, and there is none"
    return f"it needs {way.devices} GPUs ({needed} on one), and there are not so many"
