"""What a client may ask for, and what it is told that there is."""

from __future__ import annotations

import pytest

from tests.talk import PATHS, asking, error_of


@pytest.mark.parametrize(
    ("asked", "place", "upstream_id"),
    [
        ("alpha/{m}", "alpha", "{m}"),
        ("beta/{m}", "beta", "{m}"),
        ("smart-{m}", "alpha", "{m}"),
        ("only-beta-id", "beta", "only-beta-id"),
    ],
)
def test_alias_provider_and_id_or_a_plain_id_find_their_place(town, model, asked, place, upstream_id):
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", asked.format(m=model)))
    assert answer.status == 200
    seen = getattr(town, place).wait_for(1)[0]
    assert seen.json()["model"] == upstream_id.format(m=model)
    receipt = town.house.receipt()
    assert (receipt.model_asked, receipt.provider) == (asked.format(m=model), place)
    assert receipt.model == upstream_id.format(m=model)


@pytest.mark.parametrize("dialect", PATHS)
def test_an_unknown_model_is_not_found_and_the_answer_says_what_to_do(town, dialect):
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, "gpt-nonsense"))
    error = error_of(dialect, answer)
    assert answer.status == 404
    assert "gpt-nonsense" in error["message"]
    if dialect == "messages":
        assert error["type"] == "not_found_error"
    else:
        assert error["code"] == "model_not_found"
    assert town.house.receipt().outcome == "refused"


def test_a_plain_id_that_two_places_have_is_not_guessed_in_silence(town, model):
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", model))
    if answer.status == 200:
        assert town.house.receipt().route
    else:
        message = error_of("chat", answer)["message"]
        assert answer.status in (400, 404)
        assert f"alpha/{model}" in message
        assert f"beta/{model}" in message


def test_the_openai_list_has_aliases_and_places(town):
    with town.house.wire() as wire:
        listed = wire.call("/v1/models").json()
        assert listed["object"] == "list"
        ids = [entry["id"] for entry in listed["data"]]
        assert {"smart-m0", "alpha/m0", "claude/m3"} <= set(ids)
        assert len(ids) == len(set(ids))
        assert all(
            entry["object"] == "model" and isinstance(entry["created"], int) for entry in listed["data"]
        )
        assert all(entry["owned_by"] for entry in listed["data"])
        one = wire.call("/v1/models/smart-m0").json()
        assert (one["id"], one["object"]) == ("smart-m0", "model")


def test_the_anthropic_list_comes_when_its_version_is_sent(town):
    version = {"anthropic-version": "2023-06-01"}
    with town.house.wire() as wire:
        listed = wire.call("/v1/models?limit=1000", headers=version).json()
        first = listed["data"][0]
        assert (first["type"], listed["has_more"]) == ("model", False)
        assert {"id", "display_name", "created_at"} <= set(first)
        assert listed["first_id"] == first["id"]
        assert listed["last_id"] == listed["data"][-1]["id"]
        two = wire.call("/v1/models?limit=2", headers=version).json()
        assert (len(two["data"]), two["has_more"], two["last_id"]) == (2, True, listed["data"][1]["id"])
        one = wire.call("/v1/models/smart-m0", headers=version).json()
        assert (one["type"], one["id"]) == ("model", "smart-m0")


@pytest.mark.parametrize("path", ["/v1/models/alpha/m0", "/v1/models/alpha%2Fm0"])
def test_a_name_with_a_slash_can_be_asked_for_both_ways(town, path):
    with town.house.wire() as wire:
        assert wire.call(path).json()["id"] == "alpha/m0"


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_an_unknown_name_in_the_list_is_not_found_in_the_callers_dialect(town, dialect):
    headers = {"anthropic-version": "2023-06-01"} if dialect == "messages" else {}
    with town.house.wire() as wire:
        answer = wire.call("/v1/models/nothing", headers=headers)
    assert answer.status == 404
    assert "nothing" in answer.json()["error"]["message"]
    assert ("request_id" in answer.json()) == (dialect == "messages")


def test_a_limit_that_is_no_number_is_refused(town):
    with town.house.wire() as wire:
        answer = wire.call("/v1/models?limit=many", headers={"anthropic-version": "2023-06-01"})
    assert answer.status == 400
    assert "limit" in answer.json()["error"]["message"]
