"""From configuration and discovery to the catalog: what a person wrote goes first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.adapters.providers.catalog import (
    build_catalog,
    configured_servers,
    found_servers,
    memory_reserve,
    unlisted,
    with_listed,
)
from freehold.adapters.providers.discover import Discovery, FoundProvider
from freehold.adapters.providers.gguf_files import GgufFile
from freehold.adapters.providers.gguf_header import GgufHeader
from freehold.core.catalog import Provider
from freehold.core.config import AliasConfig, Config, ProviderConfig, ServerConfig
from freehold.core.config_file import read_config
from freehold.core.errors import ConfigError
from freehold.core.memory import Reserve
from freehold.core.servers import RestartRules, ServerSpec

NOTHING = Discovery()
GROQ = FoundProvider(
    provider=Provider(name="groq", dialect="openai", base_url="https://api.groq.com/openai/v1", api_key="k"),
    program="groq",
)
OLLAMA = FoundProvider(
    provider=Provider(name="ollama", dialect="openai", base_url="http://127.0.0.1:11434/v1"),
    program="Ollama",
    models=("llama3:8b", "qwen3"),
    local=True,
)
OPENAI = ProviderConfig(base_url="https://api.openai.com/v1", api_key="k", models=("gpt-x", "gpt-y"))


def file(name: str, architecture: str = "llama", context: int | None = 40_960) -> GgufFile:
    header = GgufHeader(architecture=architecture, context_length=context)
    return GgufFile(path=Path(f"/m/{name}.gguf"), size_bytes=1, header=header)


def test_configured_models_and_servers_can_be_asked_for_by_their_full_names() -> None:
    config = Config(providers={"openai": OPENAI})
    catalog = build_catalog(config, NOTHING, [ServerSpec(name="glm", model="g.gguf")])
    assert list(catalog.deployments) == ["glm", "openai/gpt-x", "openai/gpt-y"]
    assert catalog.deployments["glm"].server == "glm"
    assert catalog.deployments["openai/gpt-x"].model_id == "gpt-x"
    assert catalog.wildcards == ()
    provider = catalog.providers["openai"]
    assert (provider.responses, provider.price_as) == (True, "openai")


def test_what_is_configured_about_responses_wins_over_what_is_known() -> None:
    config = Config(providers={"openai": msgspec.structs.replace(OPENAI, responses=False)})
    assert not build_catalog(config, NOTHING, []).providers["openai"].responses


def test_found_servers_offer_what_they_list_and_vendors_take_any_id() -> None:
    catalog = build_catalog(Config(), Discovery(providers=(OLLAMA, GROQ)), [])
    assert set(catalog.deployments) == {"ollama/llama3:8b", "ollama/qwen3"}
    assert catalog.wildcards == ("groq",)
    assert catalog.default_provider == "groq"  # a vendor before a local server


def test_nothing_found_takes_a_configured_name_or_doubles_a_configured_place() -> None:
    mine = ProviderConfig(base_url="http://localhost:11434/v1/", models=("only-this",))
    config = Config(providers={"groq": OPENAI, "box": mine})
    catalog = build_catalog(config, Discovery(providers=(OLLAMA, GROQ)), [])
    assert set(catalog.providers) == {"groq", "box"}
    assert catalog.providers["groq"].base_url == "https://api.openai.com/v1"
    assert set(catalog.deployments) == {"groq/gpt-x", "groq/gpt-y", "box/only-this"}


def test_an_alias_keeps_the_order_of_its_candidates() -> None:
    config = Config(
        providers={"openai": OPENAI, "any": ProviderConfig(base_url="https://x.example/v1")},
        models={"fast": ("glm", "any/new-model", "openai/gpt-x")},
    )
    catalog = build_catalog(config, NOTHING, [ServerSpec(name="glm", model="g.gguf")])
    assert catalog.aliases["fast"] == ("glm", "any/new-model", "openai/gpt-x")
    assert catalog.deployments["any/new-model"].provider == "any"


def test_an_alias_may_name_what_was_found() -> None:
    config = Config(models={"chat": ("ollama/qwen3", "groq/any")})
    catalog = build_catalog(config, Discovery(providers=(OLLAMA, GROQ)), [])
    assert catalog.aliases["chat"] == ("ollama/qwen3", "groq/any")


@pytest.mark.parametrize(
    ("candidate", "nearest"),
    [("openai/gpt-yy", "openai/gpt-y"), ("glmm", "glm"), ("anny/m", "any/m"), ("zzzzzz", None)],
)
def test_a_candidate_that_is_nowhere_is_an_error_with_the_nearest_spelling(
    candidate: str, nearest: str | None
) -> None:
    config = Config(
        providers={"openai": OPENAI, "any": ProviderConfig(base_url="https://x.example/v1")},
        models={"fast": ("glm", candidate)},
    )
    with pytest.raises(ConfigError) as caught:
        build_catalog(config, NOTHING, [ServerSpec(name="glm", model="g.gguf")])
    assert caught.value.key == "models.fast.1"
    assert caught.value.nearest == nearest
    assert candidate in caught.value.message


def test_a_provider_with_a_star_takes_any_id_and_shows_what_it_lists() -> None:
    star = ProviderConfig(base_url="https://x.example/v1", api_key="k")
    config = Config(providers={"any": star, "openai": OPENAI})
    (asked,) = unlisted(config, NOTHING)
    assert (asked.provider.name, asked.provider.api_key) == ("any", "k")
    answered = msgspec.structs.replace(asked, models=("one", "two"))
    catalog = build_catalog(config, with_listed(NOTHING, [answered]), [])
    assert {"any/one", "any/two"} <= set(catalog.deployments)
    assert catalog.wildcards == ("any",)


def test_vendors_found_are_asked_and_local_servers_have_answered_already() -> None:
    found = Discovery(providers=(OLLAMA, GROQ))
    assert [one.provider.name for one in unlisted(Config(), found)] == ["groq"]
    listed = with_listed(found, [msgspec.structs.replace(GROQ, models=("llama",))])
    assert [one.provider.name for one in listed.providers] == ["ollama", "groq"]
    assert "groq/llama" in build_catalog(Config(), listed, []).deployments


def test_the_list_of_a_vendor_is_not_taken_for_that_of_a_configured_one_of_its_name() -> None:
    config = Config(providers={"groq": ProviderConfig(base_url="https://mine.example/v1")})
    found = Discovery(providers=(msgspec.structs.replace(GROQ, models=("theirs",)),))
    assert build_catalog(config, found, []).deployments == {}


def test_relative_model_paths_start_at_the_configuration_and_home_is_expanded() -> None:
    config = Config(
        servers={
            "a": ServerConfig(model="m/a.gguf", context=8192, slots=2),
            "b": ServerConfig(model="~/b.gguf"),
            "c": ServerConfig(model="/abs/c.gguf"),
        }
    )
    specs = configured_servers(config, Path("/etc/fh"), {"HOME": "/home/me"})
    assert [spec.model for spec in specs] == ["/etc/fh/m/a.gguf", "/home/me/b.gguf", "/abs/c.gguf"]
    assert (specs[0].context, specs[0].slots) == (8192, 2)


def test_a_configured_server_says_all_that_the_file_said(tmp_path: Path) -> None:
    text = """
servers:
  glm: {model: m.gguf, context: 8192, slots: 2, kv: q8_0, gpus: [1], gpu_layers: 9, cache_ram: 1GiB,
        pin: true, draft: d.gguf, projector: p.gguf, args: [--x], env: [A=1], start: always, priority: 7,
        after: [old],
        restart: {tries: 1, interval: 2, delay: 3, longest_delay: 4}, memory: {vram: 5, ram: 6, limit: 7},
        min_stay: 8, load_timeout: 9, drain_timeout: 10, stop_timeout: 11, stop_signal: SIGINT,
        stall_timeout: 12, max_queue: 13, max_wait: 14, health: /h}
  big: {engine: vllm, model: Qwen/Qwen3-32B, gpu_memory: 0.4, idle_stop: 15m, gpus: none, keep_warm: false}
  embed: {engine: ollama, model: nomic-embed-text}
  voice: {command: [tts, "{port}"]}
  old: {adopt: "http://127.0.0.1:8080/", model: their-id}
"""
    path = tmp_path / "freehold.yaml"
    path.write_text(text)
    config, problems = read_config(path, {"HOME": "/home/me"})
    assert config is not None, problems
    glm, big, embed, voice, old = configured_servers(config, tmp_path, {"HOME": "/home/me"})
    assert glm == ServerSpec(
        name="glm",
        model=str(tmp_path / "m.gguf"),
        context=8192,
        slots=2,
        kv_type="q8_0",
        gpus=(1,),
        gpu_layers=9,
        cache_ram_bytes=1024**3,
        pin=True,
        draft=str(tmp_path / "d.gguf"),
        projector=str(tmp_path / "p.gguf"),
        args=("--x",),
        env=("A=1",),
        start="always",
        priority=7,
        after=("old",),
        restart=RestartRules(tries=1, interval_s=2, first_delay_s=3, longest_delay_s=4),
        vram_bytes=5,
        ram_bytes=6,
        ram_limit_bytes=7,
        min_stay_s=8,
        load_timeout_s=9,
        drain_timeout_s=10,
        stop_timeout_s=11,
        stop_signal="SIGINT",
        stall_timeout_s=12,
        max_queue=13,
        max_wait_s=14,
        health_path="/h",
    )
    assert (big.engine, big.model, big.upstream_id, big.gpus) == ("vllm", "Qwen/Qwen3-32B", "big", ())
    assert (big.gpu_memory, big.idle_stop_s, big.context, big.slots) == (0.4, 900.0, 0, 32)
    assert (embed.upstream_id, embed.slots, embed.start) == ("nomic-embed-text", 4, "on-demand")
    assert (voice.engine, voice.upstream_id, voice.folder) == ("command", "voice", str(tmp_path))
    assert (old.engine, old.adopt, old.upstream_id) == ("adopt", "http://127.0.0.1:8080", "their-id")


def test_a_server_that_says_nothing_else_is_as_the_house_would_have_it() -> None:
    config = Config(servers={"a": ServerConfig(model="/m.gguf")})
    assert configured_servers(config, Path("/"), {}) == [ServerSpec(name="a", model="/m.gguf")]
    assert memory_reserve(config) == Reserve()


def test_an_alias_may_say_how_long_it_waits() -> None:
    config = Config(models={"a": AliasConfig(candidates=("glm",), max_wait_s=20.0), "b": ("glm",)})
    catalog = build_catalog(config, NOTHING, [ServerSpec(name="glm", model="g.gguf")])
    assert catalog.aliases == {"a": ("glm",), "b": ("glm",)}
    assert catalog.max_waits == {"a": 20.0}


def test_found_files_become_servers_named_after_the_file() -> None:
    specs = found_servers([file("Qwen3 8B-Q4"), file("small", context=2048), file("e", "bert")], {"taken"})
    assert [(spec.name, spec.context) for spec in specs] == [("Qwen3-8B-Q4", 16_384), ("small", 2048)]


def test_a_taken_name_gets_a_number() -> None:
    specs = found_servers([file("a"), file("a"), file("b")], ["a"])
    assert [spec.name for spec in specs] == ["a-2", "a-3", "b"]
