"""One upstream for calls that are the same, and none for a turn whose answer is being paid already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.standin import Behaviour, Standin
from tests.house import MODELS, House
from tests.talk import PATHS, asking
from tests.walks.priced import ask, house_with
from tests.wire import request_bytes

SURE = {"temperature": 0}
HERE = {"x-freehold-session": "s1"}


@pytest.fixture
def upstream() -> Iterator[Standin]:
    with Standin(MODELS[:4]) as standin:
        yield standin


@pytest.fixture
def house(tmp_path: Path, upstream: Standin) -> Iterator[House]:
    house = house_with(tmp_path, upstream)
    yield house
    house.stop()


def request(dialect: str = "chat", headers: dict[str, str] | None = None, **more: Any) -> bytes:
    return request_bytes(PATHS[dialect], asking(dialect, "alpha/m0", **more), headers=headers or {})


def catch_up(house: House) -> None:
    """What clients did before has been noticed when these are answered."""
    with house.wire() as later:
        for _ in range(2):
            assert later.call("/health").status == 200


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_two_callers_of_one_stream_pay_once(house: House, upstream: Standin, dialect: str) -> None:
    upstream.by_model["m0"] = Behaviour(pieces=("one", "two", "three"), hold_events="g")
    with house.wire() as first, house.wire() as late:
        first.send(request(dialect, stream=True, **SURE))
        upstream.wait_for(1)
        upstream.gate("g").release(2)
        head = first.head()
        beginning = next(first.events(head))
        late.send(request(dialect, stream=True, **SURE))
        told = late.head()
        assert told.header("x-freehold-cache") == "shared"
        assert next(late.events(told)).strip()
        upstream.gate("g").open()
        assert (beginning + b"".join(first.events(head))).endswith(b"".join(late.events(told))[-60:])
    assert len(upstream.seen) == 1
    receipts = {receipt.cached: receipt for receipt in house.wait_receipts(2)}
    paid, free = receipts[""], receipts["shared"]
    assert paid.cost_nanos > 0 == free.cost_nanos
    assert free.saved_nanos == paid.cost_nanos
    assert (free.cost_state, free.usage, free.deployment) == ("free", paid.usage, paid.deployment)


def test_claude_code_posts_a_cut_turn_again_and_pays_once(house: House, upstream: Standin) -> None:
    upstream.by_model["m0"] = Behaviour(pieces=("one ", "two ", "three"), hold_events="g")
    session = {"x-claude-code-session-id": "c1"}
    with house.wire() as first:
        first.send(request("messages", session, stream=True))
        upstream.wait_for(1)
        upstream.gate("g").release(2)
        head = first.head()
        assert next(first.events(head))
    with house.wire() as again:
        again.send(request("messages", session))
        catch_up(house)
        upstream.gate("g").open()
        answer = again.answer()
    assert (answer.status, answer.header("x-freehold-cache")) == (200, "resumed")
    assert json.loads(answer.body)["content"][0]["text"] == "one two three"
    assert len(upstream.seen) == 1
    receipts = {receipt.cached: receipt for receipt in house.wait_receipts(2)}
    cut, resumed = receipts[""], receipts["resumed"]
    assert cut.outcome in ("cancelled", "ok"), "it went out before the client was seen to be gone"
    assert cut.usage_state == "reported"
    assert (resumed.outcome, resumed.cost_nanos, resumed.saved_nanos) == ("ok", 0, cut.cost_nanos)
    assert cut.cost_nanos > 0


def test_another_turn_of_the_session_is_a_call_of_its_own(house: House, upstream: Standin) -> None:
    upstream.by_model["m0"] = Behaviour(hold_events="g")
    with house.wire() as first:
        first.send(request(headers=HERE, stream=True))
        upstream.wait_for(1)
        upstream.gate("g").release(2)
        assert next(first.events(first.head()))
    upstream.gate("g").open()
    upstream.by_model["m0"] = Behaviour()
    assert ask(house, text="something else", headers=HERE).header("x-freehold-cache") is None
    assert len(upstream.seen) == 2


def test_who_does_not_want_it_gets_it_not(tmp_path: Path, upstream: Standin) -> None:
    house = house_with(tmp_path, upstream, routing={"coalesce": False})
    upstream.by_model["m0"] = Behaviour(hold_head="g")
    try:
        with house.wire() as first, house.wire() as second:
            for wire in (first, second):
                wire.send(request(**SURE))
            upstream.wait_for(2)
            upstream.gate("g").open()
            assert [wire.answer().header("x-freehold-cache") for wire in (first, second)] == [None, None]
    finally:
        house.stop()


def test_many_equal_embeddings_are_made_once(house: House, upstream: Standin) -> None:
    upstream.by_model["m0"] = Behaviour(hold_head="g")
    body = {"model": "alpha/m0", "input": "the same text"}
    wires = [house.wire() for _ in range(5)]
    try:
        for wire in wires:
            wire.send(request_bytes("/v1/embeddings", body))
        catch_up(house)
        upstream.wait_for(1)
        upstream.gate("g").open()
        bodies = {wire.answer().body for wire in wires}
    finally:
        for wire in wires:
            wire.close()
    assert len(bodies) == 1
    assert len(upstream.seen) == 1
