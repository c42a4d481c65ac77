"""A memory plan in rows and sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from freehold.core.quantities import bytes_words
from freehold.supervisor.plan_view import options_words

if TYPE_CHECKING:
    from freehold.supervisor.plan_view import PlanView, RamPlan, ServerPlan

_FITS = {
    "together": "yes",
    "swap": "in turns",
    "never": "no",
    "unknown": "unknown",
    "unreadable": "unreadable",
}
_NONE = "-"


def gpu_rows(view: PlanView) -> Iterator[tuple[str, ...]]:
    """Each GPU, then RAM: what there is, and what the servers that fit together take of it."""
    for gpu in view.gpus:
        sizes = (gpu.total_bytes, gpu.reserve_bytes, gpu.others_bytes, gpu.planned_bytes, gpu.left_bytes)
        name = f"GPU {gpu.index}" + (f" ({gpu.name})" if gpu.name else "")
        yield (name, *(bytes_words(size) if size else _NONE for size in sizes), ", ".join(gpu.servers))
    ram = view.ram
    sizes = (ram.total_bytes, ram.reserve_bytes, ram.others_bytes, ram.planned_bytes, ram.left_bytes)
    yield ("RAM", *map(bytes_words, sizes), ", ".join(ram.servers) or _NONE)


def server_rows(view: PlanView) -> Iterator[tuple[str, ...]]:
    """Each server: whether it fits, where, and what it takes."""
    for one in view.servers:
        known = bool(one.vram_bytes or one.ram_bytes or one.mapped_bytes)
        sizes = (one.weights_bytes, one.kv_bytes, one.other_bytes)
        yield (
            one.name,
            _FITS[one.fit],
            place_words(one) if known else _NONE,
            *(bytes_words(size) if size else _NONE for size in sizes),
            f"{one.slots} x {one.context}" if one.context else _NONE,
            str(one.largest_context) if one.largest_context else _NONE,
        )


def place_words(one: ServerPlan) -> str:
    """`GPU 0`, `GPU 0+1`, `GPU 0, 20 of 33 layers`, `RAM`."""
    if not one.gpus:
        return "RAM"
    words = "GPU " + "+".join(str(share.gpu) for share in one.gpus)
    if one.gpu_layers is not None and one.all_layers and one.gpu_layers < one.all_layers:
        words += f", {one.gpu_layers} of {one.all_layers} layers"
    if one.host_experts:
        words += f", experts of {one.host_experts} blocks in RAM"
    return words


def sentences(view: PlanView) -> list[str]:
    """What a person should know beyond the numbers, and what they can do."""
    found = [line for one in view.servers for line in _of_server(one, view.ram)]
    return [*found, *_of_pairs(view), *_of_ram(view.ram)]


def _of_ram(ram: RamPlan) -> Iterator[str]:
    caches, mapped, left = map(bytes_words, (ram.prompt_cache_bytes, ram.mapped_bytes, ram.left_bytes))
    if ram.prompt_cache_bytes:
        yield f"RAM: {caches} of what is planned are prompt caches when they are full."
    if ram.mapped_bytes > ram.left_bytes:
        yield f"RAM: {mapped} more of weights mirror files, and {left} are left for them: expect disk reads."
    elif ram.mapped_bytes:
        yield f"RAM: {mapped} more hold weights that mirror files; the system may drop them."


def _of_server(one: ServerPlan, ram: RamPlan) -> Iterator[str]:
    if one.fit == "unreadable":
        yield f"{one.name}: {_ended(one.why)}"
    elif one.fit == "unknown":
        yield f"{one.name} is not planned: {_ended(one.note or 'nothing is known of its memory')}"
    elif one.fit == "never":
        yield f"{one.name} does not fit: {_ended(one.why)}{_blocked(one)}{_would(one, 'fit')}"
    elif one.fit == "swap":
        beside = _would(one, "run beside the others")
        yield f"{one.name} takes turns with {_listed(one.evicts)}: {_ended(one.why)}{beside}"
    elif one.nearest:
        where = "partly in RAM" if one.gpus else "in RAM"
        yield f"{one.name} is {where}, which is slow.{_would(one, 'be on the GPU as a whole')}"
    kept = ram.total_bytes - ram.reserve_bytes - ram.others_bytes - one.ram_bytes
    if one.mapped_bytes > kept:
        yield (
            f"{one.name} reads its weights from the disk again and again: {bytes_words(one.mapped_bytes)} of "
            f"them do not stay in {bytes_words(max(0, kept))} of RAM."
        )


def _blocked(one: ServerPlan) -> str:
    if not one.blocked_by:
        return ""
    return f" Without {_listed(one.blocked_by)}, never stopped for it, it would."


def _would(one: ServerPlan, what: str) -> str:
    words = options_words(one.nearest)
    return f" It would {what} {words}." if words else ""


def _of_pairs(view: PlanView) -> Iterator[str]:
    """Only where it is not said already by who makes room for whom."""
    said = {frozenset((one.name, name)) for one in view.servers for name in one.evicts}
    others: dict[str, list[str]] = {}
    for first, second in view.apart:
        if frozenset((first, second)) not in said:
            others.setdefault(first, []).append(second)
    for first, seconds in others.items():
        yield f"{first} never runs at the same time as {' or '.join(seconds)}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nobody"


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
