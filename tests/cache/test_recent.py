"""Requests that came again byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from freehold.cache.answers import Answers, Ask, Hit, Said, Ticket
from freehold.cache.keys import Asked
from freehold.cache.recent import RecentBodies
from freehold.core.config_cache import CacheConfig, ExactCacheConfig


def asked(body: bytes, **changes: str | bytes) -> Asked:
    return msgspec.structs.replace(Asked(endpoint="chat", body=body, route=b"r"), **changes)


def test_the_same_bytes_of_the_same_caller_have_their_key() -> None:
    recent = RecentBodies()
    recent.remember(asked(b"one"), b"key")
    assert recent.find(asked(bytes(bytearray(b"one")))) == b"key"


def test_another_caller_place_header_or_endpoint_is_another_request() -> None:
    recent = RecentBodies()
    recent.remember(asked(b"one"), b"key")
    for other in ({"scope": b"s"}, {"route": b"q"}, {"headers": b"h"}, {"endpoint": "messages"}):
        assert recent.find(asked(b"one", **other)) is None


def test_bodies_that_only_look_alike_are_told_apart() -> None:
    recent = RecentBodies()
    tail = b"x" * 200
    recent.remember(asked(b"yes" + tail), b"key")
    assert recent.find(asked(b"no!" + tail)) is None


@given(st.lists(st.binary(max_size=40), max_size=60))
def test_never_more_bytes_than_allowed_and_never_a_wrong_key(bodies: list[bytes]) -> None:
    recent = RecentBodies(100)
    for body in bodies:
        recent.remember(asked(body), b"key of " + body)
        held = [known for known in set(bodies) if recent.find(asked(known)) is not None]
        assert sum(map(len, held)) <= 100
        assert all(recent.find(asked(known)) == b"key of " + known for known in held)


@dataclass
class _Asking:
    answers: Answers

    def look(self, body: bytes, now_ms: int, mode: str = "") -> object:
        ask = Ask(endpoint="chat", body=body, model="m", route=b"r", mode=mode)  # type: ignore[arg-type]
        return self.answers.look(ask, now_ms)


def test_a_hit_by_bytes_ends_with_the_answers_time_and_never_when_a_fresh_one_is_wanted() -> None:
    asking = _Asking(Answers(CacheConfig(exact=ExactCacheConfig(ttl_s=10.0)), salt=b"s"))
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
    ticket = asking.look(body, 0)
    assert isinstance(ticket, Ticket)
    answer = b'{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
    said = Said(status=200, headers=(), body=answer, receipt="r", deployment="d")
    assert asking.answers.keep(ticket, said, 0) == ""
    assert isinstance(asking.look(body, 9_999), Hit)
    assert isinstance(asking.look(body, 9_999, "refresh"), Ticket)
    assert isinstance(asking.look(body, 10_000), Ticket)
    assert asking.answers.clear() == 0
    assert isinstance(asking.look(body, 9_999), Ticket)
