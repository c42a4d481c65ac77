"""How llama.cpp is launched: which program, which options, which environment."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest

from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec
from freehold.testing.tiny_model import model_path
from tests.wire import free_port

SPEC = ServerSpec(name="glm", model="/models/glm.gguf", context=8192, slots=3)


@pytest.fixture
def native(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "llama-server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


def test_the_machines_own_llama_server_goes_first(native: Path) -> None:
    launch = LlamaCpp({"PATH": str(native.parent)}).launch(SPEC, 1234)
    assert launch.argv[0] == str(native)
    assert option(launch, "--host") == "127.0.0.1"
    assert str(native) in launch.program


def test_else_the_embedded_engine_runs_as_a_process_of_its_own() -> None:
    launch = LlamaCpp({"PATH": "/nowhere"}).launch(SPEC, 1234)
    assert launch.argv[:4] == (sys.executable, "-P", "-m", "freehold.adapters.engines.llamacpp_child")


def test_without_either_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as Python marks a module that is not there
    with pytest.raises(EngineMissingError, match=r"freehold\[engine\]"):
        LlamaCpp({"PATH": "/nowhere"}).launch(SPEC, 1234)


def test_each_slot_gets_the_whole_context() -> None:
    launch = LlamaCpp({}).launch(SPEC, 1234)
    assert option(launch, "--ctx-size") == "24576"
    assert option(launch, "--parallel") == "3"
    assert option(launch, "--port") == "1234"
    assert option(launch, "--alias") == "glm"
    assert option(launch, "--model") == "/models/glm.gguf"


def test_no_key_and_no_other_secret_reaches_the_engine() -> None:
    env = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "GGML_CUDA_NO_PINNED": "1",
        "OPENAI_API_KEY": "sk-1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LLAMA_API_KEY": "x",
        "HF_TOKEN": "x",
        "LLAMA_ARG_HOST": "0.0.0.0",
        "DATABASE_URL": "x",
    }
    assert set(LlamaCpp(env).launch(SPEC, 1).env) == {
        "PATH",
        "CUDA_VISIBLE_DEVICES",
        "GGML_CUDA_NO_PINNED",
        "LLAMA_ARG_CACHE_RAM",
        "LLAMA_ARG_LOG_VERBOSITY",
    }


def test_the_prompt_cache_is_bounded_whatever_the_engines_default() -> None:
    assert LlamaCpp({}).launch(SPEC, 1).env["LLAMA_ARG_CACHE_RAM"] == "512"
    wished = msgspec.structs.replace(SPEC, cache_ram_bytes=3 * 1024**3)
    assert LlamaCpp({}).launch(wished, 1).env["LLAMA_ARG_CACHE_RAM"] == "3072"


@pytest.mark.parametrize("by", ["variable", "configuration"])
def test_a_llama_server_that_is_named_wins_over_the_path(native: Path, tmp_path: Path, by: str) -> None:
    mine = tmp_path / "my-server"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    env = {"PATH": str(native.parent)}
    if by == "variable":
        engine = LlamaCpp(env | {"FREEHOLD_LLAMA_SERVER": str(mine)}, str(native))
    else:
        engine = LlamaCpp(env, str(mine))
    assert engine.launch(SPEC, 1).argv[0] == str(mine)


def test_a_llama_server_that_is_named_and_not_there_is_an_error_and_not_replaced(native: Path) -> None:
    engine = LlamaCpp({"PATH": str(native.parent)}, "/nowhere/llama-server")
    with pytest.raises(EngineMissingError, match="/nowhere/llama-server is no program"):
        engine.launch(SPEC, 1)


# -- where its layers go

LAYERS = MemoryNeed(devices=2, gpu_layers=33, split=(3.0, 1.0), cpu_moe=4)


def test_a_placement_over_two_gpus_is_said_in_options_and_shows_only_these() -> None:
    place = Placement(need=LAYERS, gpus=(3, 1), split=(3.0, 1.0))
    launch = LlamaCpp({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}).launch(SPEC, 1, place)
    assert option(launch, "--n-gpu-layers") == "33"
    assert option(launch, "--split-mode") == "layer"
    assert option(launch, "--tensor-split") == "3,1"
    assert option(launch, "--n-cpu-moe") == "4"
    assert launch.env["CUDA_VISIBLE_DEVICES"] == launch.env["HIP_VISIBLE_DEVICES"] == "3,1"
    assert launch.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert launch.env["LLAMA_ARG_FIT"] == "off"


def test_saved_states_are_those_that_the_plan_has_counted() -> None:
    place = Placement(need=MemoryNeed(gpu_layers=0, checkpoints=2))
    assert LlamaCpp({}).launch(SPEC, 1, place).env["LLAMA_ARG_CTX_CHECKPOINTS"] == "2"
    assert "LLAMA_ARG_CTX_CHECKPOINTS" not in LlamaCpp({}).launch(SPEC, 1).env


def test_a_placement_on_one_gpu_splits_nothing() -> None:
    place = Placement(need=MemoryNeed(devices=1, gpu_layers=12), gpus=(1,))
    launch = LlamaCpp({}).launch(SPEC, 1, place)
    assert option(launch, "--n-gpu-layers") == "12"
    assert "--tensor-split" not in launch.argv
    assert launch.env["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize("said_by", ["person", "plan"])
def test_on_the_host_alone_no_gpu_is_seen(said_by: str) -> None:
    if said_by == "person":
        launch = LlamaCpp({}).launch(msgspec.structs.replace(SPEC, gpus=()), 1)
    else:
        launch = LlamaCpp({}).launch(SPEC, 1, Placement(need=MemoryNeed(gpu_layers=0)))
    assert option(launch, "--n-gpu-layers") == "0"
    assert option(launch, "--device") == "none"
    assert launch.env["CUDA_VISIBLE_DEVICES"] == "-1"


def test_without_a_plan_the_engine_decides_what_the_person_did_not() -> None:
    free = LlamaCpp({"CUDA_VISIBLE_DEVICES": "2"}).launch(SPEC, 1)
    assert "--n-gpu-layers" not in free.argv
    assert "LLAMA_ARG_FIT" not in free.env
    assert free.env["CUDA_VISIBLE_DEVICES"] == "2"
    told = LlamaCpp({}).launch(msgspec.structs.replace(SPEC, gpu_layers=7, gpus=(0, 2)), 1)
    assert option(told, "--n-gpu-layers") == "7"
    assert told.env["CUDA_VISIBLE_DEVICES"] == "0,2"


def test_a_quantised_context_comes_with_flash_attention() -> None:
    launch = LlamaCpp({}).launch(msgspec.structs.replace(SPEC, kv_type="q8_0"), 1)
    assert option(launch, "--cache-type-k") == option(launch, "--cache-type-v") == "q8_0"
    assert launch.env["LLAMA_ARG_FLASH_ATTN"] == "on"


def test_the_persons_arguments_and_variables_go_last() -> None:
    spec = msgspec.structs.replace(
        SPEC, args=("--ctx-size", "99"), env=("HF_TOKEN", "UNSET", "GGML_X=mine", "LLAMA_ARG_CACHE_RAM=1")
    )
    launch = LlamaCpp({"HF_TOKEN": "t", "GGML_X": "theirs"}).launch(spec, 1)
    assert launch.argv[-2:] == ("--ctx-size", "99")
    assert launch.env["HF_TOKEN"] == "t"
    assert launch.env["GGML_X"] == "mine"
    assert launch.env["LLAMA_ARG_CACHE_RAM"] == "1"
    assert "UNSET" not in launch.env


def test_a_server_that_only_embeds_is_not_asked_for_a_token() -> None:
    assert LlamaCpp({}).launch(SPEC, 1).probe_path == "/completion"
    assert LlamaCpp({}).launch(msgspec.structs.replace(SPEC, args=("--embeddings",)), 1).probe_path == ""


@pytest.mark.engine
def test_the_embedded_engine_takes_every_option_and_tells_its_buffers(tmp_path: Path) -> None:
    tiny = str(model_path())
    spec = msgspec.structs.replace(
        SPEC, model=tiny, kv_type="q8_0", ubatch=256, draft=tiny, context=1024, gpus=()
    )
    port = free_port()
    launch = LlamaCpp({"PATH": "/nowhere"}).launch(spec, port)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(launch.argv, env=dict(launch.env), stdout=out, stderr=out)
        try:
            wait_until_it_listens(log, process)
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{launch.probe_path}", launch.probe_body)
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert msgspec.json.decode(answer.read())["tokens_predicted"] == 1
        finally:
            process.terminate()
            assert process.wait(10) == 0
    said = log.read_text()
    report = LlamaCpp({}).report(spec, said.splitlines())
    assert report is not None
    assert any(part.what == "kv" and part.bytes > 0 for part in report.parts)
    assert "loading draft model" in said
    assert re.search(r"CPU KV buffer size = +\d", said)
    assert "K (q8_0)" in said
    assert re.search(r"n_ubatch += 256", said)


def wait_until_it_listens(log: Path, process: subprocess.Popen[bytes]) -> None:
    while not any(line.startswith("listening on ") for line in log.read_text().splitlines()):
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)


def test_a_tiny_model_is_served_by_one_thread(tmp_path: Path) -> None:
    small = tmp_path / "small.gguf"
    small.write_bytes(b"GGUF")
    launch = LlamaCpp({}).launch(ServerSpec(name="s", model=str(small)), 1)
    assert launch.env["LLAMA_ARG_THREADS"] == "1"


def test_the_child_says_that_a_model_cannot_be_read_before_it_loads_the_engine() -> None:
    launch = LlamaCpp({"PATH": "/nowhere"}).launch(SPEC, 1234)
    ended = subprocess.run(launch.argv, env=dict(launch.env), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "cannot read the model file /models/glm.gguf\n"
