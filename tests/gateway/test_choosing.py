"""What of a call moves the choice of its place, and what of other calls does not."""

from __future__ import annotations

import json

import pytest

from freehold.cache.answers import Answers
from freehold.core.config_cache import CacheConfig, ExactCacheConfig
from freehold.core.errors import CallError
from freehold.gateway.bad_answer import BadAnswer
from freehold.gateway.sharing import Sharing
from freehold.routing.router import Router
from freehold.routing.world import Place, Rates, RoutingRules
from tests.gateway.calls import JSON, turns
from tests.gateway.rooms import CATALOG, House
from tests.gateway.test_gateway import reply
from tests.gateway.test_sharing import Client

CHEAP = Place(
    deployment=CATALOG.deployments["alpha/m"], tier="local", rates=Rates(fresh_in=1, out=1), model="m"
)
COSTLY = Rates(fresh_in=100 * 10**9, out=500 * 10**9)
DEAR = Place(deployment=CATALOG.deployments["beta/m"], tier="premium", rates=COSTLY, model="n")
QUESTION = [{"role": "user", "content": "How many apples are there in a basket?"}]


def choosing() -> House:
    house = House()
    router = house.gateway.router = Router()
    router.use(
        RoutingRules(tasks={"reviewer": "premium"}, quality=0.5, explore=0.0, escalate=False), [CHEAP, DEAR]
    )
    return house


def ask(house: House, **headers: str) -> Client:
    client = Client(house)
    told = {f"x-freehold-{name}": value for name, value in headers.items()}
    client.ask(model="auto", messages=QUESTION, headers=told)
    return client


def hosts(house: House) -> list[str]:
    return [sent.origin.host for sent in house.upstreams.sent]


async def test_an_agent_with_a_tier_of_its_own_shares_no_answer_of_another_tier() -> None:
    async with choosing() as house:
        house.gateway.sharing = Sharing()
        ask(house, agent="other")
        ask(house, agent="reviewer")
        ask(house, agent="somebody")
        assert hosts(house) == ["alpha", "beta"]


@pytest.mark.parametrize("agent", ["reviewer", "Reviewer"])
async def test_an_agent_with_a_tier_of_its_own_gets_no_kept_answer_of_another_tier(agent: str) -> None:
    async with choosing() as house:
        house.gateway.answers = Answers(CacheConfig(exact=ExactCacheConfig()), salt=b"s" * 32)
        ask(house, agent="other")
        reply(house.upstreams.sent[0])
        await turns()
        assert ask(house, agent="somebody").answer[1]["x-freehold-cache"] == "hit"
        ask(house, agent=agent)
        assert hosts(house) == ["alpha", "beta"]


@pytest.mark.parametrize(("project", "host"), [("one", "beta"), ("two", "alpha")])
async def test_sessions_of_two_projects_are_two_whatever_they_are_called(project: str, host: str) -> None:
    """Who asks the same again in its session was not content, and goes up."""
    async with choosing() as house:
        ask(house, session="main", project="one")
        reply(house.upstreams.sent[0])
        await turns()
        ask(house, session="main", project=project)
        assert hosts(house) == ["alpha", host]


TOO_LONG = "This model's maximum context length is 8192 tokens"


async def test_a_prompt_that_was_too_long_after_all_goes_to_the_next_place() -> None:
    async with choosing() as house:
        client = ask(house)
        reply(
            house.upstreams.sent[0], 400, {"error": {"message": TOO_LONG, "code": "context_length_exceeded"}}
        )
        reply(house.upstreams.sent[1])
        await turns()
        assert hosts(house) == ["alpha", "beta"]
        assert client.answer[0] == 200


@pytest.mark.parametrize(
    ("status", "words", "too_long"),
    [
        (400, TOO_LONG, True),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", True),
        (400, "the request exceeds the available context size", True),
        (413, "too many tokens", True),
        (400, "max_tokens must be positive", False),
        (429, "too many tokens per minute", False),
    ],
)
def test_how_a_place_says_that_a_prompt_is_too_long(status: int, words: str, too_long: bool) -> None:
    bad = BadAnswer(status, [(name.encode(), value.encode()) for name, value in JSON.items()], b"")
    bad.add(json.dumps({"error": {"message": words}}).encode())
    error = bad.error(0)
    assert isinstance(error, CallError)
    assert bad.failure(error).too_long is too_long
