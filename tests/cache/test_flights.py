"""Calls that share an answer under way, and retries that find theirs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.flights import Flight, Flights
from freehold.cache.retries import Retries
from freehold.cache.stored import Header, Stored

HEADERS: tuple[Header, ...] = ((b"content-type", b"text/event-stream"),)


class Listener:
    """Reads a record as a call does: what is new when it is told."""

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.read: list[bytes] = []
        self.ends: list[str] = []
        flight.follow(self)
        self.more()

    def more(self) -> None:
        self.read += self.flight.pieces[len(self.read) :]

    def ended(self) -> None:
        self.more()
        self.ends.append(self.flight.ending)


class Lead:
    answering = "alpha/m"
    serving = ""

    def __init__(self) -> None:
        self.alone = 0

    def replaced(self) -> None:
        """It has no client."""

    def nobody_waits(self) -> None:
        self.alone += 1


def flight_of(body: bytes = b"", *about: object) -> Flight:
    return Flight(body, about, Lead(), "r1", [])


def stored(flight: Flight) -> Stored:
    return Stored(
        form="stream",
        status=200,
        headers=(),
        body=b"".join(flight.pieces),
        receipt="r1",
        deployment="alpha/m",
        stored_ms=0,
        expires_ms=0,
    )


def test_an_equal_request_under_way_is_found() -> None:
    flights, flight, near = Flights(), flight_of(b"body", "me"), flight_of(b"BODY", "me")
    flights.open(near)
    flights.open(flight)
    assert list(flights.alike(b"body", ("me",))) == [flight, near], "the very same bytes come first"
    assert list(flights.alike(b"body", ("you",))) == []
    assert flights.may_match(b"four")
    assert not flights.may_match(b"longer")


def test_after_its_end_nobody_joins() -> None:
    flights, flight = Flights(), flight_of(b"body")
    flights.open(flight)
    flight.whole(stored(flight))
    assert list(flights.alike(b"body", ())) == []
    flights.close(flight)
    flights.close(flight)
    assert len(flights) == 0
    assert not flights.may_match(b"body")


def test_the_leader_is_told_when_nobody_reads_any_more() -> None:
    flight = flight_of()
    lead, first, second = flight.leader, Listener(flight), Listener(flight)
    assert isinstance(lead, Lead)
    flight.leave(first)
    flight.leading = False
    assert lead.alone == 0
    flight.leave(second)
    flight.leave(second)
    assert lead.alone == 1


def test_a_lost_answer_is_told_to_all_once() -> None:
    flight = flight_of()
    follower = Listener(flight)
    flight.lost("the upstream broke")
    flight.lost("again")
    flight.whole(stored(flight))
    assert follower.ends == ["lost"]
    assert flight.reason == "the upstream broke"


def test_only_the_first_head_counts() -> None:
    flight = flight_of()
    flight.began(200, HEADERS)
    flight.began(500, ())
    assert (flight.status, flight.headers) == (200, HEADERS)


@given(st.lists(st.binary(min_size=1), max_size=8), st.integers(0, 8))
def test_whenever_it_joins_a_follower_gets_the_same_bytes(pieces: list[bytes], joins_at: int) -> None:
    flight = flight_of()
    followers: list[Listener] = []
    for at, piece in enumerate(pieces):
        if at == joins_at:
            followers.append(Listener(flight))
        flight.pieces.append(piece)
        flight.grown()
    if joins_at >= len(pieces):
        followers.append(Listener(flight))
    flight.whole(stored(flight))
    assert [follower.read for follower in followers] == [pieces]
    assert [follower.ends for follower in followers] == [["whole"]]


# -- retries


def test_the_same_turn_again_finds_its_answer_once() -> None:
    retries, flight = Retries(window_ms=1000), flight_of()
    assert not retries.waiting("s")
    retries.left(b"key", "s", flight, 0)
    assert retries.waiting("s")
    assert retries.claim(b"other", "s", 10) is None
    assert retries.claim(b"key", "t", 10) is None
    found = retries.claim(b"key", "s", 10)
    assert found is not None
    assert found.flight is flight
    assert retries.claim(b"key", "s", 20) is None
    assert not retries.waiting("s")


def test_without_a_session_nothing_is_kept() -> None:
    retries = Retries()
    assert retries.left(b"key", "", flight_of(), 0) is None
    assert len(retries) == 0


def test_when_nobody_comes_the_upstream_is_to_be_stopped() -> None:
    retries, flight = Retries(window_ms=1000), flight_of()
    retries.left(b"key", "s", flight, 0)
    assert retries.due(999) == []
    assert [orphan.flight for orphan in retries.due(1000)] == [flight]
    assert retries.due(2000) == []
    assert not retries.waiting("s")


def test_too_late_is_too_late() -> None:
    retries = Retries(window_ms=1000)
    retries.left(b"key", "s", flight_of(), 0)
    assert retries.claim(b"key", "s", 1000) is None


def test_many_orphans_are_bounded() -> None:
    retries = Retries()
    for at in range(300):
        retries.left(b"%d" % at, "s", flight_of(), 0)
    assert len(retries.due(0)) == 44
    assert retries.waiting("s")
