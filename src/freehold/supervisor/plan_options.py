"""What would fit instead: the largest context, and the nearest change of a server's configuration. Pure.

Everything is tried on values: a server is priced again and placed again, nothing is computed backwards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import msgspec

from freehold.core.errors import FreeholdError
from freehold.core.memory import MachineMemory, MemoryNeed, Placement, Reserve
from freehold.core.servers import ServerSpec
from freehold.supervisor.placement import Shortage, place
from freehold.supervisor.plan_view import Option

Price = Callable[[ServerSpec, MachineMemory], tuple[MemoryNeed, ...]]
"""Ways to run a server on such a machine, the fastest first. May raise FreeholdError."""

STEP = 1024
"""Contexts are looked for in multiples of so many tokens."""
UNTRAINED = 131_072
"""Looked up to, where a model does not say what it was trained for."""
MOST_OPTIONS = 2


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change must fit, and how fast it must be there."""

    price: Price
    machine: MachineMemory
    reserve: Reserve
    as_good_as: MemoryNeed | None = None
    """No fewer layers on as many GPUs; None: any way will do."""

    def holds(self, spec: ServerSpec) -> bool:
        """Whether this server would fit here."""
        return self.find(spec) is not None

    def find(self, spec: ServerSpec) -> Placement | None:
        """Where it would be put here."""
        wanted = self.as_good_as
        if wanted is not None and wanted.devices and wanted.gpu_layers is not None:
            # The estimator need not look for what would be turned down.
            experts = ("--n-cpu-moe", str(wanted.cpu_moe)) if wanted.cpu_moe else ()
            spec = msgspec.structs.replace(spec, gpu_layers=wanted.gpu_layers, args=(*spec.args, *experts))
        try:
            ways = self.price(spec, self.machine)
        except FreeholdError:
            return None
        found = place([way for way in ways if is_as_good(way, wanted)], self.machine, self.reserve, spec.gpus)
        return None if isinstance(found, Shortage) else found


def is_as_good(way: MemoryNeed, wanted: MemoryNeed | None) -> bool:
    """Whether it has as much on GPUs, on no more of them."""
    if wanted is None:
        return True
    if (way.devices == 0) != (wanted.devices == 0) or way.devices > max(1, wanted.devices):
        return False
    return (way.gpu_layers or 0) >= (wanted.gpu_layers or 0) and way.cpu_moe <= wanted.cpu_moe


def largest_context(spec: ServerSpec, trained: int, where: Place) -> int:
    """Tokens of each slot that still fit, at most what the model was trained for; 0 when none do."""
    limit = trained or UNTRAINED
    if where.holds(msgspec.structs.replace(spec, context=limit)):
        return limit
    return _largest(spec, limit - 1, where)


def _largest(spec: ServerSpec, below: int, where: Place) -> int:
    steps = range(STEP, below + 1, STEP)
    count = bisect_left(
        steps, True, key=lambda tokens: not where.holds(msgspec.structs.replace(spec, context=tokens))
    )
    return steps[count - 1] if count else 0


def nearest(spec: ServerSpec, where: Place) -> tuple[Option, ...]:
    """The first changes that make it fit, those that cost least first."""
    found: list[Option] = []
    for option in _options(spec, where):
        found.append(option)
        if len(found) == MOST_OPTIONS:
            break
    return tuple(found)


def changed(spec: ServerSpec, option: Option) -> ServerSpec:
    """The server with this change."""
    return msgspec.structs.replace(
        spec,
        gpus=None if option.gpus else spec.gpus,
        gpu_layers=None if option.gpu_layers else spec.gpu_layers,
        kv_type=option.kv or spec.kv_type,
        slots=option.slots or spec.slots,
        context=option.context or spec.context,
        gpu_memory=option.gpu_memory or spec.gpu_memory,
    )


def _options(spec: ServerSpec, where: Place) -> Iterator[Option]:
    """Each that is yielded fits."""
    single: list[Option] = []
    if spec.gpus is not None:
        single.append(Option(gpus="auto"))
    if spec.gpu_layers is not None:
        single.append(Option(gpu_layers="auto"))
    if spec.engine in ("vllm", "sglang"):
        single += [Option(gpu_memory=share / 20) for share in _shares(spec)]
        yield from _first(spec, single, where)
        return
    if spec.engine != "llama.cpp":
        yield from _first(spec, single, where)
        return
    yield from _first(spec, single, where)
    halved = Option(kv="q8_0") if spec.kv_type in ("f16", "f32", "bf16") else None
    if halved is not None and where.holds(changed(spec, halved)):
        yield halved
    yield from _first(spec, [Option(slots=slots) for slots in _fewer(spec.slots)], where)
    context = _largest(spec, spec.context - 1, where)
    if context:
        yield Option(context=context)
    elif halved is not None:
        smaller = _largest(changed(spec, halved), spec.context - 1, where)
        if smaller:
            yield Option(kv="q8_0", context=smaller)


def _first(spec: ServerSpec, options: Sequence[Option], where: Place) -> Iterator[Option]:
    yield from [option for option in options if where.holds(changed(spec, option))][:1]


def _fewer(slots: int) -> list[int]:
    """Half as many, and half of that, down to one."""
    found: list[int] = []
    while slots > 1:
        slots //= 2
        found.append(slots)
    return found


def _shares(spec: ServerSpec) -> list[int]:
    """Twentieths below the present share, the largest first."""
    now = spec.gpu_memory if spec.gpu_memory is not None else 0.9
    return [share for share in range(19, 1, -1) if share / 20 < now]
