"""A plan says who fits beside whom, who makes room, and what would fit instead."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.core.errors import FreeholdError
from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, MemoryPart, Placement, Reserve
from freehold.core.servers import ServerSpec
from freehold.supervisor.plan import PlanView, Wish, in_order, plan
from freehold.supervisor.plan_options import Place, changed, largest_context, nearest
from freehold.supervisor.plan_view import Option, ServerPlan

GIB = 1024**3
MIB = 1024**2
LAYERS = 32
KV = {"f16": 2, "q8_0": 1, "q4_0": 1}
NONE = Reserve(vram_bytes=0, ram_bytes=0)


def machine(*free: int, ram: int = 64) -> MachineMemory:
    """GiB; all of it free."""
    cards = tuple(GpuMemory(index=n, total_bytes=g * GIB, free_bytes=g * GIB) for n, g in enumerate(free))
    return MachineMemory(ram_total_bytes=ram * GIB, ram_free_bytes=ram * GIB, gpus=cards)


def price(spec: ServerSpec, there: MachineMemory) -> tuple[MemoryNeed, ...]:
    """A model whose name ends in its size in GiB: `llama-8`. Half a MiB of f16 cache for each token."""
    if "broken" in spec.model:
        raise FreeholdError("broken.gguf is no model")
    if spec.model == "unknown":
        return (MemoryNeed(source="unknown", note="who knows"),)
    weights = int(spec.model.rpartition("-")[2]) * GIB
    kv = spec.context * spec.slots * KV[spec.kv_type] * MIB // 4

    def way(devices: int, layers: int) -> MemoryNeed:
        on_gpu = layers / LAYERS
        parts = [
            MemoryPart(what=what, bytes=round(size * on_gpu / devices), device=n)
            for n in range(devices)
            for what, size in (("weights", weights), ("kv", kv))
        ]
        left = 1 - on_gpu
        parts += [
            MemoryPart(what="weights", bytes=round(weights * left), mapped=True),
            MemoryPart(what="kv", bytes=round(kv * left)),
            MemoryPart(what="prompt cache", bytes=spec.cache_ram_bytes),
        ]
        return MemoryNeed(parts=tuple(parts), devices=devices, gpu_layers=layers, context=spec.context)

    layers = (LAYERS, LAYERS // 2) if spec.gpu_layers is None else (spec.gpu_layers,)
    gpus = len(there.gpus) if spec.gpus is None else len(spec.gpus)
    ways = [way(devices, count) for count in layers for devices in range(1, gpus + 1)]
    return (*ways, way(0, 0))


def wish(name: str, model: str, *, trained: int = 32768, **more: Any) -> Wish:
    more = {"context": 4096, "slots": 1, "cache_ram_bytes": 0} | more
    return Wish(spec=ServerSpec(name=name, model=model, **more), trained=trained)


def server(view: PlanView, name: str) -> ServerPlan:
    return next(one for one in view.servers if one.name == name)


def test_servers_that_fit_stand_beside_each_other_and_the_gpu_says_so() -> None:
    view = plan([wish("a", "m-10"), wish("b", "m-8")], machine(24), NONE, price)
    assert [one.fit for one in view.servers] == ["together", "together"]
    (gpu,) = view.gpus
    assert gpu.servers == ("a", "b")
    assert gpu.planned_bytes == 22 * GIB
    assert gpu.left_bytes == 2 * GIB
    assert server(view, "a").weights_bytes == 10 * GIB
    assert server(view, "a").kv_bytes == 2 * GIB
    assert view.apart == ()


def test_who_does_not_fit_beside_takes_turns_with_the_least_important_that_is_enough() -> None:
    wishes = [
        wish("main", "m-8", priority=10),
        wish("side", "m-8", priority=60),
        wish("late", "m-9", priority=90),
    ]
    view = plan(wishes, machine(24), NONE, price)
    late = server(view, "late")
    assert late.fit == "swap"
    assert late.evicts == ("side",)
    assert "11.0 GiB on one GPU and 4.0 GiB" in late.why
    assert late.gpus[0].gpu == 0
    assert view.apart == ()  # any two of the three fit


def test_a_pair_that_never_fits_is_named() -> None:
    view = plan([wish("a", "m-15"), wish("b", "m-15")], machine(24), NONE, price)
    assert view.apart == (("a", "b"),)


def test_a_slower_place_is_not_taken_only_because_it_is_free() -> None:
    view = plan([wish("a", "m-15"), wish("b", "m-15")], machine(24, ram=64), NONE, price)
    assert server(view, "b").fit == "swap"
    assert server(view, "b").gpu_layers == LAYERS


def test_pinned_and_always_go_first_whatever_the_order_of_the_file() -> None:
    wishes = [
        wish("late", "m-1", priority=1),
        wish("always", "m-1", start="always", priority=90),
        wish("pinned", "m-1", pin=True, priority=99),
    ]
    assert [one.spec.name for one in in_order(wishes)] == ["pinned", "always", "late"]


def test_a_server_stands_behind_what_it_needs_and_never_evicts_it() -> None:
    wishes = [wish("agent", "m-15", after=("tools",), priority=1), wish("tools", "m-15", priority=99)]
    assert [one.spec.name for one in in_order(wishes)] == ["tools", "agent"]
    agent = server(plan(wishes, machine(24, ram=4), NONE, price), "agent")
    assert "tools" not in agent.evicts
    assert agent.gpu_layers != LAYERS


def test_needs_in_a_circle_do_not_hang() -> None:
    wishes = [wish("a", "m-1", after=("b",)), wish("b", "m-1", after=("a", "nobody"))]
    assert {one.spec.name for one in in_order(wishes)} == {"a", "b"}
    assert len(plan(wishes, machine(24), NONE, price).servers) == 2


def test_what_a_pinned_server_keeps_out_names_it() -> None:
    wishes = [wish("pinned", "m-20", pin=True), wish("other", "m-20", gpu_layers=LAYERS)]
    view = plan(wishes, machine(24, ram=1), NONE, price)
    other = server(view, "other")
    assert (other.fit, other.blocked_by, other.evicts) == ("never", ("pinned",), ())


def test_what_fits_nowhere_is_told_with_the_numbers_and_the_nearest_that_does() -> None:
    big = wish("big", "m-20", context=16384, slots=1)
    one = server(plan([big], machine(24, ram=1), NONE, price), "big")
    assert one.fit == "never"
    assert one.why == "it needs 4.0 GiB of RAM and 1.0 GiB may be used"  # the way that lacks least
    assert one.nearest == (Option(kv="q8_0"), Option(context=8192))


def test_who_is_not_wholly_on_the_gpu_learns_what_would_be() -> None:
    one = server(plan([wish("a", "m-20", context=16384)], machine(24), NONE, price), "a")
    assert one.fit == "together"
    assert one.gpu_layers == LAYERS // 2
    assert one.all_layers == LAYERS
    assert one.nearest[0] == Option(kv="q8_0")


def test_a_needless_bound_is_the_first_thing_to_be_lifted() -> None:
    one = server(plan([wish("a", "m-10", gpus=(0,), gpu_layers=LAYERS)], machine(8, 24), NONE, price), "a")
    assert one.nearest[0] == Option(gpus="auto")
    assert one.nearest[0].words == "gpus: auto"


def test_the_largest_context_keeps_everything_else_where_it_is() -> None:
    view = plan([wish("a", "m-10"), wish("b", "m-8")], machine(24), NONE, price)
    assert server(view, "a").largest_context == 8192
    assert server(view, "b").largest_context == 8192


def test_the_largest_context_is_never_more_than_the_model_was_trained_for() -> None:
    view = plan([wish("a", "m-1", trained=5000)], machine(24), NONE, price)
    assert server(view, "a").largest_context == 5000
    assert server(view, "a").trained_context == 5000


def test_ram_is_accounted_with_caches_and_mapped_weights_apart() -> None:
    view = plan([wish("a", "m-10", cache_ram_bytes=GIB)], machine(ram=32), NONE, price)
    assert view.ram.planned_bytes == 3 * GIB
    assert view.ram.prompt_cache_bytes == GIB
    assert view.ram.mapped_bytes == 10 * GIB
    assert view.ram.left_bytes == 29 * GIB


def test_what_runs_already_is_not_counted_twice() -> None:
    there = machine(24)
    used = MachineMemory(
        ram_total_bytes=there.ram_total_bytes,
        ram_free_bytes=there.ram_free_bytes,
        gpus=(GpuMemory(index=0, total_bytes=24 * GIB, free_bytes=3 * GIB),),
    )
    held = Placement(
        need=MemoryNeed(parts=(MemoryPart(what="other", bytes=20 * GIB, device=0),), devices=1), gpus=(0,)
    )
    one = Wish(spec=wish("a", "m-18").spec, running=held, is_running=True)
    view = plan([one], used, NONE, price)
    assert server(view, "a").fit == "together"
    assert server(view, "a").running
    assert view.gpus[0].others_bytes == GIB


def test_a_reserve_is_never_given_away() -> None:
    reserve = Reserve(vram_bytes=2 * GIB, ram_bytes=GIB)
    view = plan([wish("a", "m-21")], machine(24), reserve, price)
    assert server(view, "a").gpu_layers != LAYERS
    assert view.gpus[0].reserve_bytes == 2 * GIB


def test_what_is_not_known_or_not_readable_is_said_and_stops_nobody() -> None:
    view = plan([wish("x", "unknown"), wish("y", "broken"), wish("z", "m-1")], machine(24), NONE, price)
    assert [one.fit for one in view.servers] == ["unknown", "unreadable", "together"]
    assert server(view, "x").note == "who knows"
    assert server(view, "y").why == "broken.gguf is no model"


def test_without_servers_the_machine_is_told() -> None:
    view = plan([], machine(24), NONE, price)
    assert view.servers == ()
    assert view.gpus[0].left_bytes == 24 * GIB


def test_an_option_that_is_told_does_fit() -> None:
    spec = wish("a", "m-20", context=30000, slots=4).spec
    where = Place(price=price, machine=machine(24, ram=1), reserve=NONE)
    for option in nearest(spec, where):
        assert where.holds(changed(spec, option)), option


def test_vllm_is_told_a_smaller_share() -> None:
    def shares(spec: ServerSpec, there: MachineMemory) -> tuple[MemoryNeed, ...]:
        taken = round((spec.gpu_memory or 0.9) * there.gpus[0].total_bytes)
        return (MemoryNeed(parts=(MemoryPart(what="other", bytes=taken, device=0),), devices=1),)

    spec = ServerSpec(name="v", engine="vllm", gpu_memory=0.9)
    used = MachineMemory(
        ram_total_bytes=GIB,
        ram_free_bytes=GIB,
        gpus=(GpuMemory(index=0, total_bytes=24 * GIB, free_bytes=12 * GIB),),
    )
    assert nearest(spec, Place(price=shares, machine=used, reserve=NONE)) == (Option(gpu_memory=0.5),)


WISHES = st.lists(
    st.builds(
        lambda size, context, slots, pin, priority: (size, context, slots, pin, priority),
        st.integers(1, 30), st.integers(256, 40000), st.integers(1, 4), st.booleans(), st.integers(0, 100),
    ),
    max_size=5,
)  # fmt: skip


_SMALL = (1, 256, 1, False, 0)
_LATE = (1, 256, 1, False, 1)  # finds a place after the big one did not


@settings(max_examples=40, deadline=None)
@example([_SMALL, _SMALL, _SMALL, _LATE, (1, 2049, 1, False, 0)], [4, 4], 2)
@given(WISHES, st.lists(st.integers(4, 48), max_size=3), st.integers(2, 64))
def test_a_plan_never_promises_more_than_there_is(
    given_ones: list[tuple[int, int, int, bool, int]], gpus: list[int], ram: int
) -> None:
    wishes = [
        wish(f"s{n}", f"m-{size}", context=context, slots=slots, pin=pin, priority=priority, trained=40960)
        for n, (size, context, slots, pin, priority) in enumerate(given_ones)
    ]
    there = machine(*gpus, ram=ram)
    reserve = Reserve(vram_bytes=GIB, ram_bytes=GIB)
    view = plan(wishes, there, reserve, price)
    for gpu in view.gpus:
        assert gpu.planned_bytes + gpu.reserve_bytes <= gpu.total_bytes or not gpu.planned_bytes
    assert view.ram.planned_bytes + view.ram.reserve_bytes <= view.ram.total_bytes
    pinned = {one.spec.name for one in wishes if one.spec.pin}
    for one in view.servers:
        assert not pinned.intersection(one.evicts)
        if one.fit in ("together", "swap"):
            assert one.largest_context is None or one.largest_context >= one.context - 1024
        if one.fit == "swap":
            assert one.evicts


def test_no_context_fits_where_everything_else_does_not() -> None:
    spec = wish("a", "m-30", cache_ram_bytes=2 * GIB).spec
    assert largest_context(spec, 0, Place(price=price, machine=machine(24, ram=1), reserve=NONE)) == 0
