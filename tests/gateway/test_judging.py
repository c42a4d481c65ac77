"""Whole answers that are held: checked, or held against those of a second place. Whatever happens in between,
every slot is given back once, and one receipt is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from freehold.core.catalog import Catalog, Deployment
from freehold.core.servers import LeaseAsk, ServerSpec, ServerState
from freehold.receipts.entries import Receipt
from freehold.routing.jury import Jury
from freehold.routing.router import Router
from freehold.routing.validating import Verdict
from freehold.routing.world import Check, Place, Rates, RoutingRules
from freehold.supervisor.slots import Slots
from tests.gateway.calls import EVENTS, JSON, PATHS, WHOLE, event, turns, until
from tests.gateway.rooms import CATALOG, House, Sent

LOCAL = [Deployment(name=name, model_id=name, server=name) for name in ("qwen", "glm")]
DEAR = CATALOG.deployments["alpha/m"]
PLACES = [
    *(Place(deployment=one, tier="local", rates=Rates(), model=one.name) for one in LOCAL),
    Place(deployment=DEAR, tier="premium", rates=Rates(fresh_in=10**9, out=10**9), model="m"),
]
SORRY = "I'm sorry, but I can't help with that."


class Validators:
    """Says what a test wants, when it wants."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.ended = 0

    async def check(self, check: Check, document: bytes) -> Verdict:
        self.seen.append(json.loads(document))
        try:
            return await self.verdict
        finally:
            self.ended += 1


def judging(*, checks: bool = False) -> House:
    house = House()
    catalog = Catalog(
        providers=CATALOG.providers, deployments={one.name: one for one in (*LOCAL, DEAR)}, aliases={}
    )
    house.gateway.use_catalog(catalog)
    for one in LOCAL:
        house.servers.states[one.name] = ServerState.READY
        house.servers.slots[one.name] = Slots(ServerSpec(name=one.name, slots=1, max_queue=8))
    router = house.gateway.router = Router()
    rules = RoutingRules(
        tasks={"maths": "local"}, explore=0.0, hold_streams=True, sticky_s=0.0, second_nanos=0
    )
    check = {"maths": Check(command=("check",))}
    more = RoutingRules(
        **{name: getattr(rules, name) for name in rules.__struct_fields__}
        | ({"checks": check} if checks else {"agree": frozenset(["maths"])})
    )
    router.use(more, PLACES)
    router.jury = Jury()
    if checks:
        house.gateway.validators = Validators()
    return house


def ask(house: House, *, stream: bool = False) -> None:
    turn = [{"role": "user", "content": "What is 2 + 2?"}]
    body = {"model": "auto", "messages": turn, "max_tokens": 9, "stream": stream}
    house.ask(PATHS["chat"], body, x_freehold_task="maths")


def newest(house: House) -> Sent:
    sent = house.upstreams.sent[-1]
    if sent.stage == "dialling":
        sent.connect()
    return sent


def say(sent: Sent, text: str, *, stream: bool) -> None:
    """All of an answer, but for its end."""
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        sent.begin(200, JSON)
        sent.say(json.dumps(WHOLE | {"choices": [choice]}).encode())
        return
    sent.begin(200, EVENTS)
    for piece in (
        event(choices=[{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]),
        event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        event(choices=[], usage=WHOLE["usage"]),
        b"data: [DONE]\n\n",
    ):
        sent.say(piece)
        sent.flush()


def serve(sent: Sent, text: str, *, stream: bool) -> None:
    say(sent, text, stream=stream)
    sent.complete()


@asynccontextmanager
async def being_checked(*, stream: bool) -> AsyncGenerator[tuple[House, Validators]]:
    """A whole answer that lies with its validator."""
    async with judging(checks=True) as house:
        validators = house.gateway.validators
        assert isinstance(validators, Validators)
        ask(house, stream=stream)
        serve(newest(house), "4", stream=stream)
        await until(lambda: bool(validators.seen))
        yield house, validators


def over(house: House) -> Receipt:
    """The one receipt; nothing is left of the call."""
    assert not house.gateway.active
    assert not house.servers.in_flight
    (receipt,) = house.ledger.receipts
    return receipt


@pytest.mark.parametrize("stream", [False, True])
async def test_two_servers_that_agree(stream: bool) -> None:
    async with judging() as house:
        ask(house, stream=stream)
        serve(newest(house), "4", stream=stream)
        assert house.written == b""
        assert [sent.origin.port for sent in house.upstreams.sent] == [7, 7]
        serve(newest(house), "4", stream=stream)
        await turns()
        receipt = over(house)
        status, headers, body = house.answer
    assert (status, headers["x-freehold-deployment"]) == (200, "qwen")
    assert b'"4"' in body
    assert [one.deployment for one in receipt.attempts] == ["glm", "qwen"]
    assert (receipt.server, receipt.usage_state) == ("qwen", "reported")
    assert receipt.usage.output_total == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_without_a_second_model_to_compare_it_with_says_so(stream: bool) -> None:
    async with judging() as house:
        house.servers.states["glm"] = ServerState.STOPPED
        ask(house, stream=stream)
        serve(newest(house), "4", stream=stream)
        await turns()
        receipt = over(house)
    assert receipt.deployment == "qwen"
    assert receipt.route.count("not compared: no other local model is loaded and free") == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("second", ["5", SORRY, "", "refused", "broken", "cut"])
@pytest.mark.parametrize("leaves", [0, 1, 2, 3, 4])
async def test_whatever_the_second_does_and_whenever_the_client_leaves(
    stream: bool, second: str, leaves: int
) -> None:
    """`leaves`: after so many steps; 4: never."""

    async with judging() as house:

        def stays(step: int) -> bool:
            if leaves == step:
                house.leave()
            return leaves > step

        ask(house, stream=stream)
        if stays(0):
            serve(newest(house), "4", stream=stream)
        if stays(1):
            begin_second(newest(house), second, stream=stream)
        if stays(2):
            await end_second(house, second)
        await turns()
        if stays(3) and second == "5":
            serve(newest(house), "4", stream=stream)
        await until(lambda: not house.gateway.active)
        receipt = over(house)
    if leaves < 4:
        assert receipt.outcome in ("cancelled", "ok")
        return
    assert (receipt.outcome, receipt.status) == ("ok", 200)
    assert receipt.deployment == ("alpha/m" if second == "5" else "qwen")
    assert len(house.upstreams.sent) == (3 if second == "5" else 2), "nobody is asked again to compare"


def begin_second(sent: Sent, second: str, *, stream: bool) -> None:
    if second == "refused":
        sent.begin(400, JSON)
        sent.say(b'{"error": {"message": "no", "type": "invalid_request_error"}}')
    elif second == "cut":
        sent.begin(200, EVENTS if stream else JSON)
        sent.say(b'data: {"cho' if stream else b'{"cho')
    elif second != "broken":
        say(sent, second, stream=stream)


async def end_second(house: House, second: str) -> None:
    if second not in ("broken", "cut"):
        newest(house).complete()
        return
    while house.gateway.active:  # as often as it is tried
        for sent in house.upstreams.open:
            sent.fail()
        await asyncio.sleep(0)


async def test_a_model_that_is_not_loaded_or_busy_is_not_asked_to_compare() -> None:
    for hindered in (ServerState.STOPPED, ServerState.READY):
        async with judging() as house:
            house.servers.states["glm"] = hindered
            if hindered is ServerState.READY:
                taken = house.servers.lease("glm", LeaseAsk("other", "somebody", b"", 50))
                assert taken is not None
            ask(house)
            serve(newest(house), "4", stream=False)
            await turns()
            assert house.answer[1]["x-freehold-deployment"] == "qwen"
            assert len(house.upstreams.sent) == 1
            assert house.servers.asked == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("good", [True, False, None])
async def test_the_slot_is_free_while_the_answer_is_checked(stream: bool, good: bool | None) -> None:
    async with being_checked(stream=stream) as (house, validators):
        assert not house.servers.in_flight
        assert house.written == b""
        validators.verdict.set_result(Verdict(good, "as it is"))
        await until(lambda: len(house.upstreams.sent) == 2 if good is False else bool(house.written))
        if good is False:
            serve(newest(house), "four", stream=stream)
        await turns()
        receipt = over(house)
    assert receipt.deployment == ("alpha/m" if good is False else "qwen")
    assert receipt.outcome == "ok"


async def test_a_stream_that_is_whole_before_its_server_breaks_off_is_checked() -> None:
    async with judging(checks=True) as house:
        validators = house.gateway.validators
        assert isinstance(validators, Validators)
        ask(house, stream=True)
        sent = newest(house)
        say(sent, "4", stream=True)
        sent.fail()
        await until(lambda: bool(validators.seen))
        validators.verdict.set_result(Verdict(True))
        await until(lambda: not house.gateway.active)
        assert (over(house).outcome, validators.seen[0]["answer"]) == ("ok", "4")


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_while_it_is_checked_ends_the_check_and_pays(stream: bool) -> None:
    async with being_checked(stream=stream) as (house, validators):
        house.leave()
        await until(lambda: validators.ended == 1)
        receipt = over(house)
    assert receipt.outcome == "cancelled"
    assert (receipt.usage.output_total, receipt.usage_state) == (1, "partial")


async def test_a_check_that_breaks_off_leaves_the_answer_as_it_is() -> None:
    async with being_checked(stream=False) as (house, validators):
        validators.verdict.set_exception(ValueError("embedded null byte"))
        await until(lambda: bool(house.written))
        assert house.answer[0] == 200
        await turns()
        assert over(house).outcome == "ok"
