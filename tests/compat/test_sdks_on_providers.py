"""The vendors' own clients use what only some providers offer; nothing is lost on the way."""

from __future__ import annotations

import anthropic
import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour
from freehold.testing.standin.sundries import PNG, SOUND

TEXT = "".join(DEFAULT_PIECES)
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def ant_town(town):
    with anthropic.Anthropic(base_url=town.house.url, api_key="unused", max_retries=0, timeout=10) as client:
        yield client


@pytest.mark.parametrize("how", ["float", "base64", None])
def test_embeddings_in_either_encoding(town, model, oai_town, how):
    more = {"encoding_format": how} if how else {}
    answer = oai_town.embeddings.create(model=f"alpha/{model}", input=["a", "bc"], **more)
    vectors = [item.embedding for item in answer.data]
    if how == "base64":
        assert all(isinstance(vector, str) for vector in vectors)
    else:
        assert vectors == [[1 / 1024, 0.25, -0.5, 1.0], [2 / 1024, 0.25, -0.5, 1.0]]
    receipt = town.house.receipt()
    assert (receipt.endpoint, receipt.usage.input_total) == ("embeddings", answer.usage.prompt_tokens)


def test_sound_pictures_and_judgements(town, model, oai_town):
    asked = f"alpha/{model}"
    assert oai_town.audio.speech.create(model=asked, voice="alloy", input="x").read() == SOUND
    assert oai_town.audio.transcriptions.create(model=asked, file=("a.wav", SOUND)).text
    assert oai_town.images.generate(model=asked, prompt="a house").data[0].b64_json
    assert oai_town.images.edit(model=asked, prompt="a door", image=("a.png", PNG)).data[0].b64_json
    assert oai_town.moderations.create(model=asked, input="x").results[0].flagged is False
    assert [receipt.outcome for receipt in town.house.new_receipts()] == ["ok"] * 5


def test_the_life_of_a_stored_response(town, model, oai_town):
    made = oai_town.responses.create(model=f"alpha/{model}", input="hello", store=True)
    assert oai_town.responses.retrieve(made.id).output_text == TEXT
    assert oai_town.responses.input_items.list(made.id).object == "list"
    next_turn = oai_town.responses.create(model=f"alpha/{model}", input="go on", previous_response_id=made.id)
    assert town.alpha.seen[-1].json()["previous_response_id"] == made.id
    assert oai_town.responses.cancel(next_turn.id).status == "cancelled"
    oai_town.responses.delete(made.id)


def test_rate_limits_and_request_ids_come_back(town, model, oai_town, ant_town):
    limits = {"x-ratelimit-remaining-tokens": "149", "x-request-id": "req_of_the_upstream"}
    town.alpha.script(Behaviour(headers=limits))
    raw = oai_town.chat.completions.with_raw_response.create(model=f"alpha/{model}", messages=HELLO)
    assert {name: raw.headers.get(name) for name in limits} == limits
    assert raw.request_id == "req_of_the_upstream"
    receipt = town.house.receipt()
    assert receipt.upstream_request_id == "req_of_the_upstream"
    assert raw.headers["x-freehold-receipt"] == receipt.id
    limits = {"anthropic-ratelimit-tokens-remaining": "7", "request-id": "req_of_anthropic"}
    town.claude.script(Behaviour(headers=limits))
    answer = ant_town.messages.with_raw_response.create(model=f"claude/{model}", max_tokens=9, messages=HELLO)
    assert {name: answer.headers.get(name) for name in limits} == limits


def test_beta_features_and_unknown_fields_reach_anthropic(town, model, ant_town):
    ant_town.beta.messages.create(
        model=f"claude/{model}",
        max_tokens=100,
        messages=HELLO,
        betas=["one-2026-01-01", "two-2026-02-02"],
        extra_body={"field_of_next_year": {"a": [1, 2.50, "ü"]}},
    )
    (seen,) = town.claude.seen
    assert seen.path == "/v1/messages"
    assert seen.header("anthropic-beta") == "one-2026-01-01,two-2026-02-02"
    assert b'"field_of_next_year":{"a":[1,2.5,"' in seen.body


def test_idempotency_and_organisation_headers_reach_openai(town, model, oai_town):
    client = oai_town.with_options(organization="org-1", default_headers={"idempotency-key": "once"})
    client.chat.completions.create(model=f"alpha/{model}", messages=HELLO)
    (seen,) = town.alpha.seen
    assert (seen.header("openai-organization"), seen.header("idempotency-key")) == ("org-1", "once")


def test_counting_elsewhere_is_an_estimate_and_says_so(town, model, ant_town):
    raw = ant_town.messages.with_raw_response.count_tokens(model=f"alpha/{model}", messages=HELLO)
    assert raw.parse().input_tokens > 0
    assert raw.headers["x-freehold-lossy"] == "estimated_tokens"
