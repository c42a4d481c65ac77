"""Places, worlds and calls for the stories of choosing, and strategies that make any of them."""

from __future__ import annotations

from hypothesis import strategies as st

from freehold.core.catalog import Deployment
from freehold.core.config_routing import TIERS, Tier
from freehold.routing.world import (
    Abilities,
    Ask,
    Belief,
    Needs,
    Place,
    Rates,
    RoutingRules,
    Standing,
    Sticky,
    World,
)

USD = 1_000_000_000


def place(name: str, tier: Tier = "local", usd: float = 0.0, **facts: object) -> Place:
    """`usd` for a million tokens of input; output is four times, a cached one a tenth."""
    deployment = (
        Deployment(name=name, model_id=name.partition("/")[2], provider=name.partition("/")[0])
        if "/" in name
        else Deployment(name=name, model_id=name, server=name)
    )
    rates = Rates(fresh_in=round(usd * USD), cache_read=round(usd * USD / 10), out=round(4 * usd * USD))
    return Place(**({"deployment": deployment, "tier": tier, "rates": rates} | facts))  # pyright: ignore


LOCAL = place("qwen")
OTHER = place("glm")
CHEAP = place("p/mini", "balanced", 0.25)
BEST = place("p/opus", "premium", 5.0)
HOUSE = (LOCAL, OTHER, CHEAP, BEST)


def world(*places: Place, **facts: object) -> World:
    return World(**({"places": places or HOUSE} | facts))  # pyright: ignore


def ask(**facts: object) -> Ask:
    return Ask(**({"input_tokens": 1000, "output_tokens": 100} | facts))  # pyright: ignore


# -- any of them

_abilities = st.builds(
    Abilities,
    tools=st.sampled_from([True, False, None]),
    vision=st.sampled_from([True, False, None]),
    context=st.sampled_from([0, 500, 4096, 200_000]),
)
_rates = st.none() | st.builds(
    Rates,
    fresh_in=st.integers(0, 10 * USD),
    cache_read=st.integers(0, USD),
    out=st.integers(0, 50 * USD),
)


def _place(number: int, tier: Tier, able: Abilities, rates: Rates | None, model: str) -> Place:
    name = f"d{number}"
    deployment = Deployment(name=name, model_id=name, server=name)
    return Place(deployment=deployment, tier=tier, able=able, rates=rates, model=model)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 6))
    places = tuple(
        _place(
            n,
            draw(st.sampled_from(TIERS)),
            draw(_abilities),
            draw(_rates),
            draw(st.sampled_from(["", "m", "n"])),
        )
        for n in range(count)
    )
    standings = {
        one.name: Standing(
            barred=draw(st.sampled_from(["", "", "", "rests"])),
            loaded=draw(st.sampled_from([True, False, None])),
            wait_s=draw(st.floats(0, 60)),
            outstanding=draw(st.integers(0, 9)),
            slots=draw(st.integers(1, 4)),
        )
        for one in places
        if draw(st.booleans())
    }
    beliefs = {
        one.name: Belief(draw(st.floats(0.01, 0.99)), draw(st.floats(0, 0.3)), draw(st.floats(0, 50)))
        for one in places
        if draw(st.booleans())
    }
    sticky = draw(
        st.none()
        | st.builds(
            Sticky,
            deployment=st.sampled_from([one.name for one in places]),
            tokens=st.integers(0, 5000),
            at_ms=st.integers(0, 1000),
        )
    )
    budget = draw(st.none() | st.integers(0, USD // 100))
    return World(
        places=places,
        standings=standings,
        beliefs=beliefs,
        sticky=sticky,
        budget_left_nanos=budget,
        now_ms=draw(st.integers(1000, 500_000)),
    )


asks = st.builds(
    Ask,
    task=st.sampled_from(["", "code", "review", "heartbeat", "odd"]),
    agent=st.sampled_from(["", "writer"]),
    guess=st.sampled_from(["", "chat", "maths"]),
    needs=st.builds(Needs, tools=st.booleans(), vision=st.booleans()),
    input_tokens=st.integers(0, 10_000),
    output_tokens=st.integers(0, 2000),
    critical=st.booleans(),
    max_wait_s=st.none() | st.floats(0, 30),
    failed=st.sampled_from([(), (), ("d0",), ("d0", "d1")]),
    prefix=st.binary(max_size=4),
)
rules = st.builds(
    RoutingRules,
    quality=st.floats(0.05, 1.0),
    tasks=st.sampled_from(
        [{}, {"code": "local", "review": "premium"}, {"writer": "balanced"}, {"odd": "d0"}]
    ),
    explore=st.sampled_from([0.0, 0.02, 1.0]),
    escalate=st.booleans(),
    second_nanos=st.sampled_from([0, 33_333]),
)
