"""Every other door of the endpoint: each reaches its upstream, and leaves its receipt."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

from freehold.testing.standin import Behaviour
from freehold.testing.standin.sundries import SOUND
from tests.talk import FORM, asking, upload
from tests.wire import request_bytes

MIB = 1 << 20


@pytest.mark.parametrize(
    ("path", "more", "proof"),
    [
        ("/v1/embeddings", {"input": ["a", "bc"]}, "embedding"),
        ("/v1/rerank", {"query": "q", "documents": ["a", "bcd"]}, "relevance_score"),
        ("/v1/moderations", {"input": "x"}, "category_scores"),
        ("/v1/images/generations", {"prompt": "x"}, "b64_json"),
        ("/v1/tokenize", {"content": "x"}, "echo"),
    ],
)
def test_json_endpoints_go_to_the_place_that_has_the_model(town, model, path, more, proof):
    with town.house.wire() as wire:
        answer = wire.call(path, {"model": f"alpha/{model}"} | more)
    assert answer.status == 200, answer.body
    assert proof.encode() in answer.body
    assert town.alpha.wait_for(1)[0].json() == {"model": model} | more
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.model, receipt.endpoint != "") == ("ok", model, True)


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "/v1/v1"])
def test_a_base_url_with_v1_too_often_or_not_at_all_leads_to_the_same_place(town, model, base):
    """OpenAI's clients want one that ends in `/v1`, Anthropic's one that does not: people mix them up."""
    ours, turn = town.house.url + base, [{"role": "user", "content": "hello"}]
    with openai.OpenAI(base_url=ours, api_key="any", max_retries=0) as client:
        said = client.chat.completions.create(model=f"alpha/{model}", messages=turn)
        with client.chat.completions.create(model=f"alpha/{model}", messages=turn, stream=True) as stream:
            assert list(stream)
        assert model in {one.id.removeprefix("alpha/") for one in client.models.list()}
    assert said.usage.total_tokens
    if base != "/v1/v1":
        with anthropic.Anthropic(base_url=ours, api_key="any", max_retries=0) as client:
            assert client.messages.create(model=f"claude/{model}", messages=turn, max_tokens=9).content
    assert {(each.endpoint, each.outcome) for each in town.house.new_receipts()} <= {
        ("chat", "ok"),
        ("messages", "ok"),
    }


def test_embedding_usage_is_in_the_receipt(town, model):
    with town.house.wire() as wire:
        wire.call("/v1/embeddings", {"model": f"alpha/{model}", "input": "x"})
    receipt = town.house.receipt()
    assert (receipt.usage_state, receipt.usage.input_total, receipt.usage.output_total) == ("reported", 11, 0)


def test_speech_is_binary_and_comes_back_untouched(town, model):
    with town.house.wire() as wire:
        answer = wire.call("/v1/audio/speech", {"model": f"alpha/{model}", "input": "x", "voice": "alloy"})
    assert (answer.header("content-type"), answer.body) == ("audio/mpeg", SOUND)


def test_count_tokens_is_asked_of_a_place_that_counts(town, model):
    with town.house.wire() as wire:
        body = {
            key: value for key, value in asking("messages", f"claude/{model}").items() if key != "max_tokens"
        }
        answer = wire.call("/v1/messages/count_tokens", body, headers={"anthropic-version": "2023-06-01"})
    assert answer.json() == {"input_tokens": 11}
    assert town.claude.wait_for(1)[0].json()["model"] == model
    assert town.house.receipt().outcome == "ok"


def test_a_stored_response_is_found_again_where_it_was_made(town, model):
    with town.house.wire() as wire:
        made = wire.call("/v1/responses", asking("responses", f"alpha/{model}")).json()["id"]
        assert wire.call(f"/v1/responses/{made}").json()["id"] == made
        assert wire.call(f"/v1/responses/{made}/input_items?limit=5").json()["object"] == "list"
        cancelled = wire.call(f"/v1/responses/{made}/cancel", b"", method="POST").json()
        assert cancelled["status"] == "cancelled"
        assert wire.call(f"/v1/responses/{made}", method="DELETE").json()["deleted"] is True
        assert wire.call("/v1/responses/resp_unknown").status == 404
        counted = wire.call("/v1/responses/input_tokens", asking("responses", f"alpha/{model}"))
        assert counted.json()["input_tokens"] == 11
    assert town.alpha.wait_for(4)[2].target == f"/v1/responses/{made}/input_items?limit=5"
    assert len(town.house.new_receipts()) == 7


@pytest.mark.parametrize("model_last", [False, True])
@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"])
def test_an_upload_arrives_as_it_was_sent_except_for_the_model_name(town, model, path, model_last):
    content = bytes(range(256)) * 40
    with town.house.wire() as wire:
        form = upload(f"alpha/{model}", content, model_last=model_last)
        answer = wire.call(path, form, headers=FORM)
    assert answer.status == 200, answer.body
    seen = town.alpha.wait_for(1)[0]
    assert seen.body == upload(model, content, model_last=model_last)
    assert seen.header("content-type") == FORM["content-type"]
    assert town.house.receipt().model == model


def test_a_big_upload_streams_through_in_bounded_memory(town, model):
    parts = upload(f"alpha/{model}", b"", model_last=False).partition(b"audio/wav\r\n\r\n")
    opening, ending = parts[0] + parts[1], parts[2]
    size = 30 * MIB
    head = request_bytes(
        "/v1/audio/transcriptions",
        b"",
        headers=FORM | {"content-length": str(len(opening) + size + len(ending))},
    )
    with town.house.wire() as wire:
        wire.call("/health")
        before = town.house.memory_bytes()
        wire.send(head + opening + bytes(2 * MIB))
        seen = town.alpha.wait_for(1)[0]
        assert seen.body_started.wait(10), "nothing goes up before everything has come"
        most = before
        for _ in range(28):
            wire.send(bytes(MIB))
            most = max(most, town.house.memory_bytes())
        assert wire.send(ending).answer().status == 200
    assert len(seen.body) == seen.received_bytes > size
    assert most - before < 16 * MIB


def test_an_upload_waits_when_the_upstream_does_not_read(town, model):
    town.alpha.script(Behaviour(hold_body="slow"))
    form = upload(f"alpha/{model}", bytes(40 * MIB))
    head = request_bytes("/v1/audio/transcriptions", b"", headers=FORM | {"content-length": str(len(form))})
    with town.house.wire() as wire:
        wire.socket.settimeout(0.5)
        before = town.house.memory_bytes()
        with pytest.raises(TimeoutError):
            wire.send(head + form)
        assert town.house.memory_bytes() - before < 16 * MIB
        town.alpha.gate("slow").open()
    town.house.wait_receipts(1)


def test_an_unknown_path_is_relayed_with_its_body_and_query(town):
    with town.house.wire() as wire:
        answer = wire.call("/v1/files/abc/content?x=1", method="GET")
        if answer.status == 200:
            assert answer.json()["path"] == "/v1/files/abc/content"
        else:  # three providers and none named: it may only say so
            assert answer.status == 404
    assert len(town.house.new_receipts()) == 1


def test_probes_are_answered_without_a_call(town):
    with town.house.wire() as wire:
        assert wire.call("/health").status == 200
        wire.send(request_bytes("/", None, method="HEAD"))
        assert wire.answer(method="HEAD").status == 200
        version = wire.call("/api/version").json()
        assert isinstance(version["version"], str)
        tags = wire.call("/api/tags").json()
        assert {"name", "model"} <= set(tags["models"][0])
        assert "smart-m0" in [entry["name"].removesuffix(":latest") for entry in tags["models"]]
    assert town.house.new_receipts() == []
    assert town.alpha.seen == []


def test_an_ollama_client_is_served(town, model):
    body = {"model": f"alpha/{model}", "messages": [{"role": "user", "content": "hello"}]}
    with town.house.wire() as wire:
        lines = [json.loads(line) for line in wire.call("/api/chat", body).body.splitlines()]
        whole = wire.call("/api/chat", body | {"stream": False}).json()
    assert "".join(line["message"]["content"] for line in lines) == Behaviour().text
    assert [line["done"] for line in lines].count(True) == 1
    assert lines[-1]["done"] is True
    assert whole["message"]["content"] == Behaviour().text
    assert whole["done"] is True
    first, second = town.house.new_receipts()
    assert first.usage == second.usage
    assert first.usage.output_total == 9
