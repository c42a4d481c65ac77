"""From configuration, catalog and prices to the places that may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from freehold.adapters.providers.catalog import build_catalog, configured_servers
from freehold.adapters.providers.discover import Discovery, FoundProvider
from freehold.app.routing import hedge_rules, places_of, rates_of, routing_rules, shadow_rules
from freehold.core.catalog import Deployment, Provider
from freehold.core.config import Config
from freehold.costs.book import PriceBook
from freehold.costs.overrides import parse_overrides
from freehold.routing.auto import decide
from freehold.routing.world import Ask, Place, Rates, World

NOW_MS = 1_780_000_000_000
HOUSE = {
    "servers": {
        "qwen": {"model": "/m/qwen3-8b.gguf", "context": 32768},
        "twin": {"model": "/m/qwen3-8b.gguf"},
    },
    "providers": {
        "openai": {
            "base_url": "https://api.openai.com/v1",
            "models": ["gpt-5", "gpt-5-mini", "text-embedding-3"],
        },
        "claude": {
            "base_url": "https://api.anthropic.com",
            "dialect": "anthropic",
            "models": ["claude-opus-4-5"],
        },
        "router": {"base_url": "https://openrouter.ai/api/v1"},
    },
    "models": {"wise": {"candidates": ["qwen", "router/x/big"], "route": "auto"}, "plain": ["qwen"]},
}
PRICES = {
    "openai/gpt-5": {"input": 1.25, "output": 10, "cache_read": 0.125},
    "openai/gpt-5-mini": {"input": 0.25, "output": 2},
    "claude/claude-opus-4-5": {"input": 5, "output": 25, "per_call": 0.001},
}


def house(**more: object) -> Config:
    return msgspec.convert(HOUSE | more, Config)


def places(config: Config, found: Sequence[FoundProvider] = ()) -> dict[str, Place]:
    specs = configured_servers(config, Path("/"), {})
    catalog = build_catalog(config, Discovery(providers=tuple(found)), specs)
    book = PriceBook.empty(parse_overrides(PRICES))
    return {one.name: one for one in places_of(config, catalog, specs, book, NOW_MS)}


def test_without_tiers_servers_and_listed_models_take_part_sorted_by_price() -> None:
    made = places(house())
    assert {name: one.tier for name, one in made.items()} == {
        "qwen": "local",
        "twin": "local",
        "openai/gpt-5": "premium",
        "openai/gpt-5-mini": "balanced",
        "claude/claude-opus-4-5": "premium",
        "router/x/big": "balanced",
    }
    assert all(one.auto for one in made.values())
    assert made["openai/gpt-5"].rates == Rates(
        fresh_in=1_250_000_000, cache_read=125_000_000, out=10_000_000_000
    )
    assert made["claude/claude-opus-4-5"].rates == Rates(
        fresh_in=5_000_000_000, cache_read=5_000_000_000, out=25_000_000_000, per_call=1_000_000
    )
    assert made["router/x/big"].rates is None
    assert made["qwen"].rates == Rates()


def test_with_tiers_only_what_they_name_answers_auto() -> None:
    tiers = {"local": ["qwen"], "premium": ["claude/claude-opus-4-5", "router/any/thing"]}
    made = places(house(tiers=tiers, routing={"tasks": {"odd": "openai/gpt-5"}}))
    assert {name: (one.tier, one.auto) for name, one in made.items()} == {
        "qwen": ("local", True),
        "claude/claude-opus-4-5": ("premium", True),
        "router/any/thing": ("premium", True),
        "router/x/big": ("balanced", False),
        "openai/gpt-5": ("premium", False),
    }
    assert made["router/any/thing"].deployment == Deployment(
        name="router/any/thing", model_id="any/thing", provider="router"
    )


def test_what_they_can_take() -> None:
    made = places(house())
    assert made["qwen"].able.context == 32768
    assert made["claude/claude-opus-4-5"].able.native == {"messages"}
    assert made["openai/gpt-5"].able.native == {"chat", "responses"}
    assert made["qwen"].model == made["twin"].model != made["openai/gpt-5"].model


def test_programs_in_the_house_are_local_and_free() -> None:
    provider = Provider(
        name="ollama", dialect="openai", base_url="http://127.0.0.1:11434/v1", price_as="local"
    )
    found = FoundProvider(
        provider=provider, program="Ollama", models=("llama3", "nomic-embed-text"), local=True
    )
    made = places(house(), [found])
    assert (made["ollama/llama3"].tier, made["ollama/llama3"].rates) == ("local", Rates())
    assert "ollama/nomic-embed-text" not in made


def test_the_configuration_as_rules() -> None:
    config = house(
        routing={
            "quality": 0.9,
            "minute_usd": 0.06,
            "shadow": {"share": 0.1, "budget_usd": 2},
            "hedge": {"share": 0.2},
        }
    )
    made = tuple(places(config).values())
    rules = routing_rules(config, made)
    assert (rules.quality, rules.second_nanos, rules.baseline) == (0.9, 1_000_000, "claude/claude-opus-4-5")
    assert {name: rule.route for name, rule in rules.aliases.items()} == {"wise": "auto", "plain": "order"}
    assert shadow_rules(config, made).judge == "claude/claude-opus-4-5"
    assert shadow_rules(config, made).budget_nanos == 2_000_000_000
    assert hedge_rules(config).share == 0.2
    assert routing_rules(config).baseline == ""


@pytest.mark.parametrize("written", ["code", "coding"])
def test_a_kind_of_task_is_bound_in_any_spelling(written: str) -> None:
    rules = routing_rules(house(routing={"tasks": {written: "premium"}}))
    made = places(house())
    for said in ("code", "coding", " Coding"):
        first = decide(Ask(task=said), World(places=tuple(made.values())), rules).candidates[0]
        assert made[first.name].tier == "premium", said


def test_a_server_has_no_list_price() -> None:
    config = house()
    catalog = build_catalog(config, Discovery(), configured_servers(config, Path("/"), {}))
    assert rates_of(PriceBook.empty(), catalog, catalog.deployments["qwen"], NOW_MS) is None
