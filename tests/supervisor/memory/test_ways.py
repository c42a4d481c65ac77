"""Ways to run one model, and how much context fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.families import FAMILIES
from benchmarks.model_sizes import TRUE
from freehold.adapters.engines.model_files import read_model_file
from freehold.core.memory import GpuMemory, MachineMemory, Reserve
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory import Limits, Run, estimate, largest_context, ways

GIB = 1024**3
RESERVE = Reserve(vram_bytes=GIB // 2)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    folder = tmp_path_factory.mktemp("hollow")

    def read(name: str) -> ModelFile:
        family, size = TRUE[name]
        return read_model_file(FAMILIES[family](size).write(folder / f"{Path(name).name}.gguf"))

    return {name: read(name) for name in ("Llama 3.1 8B", "Llama 3.1 70B", "gpt-oss 120B")}


def machine(*free_gib: float, total_gib: float = 24) -> MachineMemory:
    gpus = tuple(
        GpuMemory(index=i, vendor="nvidia", total_bytes=round(total_gib * GIB), free_bytes=round(free * GIB))
        for i, free in enumerate(free_gib)
    )
    return MachineMemory(ram_total_bytes=64 * GIB, ram_free_bytes=60 * GIB, gpus=gpus)


def test_without_a_gpu_there_is_one_way(big: dict[str, ModelFile]) -> None:
    [only] = ways(big["Llama 3.1 8B"], Run(context_total=8192), machine())
    assert (only.devices, only.gpu_layers, only.vram_bytes) == (0, 0, 0)


def test_the_fastest_way_is_everything_on_one_gpu_the_slowest_nothing(big: dict[str, ModelFile]) -> None:
    found = ways(big["Llama 3.1 70B"], Run(context_total=8192), machine(23, 23))
    assert (found[0].devices, found[0].gpu_layers) == (1, 81)
    assert (found[1].devices, found[1].gpu_layers) == (2, 81)
    assert (found[-1].devices, found[-1].gpu_layers) == (0, 0)
    layers = [way.gpu_layers or 0 for way in found]
    assert layers == sorted(layers, reverse=True)


def test_one_of_the_ways_fills_what_is_free_and_no_more(big: dict[str, ModelFile]) -> None:
    """Of ways on one GPU, the best that fits leaves less free than a layer takes."""
    model, run = big["Llama 3.1 70B"], Run(context_total=8192)
    room = 20 * GIB - RESERVE.vram_bytes
    found = [way for way in ways(model, run, machine(20), RESERVE) if way.devices == 1]
    best = next(way for way in found if way.on_device(0) <= room)
    layer = (found[0].on_device(0)) / 81
    assert room - best.on_device(0) < 1.5 * layer


def test_experts_go_to_the_host_before_layers_do(big: dict[str, ModelFile]) -> None:
    found = ways(big["gpt-oss 120B"], Run(context_total=8192), machine(23), RESERVE)
    fitting = next(way for way in found if way.devices and way.on_device(0) <= 23 * GIB - RESERVE.vram_bytes)
    assert fitting.gpu_layers == 37
    assert 0 < fitting.cpu_moe < 36


def test_unequal_gpus_get_shares_to_match(big: dict[str, ModelFile]) -> None:
    found = ways(big["Llama 3.1 70B"], Run(context_total=8192), machine(12, 23))
    spread = next(way for way in found if way.devices == 2)
    assert spread.split == (1.0, pytest.approx(12 / 23, abs=0.01))
    assert spread.on_device(0) > 1.5 * spread.on_device(1)


def test_what_a_person_fixed_stays_fixed(big: dict[str, ModelFile]) -> None:
    found = ways(big["Llama 3.1 70B"], Run(context_total=8192, gpu_layers=10, devices=1), machine(23, 23))
    assert {(way.devices, way.gpu_layers) for way in found} == {(1, 10), (0, 0)}
    none = ways(big["Llama 3.1 70B"], Run(context_total=8192, gpu_layers=0), machine(23, 23))
    assert [way.devices for way in none] == [0]


def test_vllm_has_one_way_that_is_its_share(big: dict[str, ModelFile]) -> None:
    [way] = ways(big["Llama 3.1 8B"], Run(engine="vllm", context_total=8192, gpu_memory=0.5), machine(23, 23))
    assert way.on_device(0) == 12 * GIB


def test_the_largest_context_fits_and_one_step_more_does_not(big: dict[str, ModelFile]) -> None:
    model, limits = big["Llama 3.1 8B"], Limits(ram_bytes=8 * GIB, device_bytes=(12 * GIB,))
    run = Run(slots=4, devices=1, vendor="nvidia")
    found = largest_context(model, run, limits)
    assert found % (4 * 256) == 0
    for tokens, fits in ((found, True), (found + 4 * 256, False)):
        need = estimate(model, Run(slots=4, devices=1, vendor="nvidia", context_total=tokens))
        assert (need.on_device(0) <= 12 * GIB) is fits


def test_the_largest_context_is_bounded_by_training_and_may_be_none(big: dict[str, ModelFile]) -> None:
    model = big["Llama 3.1 8B"]
    assert largest_context(model, Run(slots=1), Limits(ram_bytes=1 << 50)) == 131072
    assert (
        largest_context(model, Run(slots=1, devices=1), Limits(ram_bytes=1 << 50, device_bytes=(GIB,))) == 0
    )
