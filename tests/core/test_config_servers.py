"""What a model server can be told, and what is said about contradictions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config import AliasConfig, Config, candidates_of
from freehold.core.config_file import read_config
from freehold.core.config_schema import config_schema
from freehold.core.config_server_checks import server_problems
from freehold.core.config_servers import ServerConfig
from freehold.core.errors import ConfigError
from freehold.core.quantities import parse_bytes, parse_duration_s
from tests.core.test_config_file import problem, written

GIB = 1024**3
KEYS = config_schema()["$defs"]["ServerConfig"]["properties"]
ISSUE = """
servers:
  glm:      {engine: llama.cpp, model: ~/models/GLM.gguf, context: 65536, slots: 4, pin: true, gpus: auto}
  qwen:     {engine: vllm, model: Qwen/Qwen3-32B, gpu_memory: 0.4, idle_stop: 15m, priority: 50}
  embed:    {engine: ollama, model: nomic-embed-text}
  voice:    {command: ["python", "tts.py", "--port", "{port}"], health: /health,
             memory: {vram: 4GiB, ram: 2GiB}}
  old:      {adopt: http://127.0.0.1:8080}
memory: {vram_reserve: 1GiB, ram_reserve: 2GiB}
"""


def read(folder: Path, text: str) -> Config:
    config, problems = read_config(written(folder, text), {"HOME": "/home/me"})
    assert problems == []
    assert config is not None
    return config


def test_five_terminals_become_one_file(tmp_path: Path) -> None:
    config = read(tmp_path, ISSUE)
    kinds = {name: server.kind for name, server in config.servers.items()}
    assert kinds == {
        "glm": "llama.cpp",
        "qwen": "vllm",
        "embed": "ollama",
        "voice": "command",
        "old": "adopt",
    }
    assert config.servers["glm"].model == "/home/me/models/GLM.gguf"
    assert config.servers["qwen"].model == "Qwen/Qwen3-32B"
    assert config.servers["qwen"].idle_stop_s == 900.0
    assert config.servers["voice"].memory.vram_bytes == 4 * GIB
    assert (config.memory.vram_reserve_bytes, config.memory.ram_reserve_bytes) == (GIB, 2 * GIB)


def test_a_model_id_is_a_path_only_where_there_is_such_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Qwen" / "Qwen3-32B").mkdir(parents=True)
    (tmp_path / "nomic").mkdir()
    text = """
servers:
  here: {engine: vllm, model: Qwen/Qwen3-32B}
  hub: {engine: sglang, model: Qwen/Qwen3-8B}
  named: {engine: vllm, model: ./absent}
  ollama: {engine: ollama, model: nomic}
  llama: {model: absent.gguf, draft: ~/d.gguf, projector: p.gguf}
engines: {vllm: venv/bin/vllm}
"""
    config = read(tmp_path, text)
    servers = config.servers
    assert servers["here"].model == str(tmp_path / "Qwen" / "Qwen3-32B")
    assert servers["hub"].model == "Qwen/Qwen3-8B"
    assert servers["named"].model == str(tmp_path / "absent")
    assert servers["ollama"].model == "nomic"
    assert (servers["llama"].draft, servers["llama"].projector) == (
        "/home/me/d.gguf",
        str(tmp_path / "p.gguf"),
    )
    assert config.engines == {"vllm": str(tmp_path / "venv" / "bin" / "vllm")}


def test_sizes_and_durations_are_numbers_or_texts(tmp_path: Path) -> None:
    text = """
servers:
  a: {model: x, cache_ram: 1GiB, min_stay: 1.5, load_timeout: 2h, memory: {ram: 1000, limit: 2 MB}}
models:
  chat: {candidates: [a], max_wait: 250ms}
  plain: [a]
"""
    config = read(tmp_path, text)
    server = config.servers["a"]
    assert (server.cache_ram_bytes, server.memory.ram_bytes, server.memory.limit_bytes) == (
        GIB,
        1000,
        2_000_000,
    )
    assert (server.min_stay_s, server.load_timeout_s) == (1.5, 7200.0)
    assert config.models["chat"] == AliasConfig(candidates=("a",), max_wait_s=0.25)
    assert [candidates_of(alias) for alias in config.models.values()] == [("a",), ("a",)]


def of(**keys: str) -> str:
    return "servers:\n  a:\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())


MISTAKES = [
    pytest.param(of(slots="1"), "servers.a", "model is missing", id="nothing"),
    pytest.param(
        of(command="[x, '{port}']", adopt="http://127.0.0.1:1"), "servers.a.adopt", "not both", id="two"
    ),
    pytest.param(
        of(command="[x, '{port}']", engine="vllm"), "servers.a.engine", "beside command", id="engine"
    ),
    pytest.param(
        of(adopt="http://127.0.0.1:1", engine="vllm"), "servers.a.engine", "beside adopt", id="engine2"
    ),
    pytest.param(of(model="x", engine="tgi"), "servers.a.engine", "'llama.cpp' or 'vllm'", id="unknown"),
    pytest.param(of(command="[x, --port, '8000']"), "servers.a.command", "must contain {port}", id="no-port"),
    pytest.param(of(command="['', '{port}']"), "servers.a.command[0]", "name a program", id="no-program"),
    pytest.param(
        of(command="[x, '{port}', '{model}']"), "servers.a.command", "model must be said", id="no-model"
    ),
    pytest.param(of(command="[x, '{port}']", args="[y]"), "servers.a.args", "into command", id="args"),
    pytest.param(
        of(model="x", gpu_memory="0.4"), "servers.a.gpu_memory", "only for vllm and sglang", id="share"
    ),
    pytest.param(
        of(model="x", engine="vllm", draft="d"), "servers.a.draft", "only for llama.cpp", id="draft"
    ),
    pytest.param(
        of(model="x", engine="sglang", cache_ram="1GiB"),
        "servers.a.cache_ram",
        "only for llama.cpp",
        id="cache",
    ),
    pytest.param(of(model="x", engine="vllm", kv="q8_0"), "servers.a.kv", "llama.cpp and ollama", id="kv"),
    pytest.param(of(model="/x.gguf", engine="ollama"), "servers.a.model", "ollama list", id="ollama-path"),
    pytest.param(
        of(model="x", pin="true", idle_stop="15m"), "servers.a.idle_stop", "contradicts pin", id="pin"
    ),
    pytest.param(
        of(model="x", keep_warm="true", idle_stop="15m"), "servers.a.idle_stop", "keep_warm", id="warm"
    ),
    pytest.param(of(model="x", idle_stop="0"), "servers.a.idle_stop", "above 0", id="idle-zero"),
    pytest.param(
        of(model="x", idle_stop="soon"), "servers.a.idle_stop", "a duration like 15m", id="duration"
    ),
    pytest.param(of(model="x", idle_stop=".inf"), "servers.a.idle_stop", "a duration like 15m", id="endless"),
    pytest.param(of(model="x", memory="{ram: big}"), "servers.a.memory.ram", "a size like 4GiB", id="size"),
    pytest.param(
        of(model="x", memory="{ram: 4GiB, limit: 2GiB}"), "servers.a.memory.limit", "below ram", id="limit"
    ),
    pytest.param(
        of(model="x", restart="{delay: 1m}"), "servers.a.restart.longest_delay", "shorter", id="restart"
    ),
    pytest.param(of(model="x", stop_timeout="0"), "servers.a.stop_timeout", "above 0", id="stop"),
    pytest.param(of(model="x", stop_signal="TERM"), "servers.a.stop_signal", "'SIGTERM'", id="signal"),
    pytest.param(of(model="x", gpus="[]"), "servers.a.gpus", "is empty", id="no-gpus"),
    pytest.param(of(model="x", gpus="[1, 1]"), "servers.a.gpus", "twice", id="gpu-twice"),
    pytest.param(of(model="x", gpus="[0, -1]"), "servers.a.gpus[1]", "of at least 0", id="gpu-negative"),
    pytest.param(
        of(model="x", gpus="none", gpu_layers="9"), "servers.a.gpu_layers", "contradicts", id="layers"
    ),
    pytest.param(of(model="x", priority="101"), "servers.a.priority", "at most 100", id="priority"),
    pytest.param(of(model="x", env="[A=1, 'B C']"), "servers.a.env[1]", "NAME=value", id="env"),
    pytest.param(of(model="x", health="health"), "servers.a.health", "begins with '/'", id="health"),
    pytest.param(of(model="x", after="[b]"), "servers.a.after[0]", "no server 'b'", id="after"),
    pytest.param(of(model="x", after="[a]"), "servers.a.after[0]", "wait for itself", id="after-self"),
    pytest.param(of(adopt="http://10.0.0.1:80"), "servers.a.adopt", "put others under providers", id="far"),
    pytest.param(of(adopt="http://127.0.0.1:80/v1"), "servers.a.adopt", "no /v1", id="v1"),
    pytest.param(of(adopt="http://localhost"), "servers.a.adopt", "with its port", id="no-adopt-port"),
    pytest.param(of(adopt="127.0.0.1:80"), "servers.a.adopt", "address like", id="no-scheme"),
    pytest.param(of(adopt="http://127.0.0.1:1", pin="true"), "servers.a.pin", "only watched", id="adopt-pin"),
    pytest.param(
        "engines: {llamacpp: /x}", "engines.llamacpp", "Did you mean 'llama.cpp'?", id="engine-name"
    ),
    pytest.param("models: {a: {candidates: []}}", "models.a", "at least one candidate", id="no-candidates"),
    pytest.param("models: {a: {candidates: [x], wait: 1}}", "models.a.wait", "max_wait", id="alias-key"),
]


@pytest.mark.parametrize(("text", "key", "said"), MISTAKES)
def test_a_contradiction_is_named_by_its_key(tmp_path: Path, text: str, key: str, said: str) -> None:
    error = problem(tmp_path, text)
    assert error.key == key
    assert said in str(error)
    assert error.line is not None


def test_servers_that_wait_for_each_other_are_told_once(tmp_path: Path) -> None:
    circle = "b: {model: x, after: [c]}, c: {model: x, after: [b]}"
    text = f"servers: {{a: {{model: x, after: [b]}}, {circle}, d: {{model: x}}}}"
    _, problems = read_config(written(tmp_path, text), {})
    assert [(error.key, error.message) for error in problems] == [
        ("servers.b.after", "a circle: b after c after b; none could ever start")
    ]


def test_a_value_of_a_variable_for_the_program_is_never_repeated(tmp_path: Path) -> None:
    problem(tmp_path, of(model="x", env="['A B=${KEY}']"))
    problem(tmp_path, of(model="x", idle_stop="${KEY}"))
    problem(tmp_path, of(model="x", memory="{ram: '${KEY}'}"))


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3, unique=True), max_size=6
    )
)
def test_without_a_complaint_there_is_an_order_to_start_in(after: dict[str, list[str]]) -> None:
    servers = {name: ServerConfig(model="m", after=tuple(names)) for name, names in after.items()}
    if list(server_problems(servers)):
        return
    started: list[str] = []
    while len(started) < len(servers):
        ready = [n for n, s in servers.items() if n not in started and set(s.after) <= set(started)]
        assert ready, after
        started += ready


@given(st.text(alphabet="0123456789. kKmMgGtTiIbBsh", max_size=10))
def test_what_the_schema_takes_for_a_size_or_duration_the_reader_takes_too(text: str) -> None:
    for key, parse in (("idle_stop", parse_duration_s), ("cache_ram", parse_bytes)):
        (pattern,) = [a["pattern"] for a in KEYS[key]["anyOf"] if "title" in a and "pattern" in a]
        try:
            parse(text)
            valid = True
        except ConfigError:
            valid = False
        assert (re.search(pattern, text) is not None) == valid, (key, text)
