"""Freehold as a new user has it, with nothing configured: the built-in test model on a real engine."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

from tests.house import House, Town


@pytest.fixture(scope="session")
def tiny_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One Freehold with `freehold-tiny` behind it. Use `tiny`."""
    house = House(tmp_path_factory.mktemp("tiny"), {})
    yield house
    house.stop()


@pytest.fixture
def tiny(tiny_house: House) -> House:
    """The same, with the receipts of earlier tests already read."""
    tiny_house.new_receipts()
    return tiny_house


@pytest.fixture
def oai(tiny: House) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=tiny.url + "/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def ant(tiny: House) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=tiny.url, api_key="unused", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def oai_town(town: Town) -> Iterator[openai.OpenAI]:
    """The OpenAI client before the town's stand-ins."""
    with openai.OpenAI(
        base_url=town.house.url + "/v1", api_key="unused", max_retries=0, timeout=10
    ) as client:
        yield client
