"""Whatever happens in whatever order: calls that share an answer, or are asked twice, end once each."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.costs.book import PriceBook
from freehold.costs.budgets.accounts import HELD, SPENT
from freehold.gateway.hedging import Hedging
from freehold.gateway.sharing import Sharing
from freehold.routing.hedge import HedgeRules
from tests.gateway.calls import STREAM, turns
from tests.gateway.rooms import House
from tests.gateway.test_money import PRICE, Purse
from tests.gateway.test_settling import act
from tests.gateway.test_sharing import Client, S

CLIENTS = 4
UPSTREAM = ["stream", "whole", *["more"] * 8, "half", "busy", "wrong", "cut"]
CLIENT = ["ask", "ask", "ask", "leave", "full", "ready"]
HAPPENINGS = st.one_of(
    st.tuples(st.sampled_from(UPSTREAM), st.integers(0, 1)),
    st.tuples(st.sampled_from(CLIENT), st.integers(0, CLIENTS - 1)),
    st.tuples(st.sampled_from(["turn", "expire", "slow", "due"]), st.just(0)),
)


class Story:
    """Clients that ask the same, each at most once."""

    def __init__(self, house: House, *, stream: bool, sure: bool, model: str) -> None:
        self.house = house
        self.clients = [Client(house) for _ in range(CLIENTS)]
        self.asked: set[int] = set()
        self.gone: set[int] = set()
        self._more: dict[str, Any] = {"temperature": 0 if sure else 1}
        self._stream = stream
        self._model = model

    async def happens(self, what: str, number: int) -> None:
        house = self.house
        if what == "turn":
            await turns()
        elif what == "expire":
            for call in list(house.gateway.active):
                if call.deadline_s:
                    call.expire()
        elif what == "slow" and house.gateway.hedging is not None:
            for call in list(house.gateway.active):
                if call.tries:
                    house.gateway.hedging.due(call, call.tries[-1])
        elif what == "due" and house.gateway.sharing is not None:
            house.gateway.sharing.stop()
        elif what in CLIENT:
            self._client(what, number)
        else:
            for sent in house.upstreams.open[number : number + 1]:
                act(house, sent, what)

    def _client(self, what: str, number: int) -> None:
        client = self.clients[number]
        if number in self.gone:
            return
        if what == "ask" and number not in self.asked:
            self.asked.add(number)
            client.ask(stream=self._stream, model=self._model, headers=S, **self._more)
        elif what == "leave":
            self.gone.add(number)
            client.leave()
        elif what == "full":
            client.connection.pause_writing()
        elif what == "ready":
            client.connection.resume_writing()


@settings(deadline=None, max_examples=200)
@given(st.booleans(), st.booleans(), st.sampled_from(["alpha/m", "two"]), st.lists(HAPPENINGS, max_size=50))
async def test_every_call_ends_once_and_nothing_is_left(
    stream: bool, sure: bool, model: str, events: list[tuple[str, int]]
) -> None:
    purse = Purse(100.0)
    house = House()
    async with house:
        house.gateway.sharing = Sharing()
        house.gateway.hedging = Hedging(HedgeRules(share=1.0, least_s=0.0))
        house.gateway.prices = PriceBook.empty({"alpha/m": PRICE, "beta/m": PRICE})
        house.gateway.budgets = purse
        story = Story(house, stream=stream, sure=sure, model=model)
        for what, number in events:
            await story.happens(what, number)
        while house.gateway.active:  # in the end everything breaks
            await story.happens("due", 0)
            for number in (0, 0, 1):
                await story.happens("cut", number)
            await turns()
        await turns()
        house.gateway.sharing.stop()
        assert house.upstreams.open == []
        receipts = house.ledger.receipts
        assert len(receipts) == len(story.asked)
        assert len({receipt.id for receipt in receipts}) == len(receipts)
        assert purse.usd(HELD) == 0
        paid = sum(receipt.cost_nanos for receipt in receipts)
        assert round(purse.usd(SPENT) * 10**9) == paid, "what receipts say is what budgets count"
        assert all(receipt.cost_nanos == 0 for receipt in receipts if receipt.cached)
        for number in story.asked - story.gone:
            told(story.clients[number])


def told(client: Client) -> None:
    """The client has a whole answer, or sees that it has none."""
    if client.transport.ended == "abort":
        return
    status, headers, body = client.answer
    if status == 200 and headers["content-type"].startswith("text/event-stream"):
        assert body.endswith(STREAM[-1]) or b'"error"' in body
    elif "content-length" in headers:
        assert len(body) == int(headers["content-length"])
