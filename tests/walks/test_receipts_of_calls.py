"""One door out: every call leaves exactly one receipt, on the disk before its last byte has gone."""

from __future__ import annotations

import threading

import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour
from tests.house import CLIENT_KEY, House, provider
from tests.talk import DIALECTS, HOMES, PATHS, asking
from tests.wire import request_bytes

TEXT_TOKENS = len(DEFAULT_PIECES)
PLACES = [(client, place) for client in DIALECTS for place in ("alpha", "beta", "claude")]
ATTRIBUTION = {
    "x-freehold-project": "roof",
    "x-freehold-agent": "carpenter",
    "x-freehold-session": "s-1",
    "x-freehold-task": "t-9",
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("client", "place"), PLACES)
def test_the_receipt_lies_there_when_the_answer_is_complete(town, model, client, place, stream):
    getattr(town, place).script(Behaviour(thinking="hm hm", cached_tokens=4))
    with town.house.wire() as wire:
        answer = wire.call(
            PATHS[client], asking(client, f"{place}/{model}", stream=stream), headers=ATTRIBUTION
        )
        receipt = town.house.receipt()
    assert answer.header("x-freehold-receipt") == receipt.id
    assert (receipt.outcome, receipt.status, receipt.stream) == ("ok", 200, stream)
    assert (receipt.project, receipt.agent, receipt.session, receipt.task) == tuple(ATTRIBUTION.values())
    assert (receipt.client_dialect, receipt.provider, receipt.model) == (client, place, model)
    assert receipt.model_asked == f"{place}/{model}"
    assert receipt.usage_state == "reported"
    assert (receipt.usage.fresh_in, receipt.usage.cache_read) == (7, 4)
    assert receipt.usage.output_total == TEXT_TOKENS + 2
    assert receipt.usage.reasoning == (0 if place == "claude" else 2), "Anthropic does not tell them apart"
    assert '"' in receipt.usage_raw
    assert receipt.response_bytes == len(answer.body)
    assert len(receipt.request_commitment) == len(receipt.response_commitment) == 64
    assert 0 < receipt.first_byte_us <= receipt.total_us < 60_000_000
    (attempt,) = receipt.attempts
    assert 0 <= attempt.start_us <= receipt.total_us
    assert attempt.status == 200
    told = answer.header("x-freehold-lossy") or ""
    assert all(loss in told for loss in receipt.losses) or stream, "in a stream some losses show up later"


def test_attribution_headers_are_ours_and_go_no_further(town, model):
    with town.house.wire() as wire:
        wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers=ATTRIBUTION)
    seen = town.alpha.seen[0]
    assert [name for name, _ in seen.headers if name.startswith("x-freehold-")] == []


def test_hostile_attribution_stays_a_value(town, model):
    odd = {"x-freehold-project": '"},{"id":"x" \\ \t\xff', "x-freehold-agent": "a" * 5000}
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers=odd)
    assert answer.status in (200, 400)
    receipt = town.house.receipt()
    assert len(receipt.agent) <= 5000
    assert receipt.outcome == ("ok" if answer.status == 200 else "refused")


def test_ids_are_never_given_twice(town, model):
    with town.house.wire() as wire:
        given = [
            wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).header("x-freehold-receipt")
            for _ in range(50)
        ]
    assert len(set(given)) == 50
    assert [receipt.id for receipt in town.house.new_receipts()] == given, "in the order in which they ended"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATHS["chat"], {"model": "no-such-model", "messages": []}, 404),
        (PATHS["chat"], b"{nonsense", 400),
        (PATHS["messages"], {"model": "claude/m1", "max_tokens": "many"}, None),
        ("/v1/embeddings", {"model": "claude/m1", "input": "x"}, None),
        ("/v1/images/generations", {"prompt": "x"}, None),
    ],
)
def test_what_could_not_be_done_is_also_on_record(town, path, body, status):
    with town.house.wire() as wire:
        answer = wire.call(path, body)
    assert status is None or answer.status == status
    receipt = town.house.receipt()
    assert receipt.status == answer.status
    assert answer.header("x-freehold-receipt") == receipt.id
    if answer.status >= 400:
        assert receipt.outcome in ("refused", "error")
        assert receipt.error


def test_what_the_answer_cost_is_reckoned_or_said_to_be_unknown(town, model):
    with town.house.wire() as wire:
        wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    receipt = town.house.receipt()
    assert (receipt.cost_state, receipt.cost_nanos) == ("unknown", 0), "nobody knows what m1 costs"


def test_many_at_once_leave_one_each(town, model):
    given: list[str] = []

    def client() -> None:
        with town.house.wire() as wire:
            for number in range(20):
                dialect = DIALECTS[number % 3]
                place = HOMES[DIALECTS[(number // 3) % 3]]
                body = asking(dialect, f"{place}/{model}", stream=number % 2 == 0)
                given.append(wire.call(PATHS[dialect], body).header("x-freehold-receipt"))

    threads = [threading.Thread(target=client) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == len(set(given)) == 240
    receipts = town.house.new_receipts()
    assert sorted(receipt.id for receipt in receipts) == sorted(given)
    assert {receipt.outcome for receipt in receipts} == {"ok"}


@pytest.fixture(scope="module")
def locked(shared_town, tmp_path_factory):
    """A house that wants a key."""
    config = {"auth": {"keys": [CLIENT_KEY]}, "providers": {"alpha": provider(shared_town.alpha)}}
    house = House(tmp_path_factory.mktemp("locked"), config)
    yield house
    house.stop()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
def test_a_caller_without_the_key_is_refused_and_recorded(town, locked, dialect, headers):
    locked.new_receipts()
    with locked.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, "alpha/m1"), headers=headers)
    error = answer.json()["error"]
    assert answer.status == 401
    assert error["type"] == ("authentication_error" if dialect == "messages" else "invalid_request_error")
    receipt = locked.receipt()
    assert (receipt.outcome, receipt.status, receipt.via_key) == ("refused", 401, "")
    assert town.alpha.seen == []


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {CLIENT_KEY}"}, {"x-api-key": CLIENT_KEY}])
def test_the_key_opens_in_either_vendors_header_and_is_named_in_the_receipt(town, locked, headers):
    locked.new_receipts()
    with locked.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", "alpha/m1"), headers=headers | {"host": "elsewhere"})
    assert answer.status == 200
    receipt = locked.receipt()
    assert receipt.via_key
    assert CLIENT_KEY not in receipt.via_key
    assert CLIENT_KEY not in str(town.alpha.seen[0].headers)


def test_probes_need_no_key_and_lists_do(locked):
    with locked.wire() as wire:
        assert wire.call("/health").status == 200
        wire.send(request_bytes("/", None, method="HEAD"))
        assert wire.answer(method="HEAD").status in (200, 401)
        assert wire.call("/v1/models").status == 401
