"""The estimator against the real embedded engine: a tiny model of every family, loaded, and its own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engine_loads import ask_of, dry_run, load_all
from benchmarks.families import FAMILIES
from benchmarks.model_sizes import TINY, TRUE
from freehold.adapters.engines.model_files import read_model_file
from freehold.core.memory import MemoryNeed, PartName
from freehold.supervisor.memory import Run, estimate

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.name != "posix", reason="the children are ended by signals"),
]
pytest.importorskip("xllamacpp")

ROUNDING_BYTES = 40_000
"""The engine says 0.01 MiB, line by line; a model has up to four of a kind."""

RUNS = {
    "two slots": Run(context_total=4096, slots=2, repack=False),
    "three share a packed cache": Run(
        context_total=4096, slots=3, unified_kv=True, kv_type_k="q8_0", kv_type_v="q8_0", repack=False
    ),
    "long, small batches": Run(context_total=32768, slots=1, ubatch=128, repack=False),
    "without flash attention": Run(context_total=4096, slots=1, flash=False, repack=False),
}
Loads = dict[tuple[str, str], MemoryNeed | None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: make(TINY[name]).write(folder / f"{name}.gguf") for name, make in FAMILIES.items()}


@pytest.fixture(scope="module")
def loads(models: dict[str, Path]) -> Iterator[Loads]:
    asked = [(name, run) for name in models for run in RUNS]
    said = load_all([ask_of(models[name], RUNS[run]) for name, run in asked], timeout_s=120)
    yield dict(zip(asked, said, strict=True))


def total(need: MemoryNeed, *kinds: PartName) -> int:
    return sum(part.bytes for part in need.parts if part.what in kinds)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_caches_are_what_the_engine_took(
    family: str, run: str, models: dict[str, Path], loads: Loads
) -> None:
    said = loads[family, run]
    assert said is not None, "the engine could not load it"
    ours = estimate(read_model_file(models[family]), RUNS[run])
    for kind in ("weights", "kv", "state", "output"):
        expected = total(said, kind)
        assert total(ours, kind) == pytest.approx(expected, rel=0.01, abs=ROUNDING_BYTES), kind


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_never_takes_more_than_was_reckoned(
    family: str, run: str, models: dict[str, Path], loads: Loads
) -> None:
    said = loads[family, run]
    assert said is not None
    ours = total(estimate(read_model_file(models[family]), RUNS[run]), "compute")
    assert total(said, "compute") <= ours + ROUNDING_BYTES
    assert ours <= 1.4 * total(said, "compute")


def test_repacked_weights_are_memory_of_the_process(tmp_path: Path) -> None:
    """Only those that the processor repacks; what it leaves alone stays mapped."""
    for kind, tied in (("q4_0", False), ("q4_0", True), ("q6_k", False)):
        size = replace(TINY["qwen3"], weights=kind, tied=tied)
        path = FAMILIES["qwen3"](size).write(tmp_path / f"{kind}-{tied}.gguf")
        run = Run(context_total=512)
        [said] = load_all([ask_of(path, run)])
        assert said is not None
        own = sum(part.bytes for part in said.parts if part.what == "weights" and not part.mapped)
        ours = [part for part in estimate(read_model_file(path), run).parts if part.what == "weights"]
        if own or kind == "q6_k":  # which types are repacked is up to the processor; never more than reckoned
            assert sum(part.bytes for part in ours if not part.mapped) == pytest.approx(own, rel=0.01)


@pytest.mark.parametrize("name", ["Gemma 3 27B", "DeepSeek V3"])
def test_a_dry_run_prices_a_model_far_larger_than_this_machine(name: str, tmp_path: Path) -> None:
    family, size = TRUE[name]
    path = FAMILIES[family](size).write(tmp_path / "big.gguf")
    run = Run(context_total=65536, slots=4)
    said = dry_run(ask_of(path, run))
    assert said is not None
    ours = estimate(read_model_file(path), run)
    assert total(ours, "kv") == pytest.approx(total(said, "kv"), rel=0.001)
    assert total(said, "compute") <= total(ours, "compute") <= 1.1 * total(said, "compute")
