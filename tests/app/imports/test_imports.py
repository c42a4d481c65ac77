"""Other programs' files become ours: what comes out loads, means the same, and what is lost is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freehold.app.imports import Imported, as_yaml, from_litellm, from_llama_swap
from freehold.cli.main import main
from tests.app.imports.reading import loaded

LITELLM = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-5-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 480, timeout: 300}
  - model_name: fast
    litellm_params: {model: groq/llama-3.3-70b, api_key: os.environ/GROQ_API_KEY}
  - model_name: house
    litellm_params:
      {model: hosted_vllm/qwen3, api_base: "http://10.0.0.5:8000/v1", input_cost_per_token: 3e-07,
       output_cost_per_token: 0.0000006}
  - model_name: home
    litellm_params: {model: ollama/llama3, api_base: "http://127.0.0.1:11434"}
  - model_name: azure-one
    litellm_params:
      {model: azure/dep-1, api_base: "https://x.openai.azure.com/", api_key: os.environ/AZ, api_version: v}
  - model_name: claude
    litellm_params: {model: claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: lost
    litellm_params: {model: bedrock/anthropic.claude}
  - model_name: "mistral/*"
    litellm_params: {model: "mistral/*", api_key: os.environ/MISTRAL_API_KEY}
litellm_settings:
  request_timeout: 120
  drop_params: true
  max_budget: 100
  budget_duration: 30d
  fallbacks: [{house: [claude, nowhere]}]
  success_callback: [langfuse]
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {smart: claude}
general_settings: {master_key: sk-1234-abcd, database_url: postgresql://x}
"""

SWAP = """
healthCheckTimeout: 300
globalTTL: 600
macros:
  server: /opt/llama/llama-server --port ${PORT} --host 127.0.0.1
  ctx: 16384
models:
  coder:
    cmd: |
      # ${server} is above
      ${server} -m ${env.HOME}/qwen.gguf -c ${ctx} -np 2 -ngl 99 -ctk q8_0 -ctv q8_0 --temp 0.6 \\
        --md-unknown
    env: ["CUDA_VISIBLE_DEVICES=1"]
    aliases: [gpt-4o-mini]
    filters: {stripParams: temperature}
  "org/voice":
    proxy: http://127.0.0.1:9999
    cmd: python tts.py --listen 9999
    checkEndpoint: /ready
    ttl: 60
    concurrencyLimit: 3
  nowhere: {cmd: some-server}
groups:
  forever: {persistent: true, swap: false, exclusive: false, members: [coder]}
hooks: {on_startup: {preload: [coder]}}
peers:
  far: {proxy: "https://far.example/api", apiKey: "${env.FAR}", models: [a/b]}
apiKeys: ["${env.KEY}"]
"""
_NAMES = ["OPENAI_API_KEY", "GROQ_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY", "AZ", "FAR", "KEY"]
VARIABLES = dict.fromkeys(_NAMES, "x" * 20) | {"HOME": "/home/me"}


def notes(imported: Imported) -> dict[str, str]:
    return {note.key: note.text for note in imported.notes}


def test_litellms_models_are_asked_for_by_the_same_names(tmp_path: Path) -> None:
    imported = from_litellm(yaml.safe_load(LITELLM))
    config = loaded(imported, tmp_path, VARIABLES)
    assert config.models["fast"] == ("openai/gpt-5-mini", "groq/llama-3.3-70b")
    assert config.models["house"] == ("hosted_vllm/qwen3", "anthropic/claude-sonnet-4-5")
    assert config.models["smart"] == config.models["claude"] == ("anthropic/claude-sonnet-4-5",)
    assert config.models["home"] == ("ollama/llama3",)
    places = config.providers
    assert places["ollama"].base_url == "http://127.0.0.1:11434/v1"
    assert places["azure"].base_url == "https://x.openai.azure.com/openai/v1"
    assert places["anthropic"].dialect == "anthropic"
    assert places["mistral"].models == "*"
    assert (places["openai"].timeout_s, places["groq"].timeout_s) == (300, 120)
    assert places["openai"].api_key == "x" * 20
    assert config.auth.keys == ("sk-1234-abcd",)


@pytest.mark.parametrize(
    "names", [("team/gpt", "team-gpt"), ("team-gpt", "team/gpt"), ("team/gpt", "team gpt", "team-gpt")]
)
def test_names_that_become_the_same_here_stay_two_models(tmp_path: Path, names: tuple[str, ...]) -> None:
    listed = [
        {"model_name": name, "litellm_params": {"model": f"openai/{at}"}} for at, name in enumerate(names)
    ]
    imported = from_litellm({"model_list": listed})
    models = loaded(imported, tmp_path, VARIABLES).models
    assert sorted(models.values()) == [(f"openai/{at}",) for at in range(len(names))]
    assert models["team-gpt"] == (f"openai/{names.index('team-gpt')}",)
    assert "is called 'team-gpt-2' here" in notes(imported).values()


ALIASED = """
model_list:
  - {model_name: a, litellm_params: {model: openai/x}}
  - {model_name: b, litellm_params: {model: openai/y}}
router_settings: {model_group_alias: {fast: %s}, fallbacks: [{a: [fast]}]}
"""


@pytest.mark.parametrize("target", ["b", "{model: b, hidden: true}"])
def test_a_fallback_to_an_alias_is_one_to_what_it_stands_for(tmp_path: Path, target: str) -> None:
    imported = from_litellm(yaml.safe_load(ALIASED % target))
    assert loaded(imported, tmp_path, VARIABLES).models["a"] == ("openai/x", "openai/y")


def test_what_litellm_has_and_we_do_not_is_named() -> None:
    said = notes(from_litellm(yaml.safe_load(LITELLM)))
    assert "rate limits" in said["model_list[0].rpm"]
    assert "left out" in said["model_list[6]"]
    assert "'nowhere' is no model of the list" in said["litellm_settings.fallbacks"]
    assert {"litellm_settings.success_callback", "general_settings.database_url"} <= set(said)


def test_llama_swaps_models_run_as_before(tmp_path: Path) -> None:
    imported = from_llama_swap(yaml.safe_load(SWAP))
    config = loaded(imported, tmp_path, VARIABLES)
    coder = config.servers["coder"]
    assert (coder.model, coder.context, coder.slots) == ("/home/me/qwen.gguf", 8192, 2)
    assert (coder.gpu_layers, coder.kv, coder.gpus) == (99, "q8_0", (1,))
    assert (coder.pin, coder.start, coder.idle_stop_s, coder.load_timeout_s) == (True, "always", None, 300)
    assert coder.args == ("--temp", "0.6", "--md-unknown")
    voice = config.servers["org-voice"]
    assert voice.command == ("python", "tts.py", "--listen", "{port}")
    assert (voice.health, voice.idle_stop_s, voice.slots) == ("/ready", 60, 3)
    assert config.models["gpt-4o-mini"] == ("coder",)
    assert config.engines == {"llama.cpp": "/opt/llama/llama-server"}
    assert config.providers["far"].base_url == "https://far.example/api/v1"


def test_what_llama_swap_has_and_we_do_not_is_named() -> None:
    said = notes(from_llama_swap(yaml.safe_load(SWAP)))
    assert "names no port" in said["models.nowhere"]
    assert said["models.coder.filters"] == "not carried over"


def test_the_command_writes_once_and_only_for_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "config.yaml", tmp_path / "freehold.yaml"
    source.write_text(SWAP)
    assert main(["import", "llama-swap", str(source), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert "models.coder.filters: not carried over" in capsys.readouterr().out
    assert main(["import", "llama-swap", str(source), "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err


def test_a_file_that_is_written_over_is_only_for_its_owner(tmp_path: Path) -> None:
    source, out = tmp_path / "config.yaml", tmp_path / "freehold.yaml"
    source.write_text(LITELLM)
    out.write_text("old")
    out.chmod(0o644)
    assert main(["import", "litellm", str(source), "--out", str(out), "--force"]) == 0
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_none_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "config.yaml"
    source.write_text("model_list:\n  - [\n")
    assert main(["import", "litellm", str(source)]) == 3
    assert f"{source}:3" in capsys.readouterr().err


LEAVES = st.sampled_from(
    [None, True, 0, -1, 70000, 1.5, "", "x", "a/b", "\x1f", "${PORT}", "llama-server -m m"]
)
ANYTHING = LEAVES | st.lists(LEAVES, max_size=2)
LITELLM_KEYS = st.sampled_from(
    ["model_list", "model_name", "litellm_params", "model", "api_base", "router_settings", "fallbacks"]
)
SWAP_KEYS = st.sampled_from(["models", "cmd", "proxy", "groups", "members", "peers", "macros", "ttl", "env"])


def shaped(keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    inner = st.dictionaries(keys, ANYTHING, max_size=4)
    middle = st.dictionaries(keys, ANYTHING | inner | st.lists(inner, max_size=2), max_size=3)
    return st.dictionaries(keys, ANYTHING | middle | st.lists(middle, max_size=2), max_size=3)


@given(shaped(LITELLM_KEYS))
def test_no_shape_of_litellms_file_breaks_the_import(document: dict[str, Any]) -> None:
    yaml.safe_load(as_yaml(from_litellm(document), "f"))


@given(shaped(SWAP_KEYS))
def test_no_shape_of_llama_swaps_file_breaks_the_import(document: dict[str, Any]) -> None:
    yaml.safe_load(as_yaml(from_llama_swap(document), "f"))
