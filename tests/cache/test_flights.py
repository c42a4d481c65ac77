"""Calls that share an answer under way, and retries that find theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.flights import Flight, Flights, Sameness
from freehold.cache.retries import Retries
from freehold.cache.stored import Header

HEADERS: tuple[Header, ...] = ((b"content-type", b"text/event-stream"),)


class Listener:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def answer_began(self, status: int, headers: Sequence[Header]) -> None:
        self.heard.append(status)

    def answer_piece(self, data: bytes) -> None:
        self.heard.append(data)

    def answer_whole(self) -> None:
        self.heard.append("whole")

    def answer_lost(self, reason: str) -> None:
        self.heard.append(reason)


def same(**fields: Any) -> Sameness:
    about = {"target": b"/v1/chat/completions", "scope": b"", "route": b"fast", "headers": b"", **fields}
    return Sameness(**about)


def test_an_equal_request_under_way_is_found() -> None:
    flights = Flights()
    flight = flights.open(b"body", same())
    assert flights.find(b"body", same()) is flight
    assert flights.find(b"BODY", same()) is None
    assert flights.find(b"body", same(scope=b"k2")) is None
    assert flights.find(b"body", same(headers=b"beta")) is None
    assert flights.may_match(b"four")
    assert not flights.may_match(b"longer")


def test_after_its_end_nobody_joins() -> None:
    flights = Flights()
    flight = flights.open(b"body", same())
    flight.whole()
    assert flights.find(b"body", same()) is None
    flights.close(flight)
    flights.close(flight)
    assert len(flights) == 0
    assert not flights.may_match(b"body")


def test_a_late_follower_gets_all_of_it() -> None:
    flight = Flight(b"", same())
    early, late = Listener(), Listener()
    flight.follow(early)
    flight.began(200, HEADERS)
    flight.piece(b"one ")
    flight.piece(b"two ")
    flight.follow(late)
    flight.piece(b"three")
    flight.whole()
    assert early.heard == [200, b"one ", b"two ", b"three", "whole"]
    assert late.heard == [200, b"one two ", b"three", "whole"]
    assert flight.recorded() == b"one two three"


def test_the_upstream_is_wanted_as_long_as_somebody_listens() -> None:
    flight, follower = Flight(b"", same()), Listener()
    flight.follow(follower)
    flight.leading = False
    assert flight.wanted
    assert not flight.leave(follower)
    assert not flight.leave(follower)


def test_a_lost_answer_is_told_to_all_once() -> None:
    flight, follower = Flight(b"", same()), Listener()
    flight.follow(follower)
    flight.lost("the upstream broke")
    flight.lost("again")
    assert follower.heard == ["the upstream broke"]


@given(st.lists(st.binary(min_size=1), max_size=8), st.integers(0, 8))
def test_whenever_it_joins_a_follower_gets_the_same_bytes(pieces: list[bytes], joins_at: int) -> None:
    flight, follower = Flight(b"", same()), Listener()
    flight.began(200, HEADERS)
    for at, piece in enumerate(pieces):
        if at == joins_at:
            flight.follow(follower)
        flight.piece(piece)
    if joins_at >= len(pieces):
        flight.follow(follower)
    assert b"".join(data for data in follower.heard if isinstance(data, bytes)) == b"".join(pieces)


# -- retries


def test_the_same_turn_again_finds_its_answer_once() -> None:
    retries, flight = Retries(window_ms=1000), Flight(b"", same())
    assert not retries.waiting("s")
    retries.left(b"key", "s", flight, "01A", 0)
    assert retries.waiting("s")
    assert retries.claim(b"other", "s", 10) is None
    assert retries.claim(b"key", "t", 10) is None
    found = retries.claim(b"key", "s", 10)
    assert found is not None
    assert (found.flight, found.receipt) == (flight, "01A")
    assert retries.claim(b"key", "s", 20) is None
    assert not retries.waiting("s")


def test_without_a_session_nothing_is_kept() -> None:
    retries = Retries()
    assert retries.left(b"key", "", Flight(b"", same()), "01A", 0) is None
    assert len(retries) == 0


def test_when_nobody_comes_the_upstream_is_to_be_stopped() -> None:
    retries, flight = Retries(window_ms=1000), Flight(b"", same())
    retries.left(b"key", "s", flight, "01A", 0)
    assert retries.due(999) == []
    assert [orphan.flight for orphan in retries.due(1000)] == [flight]
    assert retries.due(2000) == []
    assert not retries.waiting("s")


def test_too_late_is_too_late() -> None:
    retries = Retries(window_ms=1000)
    retries.left(b"key", "s", Flight(b"", same()), "01A", 0)
    assert retries.claim(b"key", "s", 1000) is None


def test_many_orphans_are_bounded() -> None:
    retries = Retries()
    for at in range(300):
        retries.left(b"%d" % at, "s", Flight(b"", same()), "01A", 0)
    assert len(retries.due(0)) == 44
    assert retries.waiting("s")
