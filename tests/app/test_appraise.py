"""What servers need is known before they run, and better after they ran."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from freehold.adapters.engines.registry import engines
from freehold.app.appraise import FILE, HouseAppraiser
from freehold.app.engine_builds import EngineBuilds
from freehold.app.shares import gpus_wanted, share_ways
from freehold.core.errors import FreeholdError
from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, MemoryPart, Placement, Reserve
from freehold.core.model_file import ModelFile, Tensor
from freehold.core.servers import ServerSpec
from freehold.supervisor.placement import Shortage, place
from freehold.testing.tiny_model import model_path

GIB = 1024**3


def machine(*gpus: int) -> MachineMemory:
    cards = tuple(
        GpuMemory(index=n, vendor="nvidia", total_bytes=size * GIB, free_bytes=size * GIB)
        for n, size in enumerate(gpus)
    )
    return MachineMemory(ram_total_bytes=64 * GIB, ram_free_bytes=60 * GIB, gpus=cards)


def tiny(**more: object) -> ServerSpec:
    return ServerSpec(name="tiny", model=str(model_path()), context=4096, slots=2, **more)  # pyright: ignore


def appraiser(home: Path, path: str = "") -> HouseAppraiser:
    env = {"PATH": path, "HOME": str(home)}
    return HouseAppraiser(home, engines(env), env, pretended_gpus=not path)


def server_program(folder: Path, devices: str) -> str:
    """A folder with a `llama-server` that lists these devices."""
    program = folder / "llama-server"
    program.write_text(f"#!/bin/sh\nprintf 'Available devices:\\n{devices}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:/usr/bin:/bin"


def test_a_model_is_priced_from_its_file_the_fastest_way_first(tmp_path: Path) -> None:
    ways = appraiser(tmp_path).appraise(tiny(), machine(24))
    assert (ways[0].devices, ways[-1].devices) == (1, 0)
    assert ways[0].vram_bytes > 0
    assert ways[0].context == 8192


def test_gpus_that_it_may_not_use_are_no_way(tmp_path: Path) -> None:
    ways = appraiser(tmp_path).appraise(tiny(gpus=()), machine(24))
    assert {way.devices for way in ways} == {0}


def test_an_engine_built_for_the_cpu_gets_no_gpu(tmp_path: Path) -> None:
    path = server_program(tmp_path, "")
    assert {way.devices for way in appraiser(tmp_path, path).appraise(tiny(), machine(24))} == {0}


def test_an_engine_that_sees_a_gpu_gets_one(tmp_path: Path) -> None:
    path = server_program(tmp_path, "  CUDA0: NVIDIA A10 (24000 MiB, 23000 MiB free)\\n")
    assert appraiser(tmp_path, path).appraise(tiny(), machine(24))[0].devices == 1


def test_a_program_that_is_replaced_is_another_build(tmp_path: Path) -> None:
    env = {"PATH": server_program(tmp_path, "")}
    builds = EngineBuilds(engines(env), env)
    before = builds.build(tiny())
    server_program(tmp_path, "  CUDA0: NVIDIA A10\\n")
    assert builds.build(tiny()) != before
    assert builds.sees_gpus(tiny())


def test_without_a_program_the_engines_name_is_its_build() -> None:
    builds = EngineBuilds({}, {})
    assert builds.build(tiny()) == "llama.cpp"
    assert builds.sees_gpus(tiny())


def test_what_was_reported_is_remembered_by_the_next_freehold(tmp_path: Path) -> None:
    one = appraiser(tmp_path)
    there = machine(24)
    found = place(one.appraise(tiny(), there), there, Reserve())
    assert isinstance(found, Placement)
    report = MemoryNeed(
        parts=(
            MemoryPart(what="weights", bytes=model_path().stat().st_size, device=0),
            MemoryPart(what="kv", bytes=GIB, device=0),
            MemoryPart(what="compute", bytes=4 * GIB, device=0),
        ),
        devices=1,
    )
    one.learn(tiny(), found, report)
    again = appraiser(tmp_path).appraise(tiny(), there)[0]
    assert again.source == "measured"
    assert 5 * GIB <= again.vram_bytes < 6 * GIB
    assert (tmp_path / "servers" / FILE).stat().st_size < 10_000
    assert appraiser(tmp_path).appraise(tiny(kv_type="q8_0"), there)[0].source == "formula"


def test_what_cannot_be_read_is_forgotten_and_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / FILE).write_text('{"ratios": [')
    assert appraiser(tmp_path).appraise(tiny(), machine(24))


def test_a_report_of_what_was_never_estimated_changes_nothing(tmp_path: Path) -> None:
    stated = ServerSpec(name="tts", engine="command", vram_bytes=GIB)
    one = appraiser(tmp_path)
    need = one.appraise(stated, machine(24))[0]
    one.learn(stated, Placement(need=need, gpus=(0,)), need)
    assert not (tmp_path / "servers" / FILE).exists()


def test_a_stated_need_is_taken_as_it_stands(tmp_path: Path) -> None:
    spec = ServerSpec(name="tts", engine="command", vram_bytes=4 * GIB, ram_bytes=2 * GIB, gpus=(0, 1))
    (need,) = appraiser(tmp_path).appraise(spec, machine(24, 24))
    assert need.source == "configured"
    assert [need.on_device(0), need.on_device(1), need.ram_bytes] == [2 * GIB, 2 * GIB, 2 * GIB]


def test_a_server_whose_ram_alone_is_stated_sees_the_gpus(tmp_path: Path) -> None:
    ways = appraiser(tmp_path).appraise(ServerSpec(name="x", engine="command", ram_bytes=GIB), machine(24))
    found = place(ways, machine(24), Reserve())
    assert isinstance(found, Placement)
    assert found.gpus == (0,)
    assert found.on_gpu(0) == 0


@pytest.mark.parametrize("engine", ["ollama", "adopt", "command"])
def test_what_nobody_can_know_is_unknown(engine: str, tmp_path: Path) -> None:
    (need,) = appraiser(tmp_path).appraise(ServerSpec(name="x", engine=engine), machine(24))
    assert need.source == "unknown"
    assert need.note


def test_a_model_that_is_not_there_or_was_cut_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(FreeholdError, match="no such file"):
        appraiser(tmp_path).appraise(ServerSpec(name="x", model=str(tmp_path / "no.gguf")), machine())
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model_path().read_bytes()[:-1000])
    with pytest.raises(FreeholdError, match="incomplete"):
        appraiser(tmp_path).appraise(ServerSpec(name="x", model=str(cut)), machine())


def test_who_does_not_fit_is_told_what_would(tmp_path: Path) -> None:
    one = appraiser(tmp_path)
    small = MachineMemory(ram_total_bytes=4 * GIB, ram_free_bytes=4 * GIB)
    greedy = ServerSpec(name="tiny", model=str(model_path()), context=1 << 20, slots=64)
    assert isinstance(place(one.appraise(greedy, small), small, Reserve()), Shortage)
    assert one.advise(greedy, small).startswith("it would fit with `")
    nothing = MachineMemory(ram_total_bytes=GIB, ram_free_bytes=0)
    assert one.advise(greedy, nothing) == ""


# -- engines that take a share


def vllm(*args: str, gpus: tuple[int, ...] | None = None, share: float | None = None) -> ServerSpec:
    return ServerSpec(
        name="v", engine="vllm", model="org/model", args=args, gpus=gpus, gpu_memory=share, context=4096
    )


MODEL = ModelFile(
    architecture="qwen3",
    format="safetensors",
    metadata={"qwen3.block_count": 2, "qwen3.embedding_length": 64, "qwen3.attention.head_count": 4},
    tensors=(Tensor("a", 30 * GIB, (1, 1), "bf16"),),
)


def test_a_share_is_of_the_gpu_that_it_gets() -> None:
    ways = share_ways(vllm(share=0.5), machine(48, 24), None)
    assert [(way.gpus, way.vram_bytes) for way in ways] == [((1,), 12 * GIB), ((0,), 24 * GIB)]
    busy = MachineMemory(
        ram_total_bytes=64 * GIB,
        ram_free_bytes=60 * GIB,
        gpus=(
            GpuMemory(index=0, total_bytes=48 * GIB, free_bytes=40 * GIB),
            GpuMemory(index=1, total_bytes=24 * GIB, free_bytes=8 * GIB),
        ),
    )
    found = place(share_ways(vllm(share=0.5), busy, None), busy, Reserve())
    assert isinstance(found, Placement)
    assert (found.gpus, found.on_gpu(0)) == ((0,), 24 * GIB)


def test_weights_that_one_share_does_not_hold_are_spread_over_the_fewest_gpus_that_do() -> None:
    ways = share_ways(vllm(), machine(24, 24, 24, 24), MODEL)
    assert ways[0].devices == 2
    assert ways[0].on_device(0) <= round(0.9 * 24 * GIB)


def test_as_many_gpus_as_its_arguments_say() -> None:
    assert gpus_wanted(("--tensor-parallel-size", "2")) == 2
    assert gpus_wanted(("--tp=4",)) == 4
    assert gpus_wanted(("--max-model-len", "9", "-tp")) is None
    found = place(share_ways(vllm("-tp", "2"), machine(24), None), machine(24), Reserve())
    assert isinstance(found, Shortage)
    assert "2 GPUs" in found.message


def test_all_gpus_that_are_named_for_it() -> None:
    assert {way.devices for way in share_ways(vllm(gpus=(0, 1)), machine(24, 24), None)} == {2}


def test_without_a_gpu_nothing_is_known_of_it() -> None:
    assert share_ways(vllm(), machine(), MODEL)[0].source == "unknown"


def test_a_folder_of_safetensors_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 2048,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    header = json.dumps({"w": {"dtype": "BF16", "shape": [8, 8], "data_offsets": [0, 128]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(128))
    one = appraiser(tmp_path)
    spec = ServerSpec(name="v", engine="vllm", model=str(folder), context=1024)
    assert one.model(spec) is not None
    assert one.appraise(spec, machine(24))[0].gpus == (0,)


# -- the engine's own dry run


def fit_params(folder: Path, gpu_mib: int) -> Path:
    """A `llama-fit-params` beside the server that notes how it was called."""
    tool, notes = folder / "llama-fit-params", folder / "notes"
    script = f'echo "$CUDA_VISIBLE_DEVICES $*" >> {notes}; echo "CUDA0 1 1 {gpu_mib}"; echo "Host 1 0 1"'
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return notes


def test_the_engine_is_asked_once_and_raises_what_was_thought_too_small(tmp_path: Path) -> None:
    path = server_program(tmp_path, "  CUDA0: NVIDIA A10\\n")
    notes = fit_params(tmp_path, gpu_mib=5000)
    one = appraiser(tmp_path, path)
    before = one.appraise(tiny(), machine(8, 24))[0]
    one.confirm(tiny(), machine(8, 24))
    one.confirm(tiny(), machine(8, 24))
    (asked,) = notes.read_text().splitlines()
    assert asked.startswith("1 ")
    assert "-c 8192 -np 2" in asked
    now = appraiser(tmp_path, path).appraise(tiny(), machine(8, 24))[0]
    assert now.source == "dry run"
    assert before.vram_bytes < 5000 * 1024**2 <= now.vram_bytes
    assert now.ram_bytes == before.ram_bytes


def test_a_dry_run_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    path = server_program(tmp_path, "  CUDA0: NVIDIA A10\\n")
    notes = fit_params(tmp_path, gpu_mib=1)
    (tmp_path / "llama-fit-params").write_text(f"#!/bin/sh\necho x >> {notes}; exit 1\n")
    one = appraiser(tmp_path, path)
    before = one.appraise(tiny(), machine(24))
    one.confirm(tiny(), machine(24))
    one.confirm(tiny(), machine(24))
    assert notes.read_text().count("x") == 1
    assert one.appraise(tiny(), machine(24)) == before
