"""Who follows another's call hears all of it, whatever becomes of the leader or of the configuration."""

from __future__ import annotations

import json

from msgspec.structs import replace

from freehold.core.servers import ServerState
from freehold.gateway.limits import Limits
from freehold.gateway.sharing import Sharing
from tests.gateway.calls import JSON, STREAM, asking, turns, until
from tests.gateway.rooms import House, Sent
from tests.gateway.test_money import Purse, house_with
from tests.gateway.test_sharing import Client, begin, go_on, sharing


def two_in_one_stream(house: House) -> tuple[Client, Client, Sent]:
    """Both have the beginning of it."""
    first, second = Client(house), Client(house)
    first.ask(stream=True)
    second.ask(stream=True)
    (sent,) = house.upstreams.sent
    begin(sent, STREAM[0])
    assert STREAM[0] in second.written
    return first, second, sent


async def test_a_follower_of_mere_signs_of_life_is_told_the_end_in_the_same_words() -> None:
    async with House(limits=Limits(first_sign_s=0.0, sign_of_life_s=60.0)) as house:
        house.gateway.sharing = Sharing()
        first, second = Client(house), Client(house)
        first.ask(model="local", stream=True)
        second.ask(model="local", stream=True)
        await until(lambda: bool(first.written and second.written))
        house.servers.become(ServerState.FAILED)
        await turns()
        assert b"model server 'local' has failed" in first.answer[2]
        assert second.transport.ended != "abort"
        assert b"model server 'local' has failed" in second.answer[2]


async def test_a_leader_that_leaves_after_sharing_was_switched_off_takes_nobody_with_it() -> None:
    async with sharing() as house:
        first, second, sent = two_in_one_stream(house)
        house.gateway.use_parts(replace(house.parts, share=False))
        first.leave()
        assert (sent.stage, second.transport.ended) == ("body", None)
        go_on(sent, *STREAM[1:])
        assert second.answer[2].endswith(STREAM[-1])


async def test_when_all_have_left_after_sharing_was_switched_off_the_upstream_is_stopped() -> None:
    async with sharing() as house:
        first, second, sent = two_in_one_stream(house)
        first.leave()
        house.gateway.use_parts(replace(house.parts, share=False))
        second.leave()
        await turns()
        assert sent.stage == "abandoned"


async def test_a_follower_that_half_closes_gets_a_clean_stream() -> None:
    async with sharing() as house:
        first, second, sent = two_in_one_stream(house)
        second.connection.eof_received()
        go_on(sent, *STREAM[1:])
        await turns()
        assert second.answer[2].replace(b": \n\n", b"") == first.answer[2]


async def test_a_follower_that_asks_for_itself_gets_the_money_that_the_first_gave_back() -> None:
    async with house_with(Purse(1.0)) as house:
        house.gateway.sharing = Sharing()
        body = {**asking("chat", "alpha/m", stream=False), "temperature": 0, "max_completion_tokens": None}
        del body["max_tokens"]
        first, second = Client(house), Client(house)
        for client in (first, second):
            client.post(json.dumps(body).encode())
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(501, JSON)
        sent.say(b'{"error":{"message":"no"}}')
        sent.complete()
        await turns()
        limits = [json.loads(one.body)["max_tokens"] for one in house.upstreams.sent]
        assert limits == [1000, 1000]
