"""A server goes where it fits and wastes least; where it does not fit, the numbers are said."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, MemoryPart, Placement, Reserve
from freehold.supervisor.placement import Shortage, free_after, free_with, place

GIB = 1024**3
NONE = Reserve(vram_bytes=0, ram_bytes=0)


def machine(*free: int, ram: int = 64 * GIB, total: int = 24 * GIB) -> MachineMemory:
    cards = tuple(
        GpuMemory(index=n, total_bytes=max(total, size), free_bytes=size) for n, size in enumerate(free)
    )
    return MachineMemory(ram_total_bytes=max(ram, 64 * GIB), ram_free_bytes=ram, gpus=cards)


def need(*devices: int, ram: int = 0, mapped: int = 0, layers: int | None = None) -> MemoryNeed:
    parts = [MemoryPart(what="weights", bytes=size, device=n) for n, size in enumerate(devices)]
    parts += [MemoryPart(what="other", bytes=ram), MemoryPart(what="weights", bytes=mapped, mapped=True)]
    return MemoryNeed(parts=tuple(parts), devices=len(devices), gpu_layers=layers)


def placed(found: Placement | Shortage) -> Placement:
    assert isinstance(found, Placement), found
    return found


def refused(found: Placement | Shortage) -> Shortage:
    assert isinstance(found, Shortage), found
    return found


def test_the_smallest_hole_that_is_large_enough_is_taken() -> None:
    found = placed(place([need(5 * GIB)], machine(24 * GIB, 6 * GIB, 4 * GIB), NONE))
    assert found.gpus == (1,)
    assert found.split == ()


def test_one_gpu_goes_before_several_and_several_before_the_host() -> None:
    ways = [need(20 * GIB), need(10 * GIB, 11 * GIB), need(ram=20 * GIB)]
    assert placed(place(ways, machine(24 * GIB, 24 * GIB), NONE)).gpus == (0,)
    assert sorted(placed(place(ways, machine(12 * GIB, 12 * GIB), NONE)).gpus) == [0, 1]
    assert placed(place(ways, machine(2 * GIB, 2 * GIB), NONE)).gpus == ()


def test_the_larger_share_goes_to_the_gpu_that_has_room_for_it() -> None:
    found = placed(place([need(4 * GIB, 9 * GIB)], machine(10 * GIB, 5 * GIB), NONE))
    assert found.gpus == (1, 0)
    assert found.on_gpu(0) == 9 * GIB
    assert sum(found.split) == 1.0 or abs(sum(found.split) - 1) < 0.001


def test_gpus_are_taken_in_order_where_that_fits_too() -> None:
    assert placed(place([need(4 * GIB, 5 * GIB)], machine(8 * GIB, 7 * GIB), NONE)).gpus == (0, 1)


def test_shares_are_those_that_the_way_was_counted_with() -> None:
    way = need(4 * GIB, 9 * GIB)
    way = MemoryNeed(parts=way.parts, devices=2, split=(0.25, 0.75))
    assert placed(place([way], machine(24 * GIB, 24 * GIB), NONE)).split == (0.25, 0.75)


def test_a_way_that_takes_its_share_of_a_certain_gpu_goes_there_or_nowhere() -> None:
    way = MemoryNeed(parts=need(9 * GIB).parts, devices=1, gpus=(1,))
    assert placed(place([way], machine(10 * GIB, 20 * GIB), NONE)).gpus == (1,)
    assert refused(place([way], machine(20 * GIB, 8 * GIB), NONE)).lacks[0].gpu == 1


def test_only_the_gpus_that_it_may_use_are_used() -> None:
    both = machine(24 * GIB, 24 * GIB)
    assert placed(place([need(5 * GIB)], both, NONE, (1,))).gpus == (1,)
    assert "may use none" in refused(place([need(5 * GIB)], both, NONE, ())).message
    assert "GPU 7, which this machine does not have" in refused(place([need(1)], both, NONE, (7,))).message


def test_a_gpu_reserve_is_for_each_gpu_and_ram_has_its_own() -> None:
    reserve = Reserve(vram_bytes=GIB, ram_bytes=2 * GIB)
    assert isinstance(place([need(23 * GIB)], machine(24 * GIB), reserve), Placement)
    assert isinstance(place([need(23 * GIB + 1)], machine(24 * GIB), reserve), Shortage)
    assert isinstance(place([need(ram=6 * GIB)], machine(ram=8 * GIB), reserve), Placement)
    assert isinstance(place([need(ram=6 * GIB + 1)], machine(ram=8 * GIB), reserve), Shortage)


def test_room_on_the_gpu_does_not_help_who_lacks_ram() -> None:
    found = refused(place([need(GIB, ram=9 * GIB)], machine(24 * GIB, ram=8 * GIB), NONE))
    assert [lack.gpu for lack in found.lacks] == [None]
    assert "9.0 GiB of RAM" in found.message
    assert "8.0 GiB" in found.message


def test_weights_that_stay_in_ram_go_before_weights_that_are_read_again_and_again() -> None:
    ways = [need(GIB, mapped=80 * GIB, layers=4), need(mapped=40 * GIB, layers=0)]
    assert placed(place(ways, machine(24 * GIB), NONE)).need.gpu_layers == 0
    assert placed(place(ways[:1], machine(24 * GIB), NONE)).need.gpu_layers == 4


def test_the_numbers_of_what_lacks_least_are_said() -> None:
    found = refused(place([need(30 * GIB), need(ram=100 * GIB)], machine(24 * GIB), NONE))
    assert found.needed_vram_bytes == 30 * GIB
    assert found.free_vram_bytes == 24 * GIB
    assert found.lacks[0].missing_bytes == 6 * GIB
    assert found.message == "it needs 30.0 GiB on one GPU and 24.0 GiB may be used (GPU 0)"


def test_more_gpus_than_there_are() -> None:
    assert "2 GPUs" in refused(place([need(1, 1)], machine(24 * GIB), NONE)).message


def test_of_what_nothing_is_known_it_may_use_what_it_is_allowed() -> None:
    unknown = MemoryNeed(source="unknown")
    assert placed(place([unknown], machine(0, 0, ram=0), NONE)).gpus == (0, 1)
    assert placed(place([unknown], machine(0, 0, ram=0), NONE, (1,))).gpus == (1,)


def test_without_any_way_it_is_said() -> None:
    assert refused(place([], machine(), NONE)).message


def test_what_ended_is_free_again_but_never_more_than_there_is() -> None:
    one = Placement(need=need(4 * GIB, ram=GIB), gpus=(0,))
    after = free_after(machine(19 * GIB, 24 * GIB, ram=60 * GIB), [one])
    assert after.gpus[0].free_bytes == 23 * GIB
    assert after.ram_free_bytes == 61 * GIB
    assert free_after(machine(23 * GIB, ram=64 * GIB), [one]).gpus[0].free_bytes == 24 * GIB


SIZES = st.integers(0, 30)
WAYS = st.lists(
    st.builds(lambda devices, ram, mapped: need(*devices, ram=ram, mapped=mapped),
              st.lists(SIZES, max_size=3), SIZES, SIZES),
    min_size=1, max_size=4,
)  # fmt: skip
MACHINES = st.builds(lambda free, ram: machine(*free, ram=ram, total=40), st.lists(SIZES, max_size=4), SIZES)
RESERVES = st.builds(lambda vram, ram: Reserve(vram_bytes=vram, ram_bytes=ram), SIZES, SIZES)
ALLOWED = st.none() | st.sets(st.integers(0, 4)).map(lambda found: tuple(sorted(found)))


@given(WAYS, MACHINES, RESERVES, ALLOWED)
def test_whatever_is_placed_fits(
    ways: list[MemoryNeed], there: MachineMemory, reserve: Reserve, gpus: tuple[int, ...] | None
) -> None:
    found = place(ways, there, reserve, gpus)
    if isinstance(found, Shortage):
        assert found.message
        assert found.lacks
        return
    assert found.need in ways
    assert len(set(found.gpus)) == len(found.gpus) == found.need.devices
    assert found.ram_bytes <= max(0, there.ram_free_bytes - reserve.ram_bytes)
    for gpu in there.gpus:
        assert found.on_gpu(gpu.index) <= max(0, gpu.free_bytes - reserve.vram_bytes)
        assert gpus is None or gpu.index in gpus or gpu.index not in found.gpus


@given(WAYS, MACHINES, RESERVES, ALLOWED)
def test_nothing_is_refused_that_would_fit_somehow(
    ways: list[MemoryNeed], there: MachineMemory, reserve: Reserve, gpus: tuple[int, ...] | None
) -> None:
    if isinstance(place(ways, there, reserve, gpus), Placement):
        return
    allowed = [gpu for gpu in there.gpus if gpus is None or gpu.index in gpus]
    for way in ways:
        in_ram = way.ram_bytes <= max(0, there.ram_free_bytes - reserve.ram_bytes)
        assert not in_ram or not any(
            all(
                way.on_device(n) <= max(0, gpu.free_bytes - reserve.vram_bytes)
                for n, gpu in enumerate(chosen)
            )
            for chosen in permutations(allowed, way.devices)
        )


@given(WAYS, MACHINES)
def test_to_come_and_to_go_again_changes_nothing(ways: list[MemoryNeed], there: MachineMemory) -> None:
    found = place(ways, there, NONE)
    if isinstance(found, Placement):
        assert free_after(free_with(there, [found]), [found]) == there
