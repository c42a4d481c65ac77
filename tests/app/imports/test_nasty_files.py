"""Files as people have them: anchors, wildcards, credentials elsewhere, impossible names, odd prices."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from freehold.app.imports import Imported, from_litellm, from_llama_swap
from tests.app.imports.reading import loaded

LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: &base {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, max_retries: 3}
  - model_name: gpt-4o
    litellm_params: {<<: *base, api_key: null, model: azure/eu, litellm_credential_name: eu}
  - model_name: claude-*
    litellm_params: {model: anthropic/claude-*, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: "*"
    litellm_params: {model: "openai/*", api_key: os.environ/OPENAI_API_KEY}
  - model_name: team/local llama
    litellm_params:
      model: ollama_chat/llama3.1:8b
      timeout: os.environ/TIMEOUT
      extra_headers: {authorization: "Bearer os.environ/TOKEN"}
    model_info: {mode: chat, supports_vision: true, input_cost_per_token: 0.000001, access_groups: [beta]}
  - model_name: odd
    litellm_params:
      {model: deepseek/deepseek-chat, input_cost_per_token: -1, output_cost_per_token: 1.23456789012e-7}
  - model_name: not a number
    litellm_params: {model: deepseek/deepseek-reasoner, input_cost_per_token: .nan}
  - model_name: same-address
    litellm_params: {model: openrouter/a/b, api_base: "https://openrouter.ai/api/v1"}
  - model_name: nowhere
    litellm_params: {model: azure/gpt-5}
credential_list:
  - credential_name: eu
    credential_values: {api_key: os.environ/AZURE_KEY, api_base: os.environ/AZURE_BASE}
litellm_settings: {max_budget: 100, budget_duration: 30s, num_retries: 3, drop_params: true}
router_settings:
  fallbacks: [{gpt-4o: [claude-sonnet-4-5, {model: same-address}]}, {ghost: [gpt-4o]}]
  default_fallbacks: [same-address]
  routing_strategy: latency-based-routing
  timeout: 30
  model_group_alias: {"gpt 4": gpt-4o, lost: ghost}
environment_variables: {OPENAI_API_KEY: sk-in-the-file}
include: [more.yaml]
"""
SWAP = """
macros: {llama: "/opt/llama/llama-server --port ${PORT}"}
models:
  one: {cmd: "${llama} -m /m/a.gguf", aliases: [openai/gpt-4o]}
  two: {cmd: "${llama} -m '/m/with space.gguf'"}
  other-build: {cmd: "/opt/ik/llama-server --port ${PORT} -m /m/b.gguf"}
  away: {cmd: "ssh gpu2 llama-server --port 9999", proxy: "http://gpu2:9999"}
  torn: {cmd: "llama-server -m 'a.gguf --port ${PORT}"}
groups: {heavy: {swap: true, exclusive: true, members: [one, ghost]}}
"""
_NAMES = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AZURE_KEY",
    "TOKEN",
    "DEEPSEEK_API_KEY",
    "OPENROUTER_API_KEY",
)
VARIABLES = dict.fromkeys(_NAMES, "x" * 20) | {"AZURE_BASE": "https://eu.openai.azure.com"}


@pytest.fixture(scope="module")
def litellm() -> Imported:
    return from_litellm(yaml.safe_load(LITELLM))


def test_what_comes_out_of_a_nasty_file_is_a_configuration(litellm: Imported, tmp_path: Path) -> None:
    config = loaded(litellm, tmp_path, VARIABLES)
    assert config.models["gpt-4o"] == (
        "openai/gpt-4o",
        "azure/eu",
        "anthropic/claude-sonnet-4-5",
        "openrouter/a/b",
    )
    assert config.models["gpt-4"] == config.models["gpt-4o"], "by another name"
    assert config.models["lost"] == ("openai/ghost",), "any name is OpenAI's"
    assert config.models["team-local-llama"] == ("ollama_chat/llama3.1:8b", "openrouter/a/b")
    places = config.providers
    assert places["azure"].base_url == "https://eu.openai.azure.com/openai/v1"
    assert places["azure"].timeout_s == 30
    assert places["openai"].models == places["anthropic"].models == "*"
    assert places["ollama_chat"].headers == {"authorization": "Bearer " + "x" * 20}
    assert places["openrouter"].api_key == "x" * 20, "as LiteLLM finds it"
    assert config.prices["ollama_chat/llama3.1:8b"].input == 1.0
    assert config.prices["deepseek/deepseek-chat"].output == 0.123456789
    assert "deepseek/deepseek-reasoner" not in config.prices
    assert [(each.limit_usd, each.window) for each in config.budgets] == [(100, "month")]


def test_all_that_was_not_carried_over_is_named_once(litellm: Imported) -> None:
    said = [(note.key, note.text) for note in litellm.notes]
    assert len(set(said)) == len(said)
    keys = {key for key, _ in said}
    assert keys >= {
        "model_list[0].max_retries",
        "model_list[4].timeout",
        "model_list[4].model_info.access_groups",
        "model_list[5].input_cost_per_token",
        "model_list[6].input_cost_per_token",
        "litellm_settings.budget_duration",
        "litellm_settings.num_retries",
        "litellm_settings.drop_params",
        "router_settings.routing_strategy",
        "environment_variables",
        "include",
    }
    assert ("model_list[8]", "'azure' needs an address, `api_base`: left out") in said
    assert ("model_list[3]", "names that are not listed are asked for as openai/MODEL here") in said
    assert ("router_settings.fallbacks", "'ghost' is no model of the list") in said
    assert ("model_list: team/local llama", "is called 'team-local-llama' here") in said


def test_of_llama_swap_too(tmp_path: Path) -> None:
    imported = from_llama_swap(yaml.safe_load(SWAP))
    config = loaded(imported, tmp_path, VARIABLES)
    assert config.engines == {"llama.cpp": "/opt/llama/llama-server"}, "what most servers run"
    assert set(config.servers) == {"one", "two", "other-build"}
    assert config.servers["two"].model == "/m/with space.gguf"
    assert config.servers["other-build"].command[0] == "/opt/ik/llama-server", "not by another build"
    assert config.models == {"openai-gpt-4o": ("one",)}
    said = {note.key: note.text for note in imported.notes if note.key != "groups.heavy"}
    assert set(said) == {"models.one.aliases", "models.other-build", "models.away", "models.torn"}
    assert "gpu2" in said["models.away"] and "can be read" in said["models.torn"]
    group = [note.text for note in imported.notes if note.key == "groups.heavy"]
    assert any("'ghost'" in text for text in group) and len(group) == 2
