"""From the name that a client asked for to the places to try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.catalog import Catalog, Deployment
from freehold.routing.choose import Choice, NoSuchModel, choose


def provided(provider: str, model_id: str) -> Deployment:
    return Deployment(name=f"{provider}/{model_id}", model_id=model_id, provider=provider)


SERVER = Deployment(name="qwen", model_id="qwen", server="qwen")
PLACES = (
    provided("alpha", "gpt-5"),
    provided("beta", "gpt-5"),
    provided("alpha", "gpt-5-mini"),
    provided("beta", "org/deep/model"),
    SERVER,
)


def catalog(*wildcards: str, **aliases: tuple[str, ...]) -> Catalog:
    return Catalog(deployments={place.name: place for place in PLACES}, aliases=aliases, wildcards=wildcards)


KNOWN = catalog(
    smart=("alpha/gpt-5", "qwen"), qwen=("beta/gpt-5",), gone=("delta/x",), half=("delta/x", "qwen")
)


@pytest.mark.parametrize(
    ("asked", "tried", "reason"),
    [
        ("smart", ["alpha/gpt-5", "qwen"], "alias smart"),
        ("qwen", ["beta/gpt-5"], "alias qwen"),
        ("half", ["qwen"], "alias half"),
        ("alpha/gpt-5", ["alpha/gpt-5"], "asked by name"),
        ("beta/org/deep/model", ["beta/org/deep/model"], "asked by name"),
        ("gpt-5-mini", ["alpha/gpt-5-mini"], "only place with gpt-5-mini"),
        ("org/deep/model", ["beta/org/deep/model"], "only place with org/deep/model"),
    ],
)
def test_a_name_leads_to_its_places_in_order(asked, tried, reason):
    found = choose(KNOWN, asked)
    assert isinstance(found, Choice)
    assert ([place.name for place in found.candidates], found.reason) == (tried, reason)


@pytest.mark.parametrize(
    ("asked", "name", "model_id"),
    [
        ("open/any-model", "open/any-model", "any-model"),
        ("open/org/any", "open/org/any", "org/any"),
        ("never-heard", "open/never-heard", "never-heard"),
        ("org/never-heard", "open/org/never-heard", "org/never-heard"),
    ],
)
def test_a_provider_that_takes_any_model_takes_what_nobody_else_has(asked, name, model_id):
    found = choose(catalog("open"), asked)
    assert isinstance(found, Choice)
    (place,) = found.candidates
    assert place == Deployment(name=name, model_id=model_id, provider="open")


def test_a_listed_place_goes_before_one_that_takes_anything():
    found = choose(catalog("open"), "gpt-5-mini")
    assert isinstance(found, Choice)
    assert found.candidates[0].provider == "alpha"


@pytest.mark.parametrize("asked", ["gpt-5", "never-heard"])
def test_what_two_places_could_mean_is_not_guessed(asked):
    found = choose(catalog("open", "wide"), asked)
    assert isinstance(found, NoSuchModel)
    assert found.ambiguous == (("alpha/gpt-5", "beta/gpt-5") if asked == "gpt-5" else ())


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("smrat", "smart"), ("gpt-5-mimi", "gpt-5-mini"), ("alpha/gpt5", "alpha/gpt-5"), ("gwen", "qwen")],
)
def test_a_slip_of_the_finger_is_answered_with_what_exists(asked, nearest):
    found = choose(KNOWN, asked)
    assert isinstance(found, NoSuchModel)
    assert nearest in found.nearest
    assert len(found.nearest) <= 3


@pytest.mark.parametrize("asked", ["gone", "", "/", "alpha/", "/gpt-5", "open/x", "zzzzzzzz"])
def test_what_is_nowhere_is_said_to_be_nowhere(asked):
    assert isinstance(choose(KNOWN, asked), NoSuchModel)


@given(st.text(alphabet="abopen/-5gt ", max_size=12), st.sampled_from([(), ("open",), ("open", "alpha")]))
def test_any_name_gets_a_place_or_a_reason(asked, wildcards):
    found = choose(catalog(*wildcards, smart=("alpha/gpt-5",)), asked)
    if isinstance(found, Choice):
        assert found.candidates
        assert found.reason
    else:
        assert found.asked == asked
