"""How llama.cpp is launched: which program, which options, which environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from freehold.adapters.engines import llamacpp
from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

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
    }


def test_the_prompt_cache_is_bounded_whatever_the_engines_default() -> None:
    assert LlamaCpp({}).launch(SPEC, 1).env["LLAMA_ARG_CACHE_RAM"] == str(llamacpp.CACHE_RAM_MIB)


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
