"""Which tier a deployment is in, and what is known of it."""

from __future__ import annotations

import pytest

from freehold.core.config_routing import TiersConfig
from freehold.core.servers import ServerSpec
from freehold.routing.abilities import NOT_FOR_TALK, doubts, known_abilities, lacks, server_abilities
from freehold.routing.tiers import Offer, above, blended, highest, lowest, sorted_out
from freehold.routing.world import Abilities, Needs, Rates
from tests.routing.worlds import place


def offer(name: str, usd: float | None = None, *, in_house: bool = False) -> Offer:
    one = place(name, usd=usd or 0.0)
    return Offer(deployment=one.deployment, rates=None if usd is None else one.rates, in_house=in_house)


def test_configured_tiers_are_the_whole_truth() -> None:
    offers = [offer("qwen", in_house=True), offer("p/a", 1.0), offer("p/b", 9.0)]
    tiers = sorted_out(TiersConfig(local=("qwen", "gone"), premium=("p/b",)), offers)
    assert tiers == {"qwen": "local", "p/b": "premium"}


def test_without_them_prices_sort() -> None:
    offers = [offer("qwen", in_house=True), offer("p/mini", 0.2), offer("p/big", 5.0), offer("p/new")]
    assert sorted_out(TiersConfig(), offers) == {
        "qwen": "local",
        "p/mini": "balanced",
        "p/big": "premium",
        "p/new": "balanced",
    }


def test_where_nothing_is_dear_the_dearest_is_the_best_there_is() -> None:
    assert sorted_out(TiersConfig(), [offer("p/a", 0.2), offer("p/b", 0.5)]) == {
        "p/a": "balanced",
        "p/b": "premium",
    }
    assert sorted_out(TiersConfig(), [offer("p/a", 0.2)]) == {"p/a": "balanced"}


def test_tiers_are_in_order_of_cost() -> None:
    assert (above("local"), above("balanced"), above("premium")) == ("balanced", "premium", None)
    assert highest(["local", "balanced"]) == "balanced"
    assert lowest(["premium", "balanced"]) == "balanced"
    assert highest([]) == lowest([]) == "local"
    assert blended(Rates(fresh_in=4, out=8)) == 5
    assert blended(None) is None


@pytest.mark.parametrize(
    ("model", "tools", "vision", "context"),
    [
        ("claude-opus-4-5-20251101", True, True, 200_000),
        ("gpt-5-mini", True, True, 400_000),
        ("gpt-4-0613", True, False, 8_192),
        ("gpt-4.1-nano", True, True, 1_000_000),
        ("o1-mini", False, False, 128_000),
        ("deepseek-chat", True, False, 64_000),
        ("meta-llama/Llama-3.3-70B-Instruct", True, False, 128_000),
        ("Qwen2.5-VL-7B", True, True, 32_000),
        ("somebody/else", None, None, 0),
    ],
)
def test_what_is_published_of_well_known_families(
    model: str, tools: bool | None, vision: bool | None, context: int
) -> None:
    known = known_abilities(model)
    assert (known.tools, known.vision, known.context) == (tools, vision, context)


def test_a_server_of_ours_has_the_context_that_it_was_given_and_sees_with_a_projector() -> None:
    blind = server_abilities(ServerSpec(name="a", model="/m/qwen3-8b.gguf", context=8192))
    assert (blind.context, blind.vision, blind.json, blind.tools) == (8192, False, True, True)
    assert server_abilities(ServerSpec(name="a", model="/m/x.gguf", projector="/m/mm.gguf")).vision
    assert (
        server_abilities(ServerSpec(name="a", engine="vllm", model="Qwen/Qwen3-32B", context=0)).context
        == 32_000
    )


def test_needs_are_held_against_abilities() -> None:
    everything = Needs(tools=True, vision=True, audio=True, json=True)
    assert lacks(everything, Abilities(), 10**9) == ""
    assert doubts(everything, Abilities()) == ("tools", "pictures", "sound", "JSON mode")
    assert lacks(Needs(json=True), Abilities(json=False), 1) == "takes no JSON mode"
    assert lacks(Needs(), Abilities(tools=False, context=100), 101).startswith("takes 100 tokens")
    assert lacks(Needs(native="responses"), Abilities(native=frozenset(("chat", "responses"))), 1) == ""


def test_ids_that_do_not_talk() -> None:
    assert all(
        map(NOT_FOR_TALK.search, ("text-embedding-3-small", "whisper-1", "gpt-image-1", "gpt-4o-mini-tts"))
    )
    assert not any(map(NOT_FOR_TALK.search, ("gpt-5-mini", "claude-haiku-4-5", "qwen3-8b")))
