"""Before the first byte another place may answer; the caller's own mistakes go nowhere else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from freehold.testing.standin import Behaviour
from tests.talk import PATHS, asking, error_of
from tests.wire import request_bytes


def ask(town, model: str, dialect: str = "chat", **more):
    with town.house.wire() as wire:
        return wire.call(PATHS[dialect], asking(dialect, model, **more))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "told",
    [
        Behaviour(status=408),
        Behaviour(status=409),
        Behaviour(status=429),
        Behaviour(status=500),
        Behaviour(status=502),
        Behaviour(status=503),
        Behaviour(status=529),
        Behaviour(cut="before"),
        Behaviour(cut="before", reset=True),
        Behaviour(cut="head"),
        Behaviour(raw=b"SSH-2.0-OpenSSH_9.9\r\n"),
    ],
    ids=lambda told: f"{told.cut or told.status}{'-reset' * told.reset}{'-garbage' * bool(told.raw)}",
)
def test_another_place_answers_when_the_first_cannot(town, model, told, stream):
    town.alpha.by_model[model] = told
    answer = ask(town, f"smart-{model}", stream=stream)
    assert answer.status == 200
    assert answer.header("x-freehold-deployment") == f"beta/{model}"
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.deployment) == ("ok", f"beta/{model}")
    assert {attempt.deployment for attempt in receipt.attempts[:-1]} == {f"alpha/{model}"}
    assert receipt.attempts[0].status == (told.status if told.status != 200 else 0)
    assert receipt.attempts[0].error
    assert receipt.attempts[-1].deployment == f"beta/{model}"
    assert receipt.attempts[-1].status == 200


def test_another_dialect_may_stand_in(town, model):
    town.claude.by_model[model] = Behaviour(status=529)
    answer = ask(town, f"cross-{model}", dialect="messages")
    assert answer.status == 200
    assert answer.json()["content"][0]["text"] == Behaviour().text
    assert answer.json()["model"] == f"cross-{model}"
    receipt = town.house.receipt()
    assert (receipt.client_dialect, receipt.upstream_dialect) == ("messages", "chat")


def test_a_refused_connection_is_tried_elsewhere_and_the_place_is_found_again_later(town, model):
    town.alpha.refuse()
    try:
        assert ask(town, f"smart-{model}").header("x-freehold-deployment") == f"beta/{model}"
    finally:
        town.alpha.accept()
    other = town.model()
    assert ask(town, f"smart-{other}").header("x-freehold-deployment") == f"alpha/{other}"


def test_a_connection_that_died_while_idle_is_not_the_clients_problem(town, model):
    """Keep-alive race: the upstream closes after its answer; the next call must not see that."""
    for _ in range(5):
        assert ask(town, f"alpha/{model}").status == 200
        town.alpha.refuse()
        town.alpha.accept()
    assert all(len(receipt.attempts) <= 2 for receipt in town.house.new_receipts())


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_mistake_is_told_and_tried_nowhere_else(town, model, status):
    body = b'{"error":{"message":"your fault","type":"t","param":"p","code":"c"},"extra":1}'
    town.alpha.by_model[model] = Behaviour(status=status, body=body)
    answer = ask(town, f"smart-{model}")
    assert (answer.status, answer.body) == (status, body)
    assert town.beta.seen == []
    assert len(town.alpha.seen) == 1
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.status, len(receipt.attempts)) == ("error", status, 1)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_bad_key_an_empty_account_or_a_missing_model_says_nothing_about_the_next_place(town, model, status):
    town.alpha.by_model[model] = Behaviour(status=status)
    assert ask(town, f"smart-{model}").header("x-freehold-deployment") == f"beta/{model}"
    assert len(town.alpha.seen) == 1


def test_an_empty_account_is_not_asked_twice(town, model):
    code = b'"type":"insufficient_quota","param":null,"code":"insufficient_quota"'
    body = b'{"error":{"message":"no money",' + code + b"}}"
    town.alpha.by_model[model] = Behaviour(status=429, body=body)
    answer = ask(town, f"alpha/{model}")
    assert (answer.status, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert len(town.alpha.seen) == 1


def test_retry_after_is_honoured_when_there_is_no_other_place(town, model):
    town.alpha.script(Behaviour(status=429, headers={"retry-after": "1"}))
    began = time.monotonic()
    answer = ask(town, f"alpha/{model}")
    assert answer.status == 200
    assert 0.9 < time.monotonic() - began < 3
    assert [attempt.status for attempt in town.house.receipt().attempts] == [429, 200]


def test_a_long_retry_after_is_handed_to_the_caller_at_once(town, model):
    town.alpha.by_model[model] = Behaviour(status=429, headers={"retry-after": "3600"})
    began = time.monotonic()
    answer = ask(town, f"alpha/{model}")
    assert time.monotonic() - began < 2
    assert (answer.status, answer.header("retry-after")) == (429, "3600")
    assert len(town.alpha.seen) == 1
    assert answer.header("x-ratelimit-remaining-requests") == "499"


def test_retry_after_in_milliseconds_and_as_a_date_is_understood(town, model):
    for headers, at_least_s, at_most_s in (
        ({"retry-after-ms": "400", "retry-after": "60"}, 0.4, 2),
        ({"retry-after": "soon"}, 0.5, 5),
    ):
        other = town.model()
        began = time.monotonic()
        if headers["retry-after"] == "soon":  # from now on, cut to a whole second
            headers["retry-after"] = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
        town.alpha.script(Behaviour(status=429, headers=headers))
        assert ask(town, f"alpha/{other}").status == 200
        assert at_least_s <= time.monotonic() - began < at_most_s


@pytest.mark.parametrize("value", ["soon", "-1", "1e9", "", "NaN", "inf", "\xb2"])
def test_a_retry_after_that_makes_no_sense_does_no_harm(town, model, value):
    town.alpha.by_model[model] = Behaviour(status=503, headers={"retry-after": value})
    began = time.monotonic()
    assert ask(town, f"alpha/{model}").status == 503
    assert time.monotonic() - began < 3


def test_a_place_that_says_do_not_retry_is_not_asked_again(town, model):
    town.alpha.by_model[model] = Behaviour(status=500, headers={"x-should-retry": "false"})
    assert ask(town, f"alpha/{model}").status == 500
    assert len(town.alpha.seen) == 1


def test_when_every_place_fails_the_last_answer_tells_and_all_attempts_are_on_the_receipt(town, model):
    town.alpha.by_model[model] = Behaviour(status=500)
    town.beta.by_model[model] = Behaviour(status=503)
    answer = ask(town, f"smart-{model}")
    assert answer.status in (500, 502, 503)
    error_of("chat", answer)
    receipt = town.house.receipt()
    assert receipt.outcome == "error"
    assert {attempt.deployment for attempt in receipt.attempts} == {f"alpha/{model}", f"beta/{model}"}
    assert len(receipt.attempts) <= 6, "bounded"


def test_a_place_that_keeps_failing_is_left_alone_for_a_while(town, model):
    town.alpha.by_model[model] = Behaviour(status=500)
    for _ in range(12):
        assert ask(town, f"smart-{model}").status == 200
    asked = len(town.alpha.seen)
    assert ask(town, f"smart-{model}").status == 200
    assert len(town.alpha.seen) == asked, "the circuit breaker did not open"
    assert asked < 12
    receipt = town.house.new_receipts()[-1]
    assert receipt.deployment == f"beta/{model}"
    other = town.model()
    assert ask(town, f"smart-{other}").header("x-freehold-deployment") == f"alpha/{other}", (
        "only that one place"
    )


def test_a_failing_place_without_another_is_told_soon(town, model):
    """An open circuit must not become a long silence: the caller has its own patience and fallbacks."""
    town.alpha.by_model[model] = Behaviour(status=500)
    for _ in range(4):
        began = time.monotonic()
        assert ask(town, f"alpha/{model}").status in (500, 503)
        assert time.monotonic() - began < 3


def test_nothing_is_tried_elsewhere_after_the_first_byte(town, model):
    town.alpha.script(Behaviour(cut="events", cut_after=2))
    with town.house.wire() as wire:
        events = list(
            wire.events(
                wire.send(request_bytes(PATHS["chat"], asking("chat", f"smart-{model}", stream=True))).head()
            )
        )
    assert len([event for event in events if b"role" in event]) <= 1
    assert town.beta.seen == []


@pytest.mark.parametrize("told", [Behaviour(raw=b"HTTP/1.1 200 OK\r\n\r\n"), Behaviour(framing="close")])
def test_an_answer_that_ends_with_its_connection_is_whole(town, model, told):
    town.alpha.script(told)
    answer = ask(town, f"alpha/{model}")
    assert answer.status == 200
    assert town.house.receipt().outcome == "ok"


def test_a_body_is_sent_again_whole_to_the_next_place(town, model):
    town.alpha.by_model[model] = Behaviour(early=True, status=503)
    big = "x" * 2_000_000
    assert ask(town, f"smart-{model}", text=big).status == 200
    assert town.beta.wait_for(1)[0].json()["messages"][0]["content"] == big
