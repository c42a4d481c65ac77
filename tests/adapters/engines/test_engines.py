"""How vLLM, SGLang, Ollama and any command are launched, and what is said when they are not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.adapters.engines.registry import engines
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

ENV = {"PATH": "/nowhere", "HOME": "/home/me", "OPENAI_API_KEY": "sk-1", "HF_TOKEN": "hf-1"}
QWEN = ServerSpec(
    name="qwen", engine="vllm", model="Qwen/Qwen3-32B", context=32_768, slots=16, gpu_memory=0.4
)


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def launched(spec: ServerSpec, programs: dict[str, str], place: Placement | None = None) -> Launch:
    return engines(ENV, programs)[spec.engine].launch(spec, 4321, place)


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


def asked(launch: Launch) -> dict[str, Any]:
    return msgspec.json.decode(launch.probe_body)


def test_every_engine_of_the_configuration_is_there() -> None:
    assert set(engines(ENV)) == {"llama.cpp", "vllm", "sglang", "ollama", "command"}


@pytest.mark.parametrize(
    ("engine", "said"),
    [("vllm", "pip install vllm"), ("sglang", "pip install sglang"), ("ollama", "ollama.com")],
)
def test_an_engine_that_is_missing_says_what_to_install(engine: str, said: str) -> None:
    with pytest.raises(EngineMissingError, match=said):
        launched(msgspec.structs.replace(QWEN, engine=engine), {})


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "sglang", "ollama"])
def test_a_named_program_that_is_not_there_is_told_and_not_replaced(engine: str) -> None:
    with pytest.raises(
        EngineMissingError, match=f"/opt/absent.*named for {engine.replace('llama.cpp', 'llama')}"
    ):
        launched(msgspec.structs.replace(QWEN, engine=engine), {engine: "/opt/absent"})


def test_vllm_gets_its_share_its_window_and_our_name(tmp_path: Path) -> None:
    path = program(tmp_path, "vllm")
    launch = launched(QWEN, {"vllm": path})
    assert launch.argv[:3] == (path, "serve", "Qwen/Qwen3-32B")
    assert option(launch, "--host") == "127.0.0.1"
    assert option(launch, "--port") == "4321"
    assert option(launch, "--served-model-name") == "qwen"
    assert option(launch, "--max-model-len") == "32768"
    assert option(launch, "--max-num-seqs") == "16"
    assert option(launch, "--gpu-memory-utilization") == "0.4"
    assert "--tensor-parallel-size" not in launch.argv
    assert (launch.probe_path, asked(launch)["model"], asked(launch)["max_tokens"]) == (
        "/v1/completions",
        "qwen",
        1,
    )


def test_vllm_that_is_told_nothing_chooses_its_own_window_and_share(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(QWEN, context=0, gpu_memory=None)
    launch = launched(spec, {"vllm": program(tmp_path, "vllm")})
    assert "--max-model-len" not in launch.argv
    assert "--gpu-memory-utilization" not in launch.argv


@pytest.mark.parametrize(("engine", "named"), [("vllm", "--tensor-parallel-size"), ("sglang", "--tp-size")])
def test_two_gpus_share_every_layer(tmp_path: Path, engine: str, named: str) -> None:
    spec = msgspec.structs.replace(QWEN, engine=engine)
    place = Placement(need=MemoryNeed(devices=2), gpus=(2, 3))
    launch = launched(spec, {engine: program(tmp_path, "python3.12")}, place)
    assert option(launch, named) == "2"
    assert launch.env["CUDA_VISIBLE_DEVICES"] == "2,3"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "ollama", "command"])
def test_no_key_reaches_an_engine_unless_it_is_passed_on(tmp_path: Path, engine: str) -> None:
    path = program(tmp_path, "python3.12")
    spec = msgspec.structs.replace(QWEN, engine=engine, command=(path, "{port}"))
    kept = launched(spec, {engine: path}).env
    assert not {"OPENAI_API_KEY", "HF_TOKEN"} & kept.keys()
    passed = launched(msgspec.structs.replace(spec, env=("HF_TOKEN",)), {engine: path}).env
    assert passed["HF_TOKEN"] == "hf-1"


def test_a_key_that_would_lock_us_out_of_vllm_is_kept_from_it(tmp_path: Path) -> None:
    env = ENV | {"VLLM_API_KEY": "k", "VLLM_LOGGING_LEVEL": "DEBUG"}
    kept = engines(env, {"vllm": program(tmp_path, "vllm")})["vllm"].launch(QWEN, 1).env
    assert "VLLM_API_KEY" not in kept
    assert kept["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert kept["VLLM_NO_USAGE_STATS"] == "1"


def test_sglang_runs_on_the_python_that_lies_beside_its_program(tmp_path: Path) -> None:
    python = program(tmp_path / "venv" / "bin", "python3")
    installed = Path(program(tmp_path / "venv" / "bin", "sglang"))
    link = tmp_path / "bin" / "sglang"
    link.parent.mkdir()
    link.symlink_to(installed)
    launch = launched(msgspec.structs.replace(QWEN, engine="sglang"), {"sglang": str(link)})
    assert launch.argv[:3] == (python, "-m", "sglang.launch_server")
    assert option(launch, "--model-path") == "Qwen/Qwen3-32B"
    assert option(launch, "--context-length") == "32768"
    assert option(launch, "--max-running-requests") == "16"
    assert option(launch, "--mem-fraction-static") == "0.4"


def test_ollama_is_our_own_on_our_port_and_never_unloads_by_itself(tmp_path: Path) -> None:
    spec = ServerSpec(
        name="embed", engine="ollama", model="nomic-embed-text", model_id="nomic-embed-text", context=0
    )
    path = program(tmp_path, "ollama")
    env = ENV | {"OLLAMA_HOST": "0.0.0.0", "OLLAMA_MODELS": "/big/models", "OLLAMA_API_KEY": "k"}
    launch = engines(env, {"ollama": path})["ollama"].launch(spec, 4321)
    assert launch.argv == (path, "serve")
    assert launch.env["OLLAMA_HOST"] == "127.0.0.1:4321"
    assert launch.env["OLLAMA_KEEP_ALIVE"] == "-1"
    assert launch.env["OLLAMA_MODELS"] == "/big/models"
    assert launch.env["OLLAMA_NUM_PARALLEL"] == "4"
    assert not {"OLLAMA_CONTEXT_LENGTH", "OLLAMA_KV_CACHE_TYPE", "OLLAMA_API_KEY"} & launch.env.keys()
    assert launch.load_path == "/api/embed"
    assert msgspec.json.decode(launch.load_body) == {"model": "nomic-embed-text", "input": []}
    assert asked(launch)["model"] == "nomic-embed-text"


def test_ollama_is_told_the_window_and_how_the_context_is_kept(tmp_path: Path) -> None:
    spec = ServerSpec(name="q", engine="ollama", model="qwen3", context=8192, kv_type="q8_0")
    kept = launched(spec, {"ollama": program(tmp_path, "ollama")}).env
    assert kept["OLLAMA_CONTEXT_LENGTH"] == "8192"
    assert kept["OLLAMA_KV_CACHE_TYPE"] == "q8_0"
    assert kept["OLLAMA_FLASH_ATTENTION"] == "1"


def test_a_command_gets_port_model_and_name_and_keeps_other_braces(tmp_path: Path) -> None:
    command = (sys.executable, "tts.py", "--port={port}", "{model}", "{name}", '{"a": {port}}', "{other}")
    spec = ServerSpec(
        name="voice", engine="command", model="m.bin", command=command, folder=str(tmp_path), context=0
    )
    launch = launched(spec, {})
    assert launch.argv == (
        sys.executable,
        "tts.py",
        "--port=4321",
        "m.bin",
        "voice",
        '{"a": 4321}',
        "{other}",
    )
    assert launch.cwd == str(tmp_path)
    assert (launch.health_path, launch.probe_path) == ("/health", "")


def test_a_program_with_a_slash_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    path = program(tmp_path, "bin/serve")
    spec = ServerSpec(name="v", engine="command", command=("bin/serve", "{port}"), folder=str(tmp_path))
    assert launched(spec, {}).argv[0] == path


def test_a_command_that_is_nowhere_is_named() -> None:
    spec = ServerSpec(name="v", engine="command", command=("no-such-program", "{port}"))
    with pytest.raises(EngineMissingError, match="no program no-such-program"):
        launched(spec, {})


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "sglang", "ollama", "command"])
def test_the_persons_health_path_wins(tmp_path: Path, engine: str) -> None:
    path = program(tmp_path, "python3.12")
    spec = msgspec.structs.replace(QWEN, engine=engine, command=(path, "{port}"), health_path="/alive")
    assert launched(spec, {engine: path}).health_path == "/alive"


def test_a_spec_that_differs_in_its_life_only_is_served_by_the_same_process() -> None:
    other = msgspec.structs.replace(QWEN, idle_stop_s=9.0, pin=True, max_queue=1, after=("a",))
    assert QWEN.same_process(other)
    assert not QWEN.same_process(msgspec.structs.replace(other, slots=17))
