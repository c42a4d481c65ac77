"""Every failure in the caller's own dialect, with its exact envelope, status and headers."""

from __future__ import annotations

import pytest

from freehold.testing.standin import Behaviour
from tests.talk import DIALECTS, HOMES, PATHS, asking, error_of
from tests.wire import request_bytes

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
FOREIGN = {"chat": "claude", "messages": "alpha", "responses": "claude"}
"""A place that speaks another dialect."""


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", ANTHROPIC_TYPES)
def test_the_same_dialects_error_comes_back_untouched(town, model, dialect, status):
    place = HOMES[dialect]
    body = b'{"type":"error", "error":{"type":"odd_error","message":"m","x":1},"request_id":"r"}'
    getattr(town, place).by_model[model] = Behaviour(status=status, body=body, headers={"retry-after": "77"})
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    told = 503 if status == 529 and dialect != "messages" else status  # 529 is Anthropic's own word
    assert (answer.status, answer.body) == (told, body)
    assert answer.header("retry-after") == "77"
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.status, receipt.attempts[0].status) == ("error", told, status)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", ANTHROPIC_TYPES)
def test_another_dialects_error_is_translated(town, model, dialect, status):
    place = FOREIGN[dialect]
    getattr(town, place).by_model[model] = Behaviour(status=status, headers={"retry-after": "77"})
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    error = error_of(dialect, answer)
    assert f"told to answer {status}" in error["message"]
    if dialect == "messages":
        assert answer.status == status
        assert error["type"] == ANTHROPIC_TYPES[status]
        assert answer.header("request-id")
    else:
        assert answer.status == (503 if status == 529 else status)
    assert answer.header("retry-after") == "77"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("place", ["alpha", "claude"])
def test_a_failed_call_can_be_taken_to_the_providers_support(town, model, dialect, place):
    """Who failed, where, and under which name the provider knows the call."""
    getattr(town, place).by_model[model] = Behaviour(status=400)
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    assert answer.header("x-freehold-source") == "upstream"
    assert answer.header("x-freehold-deployment") == f"{place}/{model}"
    assert town.house.receipt().upstream_request_id == "req_standin1"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_our_own_refusal_says_that_it_is_ours(town, dialect):
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], b"{")
    assert answer.header("x-freehold-source") == "freehold"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_provider_that_refuses_our_key_is_not_the_callers_fault(town, model, dialect):
    place = HOMES[dialect]
    getattr(town, place).by_model[model] = Behaviour(status=401)
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    assert answer.status in (401, 502)
    assert b"secret" not in answer.body
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.attempts[0].status) == ("error", 401)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("place", ["alpha", "claude"])
def test_garbage_instead_of_json_is_the_upstreams_fault(town, model, dialect, place):
    getattr(town, place).script(Behaviour(body=b"<html>oops</html>", headers={"content-type": "text/html"}))
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    if place == HOMES[dialect]:
        assert (answer.status, answer.body) == (200, b"<html>oops</html>"), "same dialect: as it came"
    else:
        assert answer.status == 502
        assert error_of(dialect, answer)["message"]
        assert town.house.receipt().outcome == "error"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[1]", "object"),
        (b'{"model": 7}', "model"),
        (b'\xff\xfe{"model": "a"}', "JSON"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_a_reason(town, dialect, body, wanted):
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], body)
        error = error_of(dialect, answer)
        assert (answer.status, error["type"]) == (400, "invalid_request_error")
        assert wanted.lower() in error["message"].lower()
        assert wire.call("/health").status == 200
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.status, receipt.attempts) == ("refused", 400, ())


def test_deep_nesting_neither_crashes_nor_hangs(town, model):
    bomb = b'{"model":"alpha/%s","messages":%s%s}' % (model.encode(), b"[" * 100_000, b"]" * 100_000)
    with town.house.wire() as wire:
        assert wire.call(PATHS["chat"], bomb).status in (200, 400)
        assert wire.call(PATHS["messages"], bomb).status == 400
        assert wire.call("/health").status == 200
    assert len(town.house.new_receipts()) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nobody_there_is_told_as_a_gateway_error(town, model, dialect):
    place = HOMES[dialect]
    upstream = getattr(town, place)
    upstream.refuse()
    try:
        with town.house.wire() as wire:
            answer = wire.call(PATHS[dialect], asking(dialect, f"{place}/{model}"))
    finally:
        upstream.accept()
    assert answer.status in (502, 503, 529)
    assert place in error_of(dialect, answer)["message"], "the message names the place that failed"
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.attempts[0].status) == ("error", 0)


@pytest.mark.parametrize("dialect", ["chat", "completions", "messages"])
@pytest.mark.parametrize("body", [b'{"messages": []}', b'{"model": ""}', b'{"model": null}'])
def test_a_call_must_name_its_model(town, dialect, body):
    """Not so for responses, moderations and images, where OpenAI makes the model optional."""
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], body)
    assert answer.status == 400
    assert "model" in error_of(dialect, answer)["message"]
    assert town.house.receipt().outcome == "refused"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/moderations", "/v1/images/generations"])
def test_a_call_without_a_model_goes_untouched_to_the_default_provider_where_that_is_allowed(town, path):
    with town.house.wire() as wire:
        answer = wire.call(path, b'{ "input":"x","prompt":"y" }')
    assert answer.header("x-freehold-deployment").startswith("alpha")
    assert town.alpha.seen[0].body == b'{ "input":"x","prompt":"y" }'


@pytest.mark.parametrize("path", [PATHS["completions"], PATHS["messages"], PATHS["responses"]])
def test_the_wrong_method_is_told_which_is_right(town, path):
    with town.house.wire() as wire:
        answer = wire.call(path, method="GET")
        assert answer.status == 405
        assert answer.header("allow") == "POST"
        assert answer.json()["error"]["message"]
        assert wire.call("/health").status == 200


def test_an_unknown_path_is_not_found(town):
    with town.house.wire() as wire:
        answer = wire.call("/v2/nothing")
        assert answer.status == 404
        answer = wire.call("/nothing", {"model": "x"})
        assert answer.status == 404


def test_head_of_an_error_has_no_body(town):
    with town.house.wire() as wire:
        wire.send(request_bytes("/nothing", None, method="HEAD"))
        assert wire.answer(method="HEAD").status == 404
        assert wire.call("/health").status == 200
