"""What is known of one call at any moment. What happens to it is in `call`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from freehold.cache.flights import Flight
from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.core.servers import Lease, LeaseAsk
from freehold.core.usage import Usage
from freehold.costs.prices import Rates
from freehold.costs.terms import STANDARD, Terms, dearer
from freehold.gateway.bad_answer import BadAnswer
from freehold.gateway.candidates import Candidates
from freehold.gateway.climb import Climb
from freehold.gateway.connection import ServerConnection
from freehold.gateway.facts import Facts
from freehold.gateway.kept import Kept
from freehold.gateway.parts import Cost
from freehold.gateway.peek import NOTHING_SEEN
from freehold.gateway.prepared import Prepared
from freehold.gateway.record import NOTHING_USED, Measured
from freehold.gateway.request import Request
from freehold.gateway.stay import Stay
from freehold.gateway.targets import Target
from freehold.gateway.tries import Try
from freehold.gateway.upstream import UpstreamConnection

if TYPE_CHECKING:
    from freehold.gateway.beside import Beside
    from freehold.gateway.following import Following
    from freehold.gateway.gateway import Gateway
    from freehold.gateway.money import Money
    from freehold.gateway.relay import Relay
    from freehold.gateway.signs import Signs

CAPTURE_BYTES = 64 * 1024 * 1024
_NOBODY = Candidates(())


class CallState:
    """Made when a request is there; `release` lets go of what refers back."""

    __slots__ = (
        "_timer",
        "ask",
        "bad",
        "barred",
        "beside",
        "candidates",
        "captured",
        "climb",
        "conn",
        "deadline_s",
        "dialect",
        "earlier",
        "endpoint",
        "facts",
        "flight",
        "following",
        "gateway",
        "heard",
        "id",
        "kept",
        "key_name",
        "lease",
        "losses",
        "measured",
        "money",
        "prepared",
        "prices",
        "relay",
        "request",
        "request_bytes",
        "response",
        "response_bytes",
        "route",
        "seen",
        "settled",
        "signs",
        "started_ms",
        "started_ns",
        "status",
        "stay",
        "target",
        "tries",
        "upstream",
    )

    def __init__(self, gateway: Gateway, conn: ServerConnection, request: Request, facts: Facts) -> None:
        # The prices in force when it began: what it is held at is what it is paid at.
        self.gateway, self.prices = gateway, gateway.prices
        self.facts = facts
        self.conn = conn
        self.request = request
        self.endpoint = facts.endpoint
        self.dialect: Dialect = facts.endpoint.dialect
        self.started_ns = time.perf_counter_ns()
        self.started_ms = gateway.clock.now_ms()
        self.id = gateway.ids.next(self.started_ms)
        self.key_name = ""
        self.seen = NOTHING_SEEN
        self.route = ""
        self.tries: list[Try] = []
        self.losses: tuple[str, ...] = ()
        self.request_bytes = len(request.body)
        self.response = gateway.ledger.commitment(self.id, "response")
        self.response_bytes = self.status = 0
        self.captured: list[bytes] | None = None if gateway.capture is None else []
        """The answer's pieces, when payloads are kept."""
        self.measured = NOTHING_USED
        self.prepared: Prepared | None = None
        self.target: Target | None = None
        self.relay: Relay | None = None
        self.bad: BadAnswer | None = None
        """The last attempt's answer, when it was an error."""
        self.deadline_s = 0.0
        """On the loop's clock; past it the attempt is given up. 0: nothing is awaited."""
        self.settled = self.heard = False
        """`heard`: the upstream sent something since the last sweep, which then moves the deadline."""
        self.signs: Signs | None = None
        self.ask: LeaseAsk | None = None
        self.lease: Lease | None = None
        """What is said to servers of ours; the slot of the attempt under way."""
        self.barred: CallError | None = None
        """Why no server of ours takes this request."""
        self.upstream: UpstreamConnection | None = None
        self.candidates = _NOBODY
        self.climb: Climb | None = None
        self.money: Money | None = None
        """Of a call for which the router chose; what is held for it, once it comes to a place that costs."""
        self.kept: Kept | None = None
        self.stay: Stay | None = None
        """What is known of kept answers; its time on servers of ours, where that costs."""
        self.beside: Beside | None = None
        self.earlier: tuple[Measured, ...] = ()
        """Another attempt that is under way; and what those cost whose answers were not given."""
        self.flight: Flight | None = None
        self.following: Following | None = None
        """Its answer, where others may have it, too; and the answer of another call that it gets."""
        self._timer: asyncio.TimerHandle | None = None

    def price(self, target: Target, usage: Usage, billed: int | None = None, terms: Terms = STANDARD) -> Cost:
        """What an attempt there has cost. Where the prices of its start know none, today's are asked."""
        deployment, at_ms = target.deployment, self.started_ms
        asked = (target.price_id, deployment.provider, deployment.model_id, usage, at_ms, billed)
        prices, now = self.prices, self.gateway.prices
        cost = (prices.under(**terms) if terms else prices).price(*asked)
        if cost.state == "unknown" and now is not prices:
            cost = (now.under(**terms) if terms else now).price(*asked)
        return cost

    def rates(self, target: Target, terms: Terms) -> Rates | None:
        """What tokens cost there at most, if such terms are asked for; None when nobody knows."""
        deployment = target.deployment
        asked = (target.price_id, deployment.provider, deployment.model_id, self.started_ms)
        rates = self.prices.rates(*asked)
        return dearer(rates, self.prices.under(**terms).rates(*asked)) if terms else rates

    def signs_silent(self) -> bool:
        """Whether nothing was sent to the client yet while it waited."""
        return self.signs is None or not self.signs.opened

    def count_response(self, data: bytes) -> None:
        """Bytes of the answer's body, on their way to the client."""
        self.response.update(data)
        self.response_bytes += len(data)
        if self.captured is not None:
            if self.response_bytes <= CAPTURE_BYTES:
                self.captured.append(data)
            elif self.flight is not None:
                self.flight.outgrew()

    def request_commitment(self) -> str:
        """Hex commitment to the body that the client sent."""
        commitment = self.gateway.ledger.commitment(self.id, "request")
        commitment.update(self.request.body)
        return commitment.hexdigest()

    @property
    def answering(self) -> str:
        """The deployment that is asked, or will be first."""
        return self.tries[-1].deployment if self.tries else ""

    @property
    def serving(self) -> str:
        """The server of ours that works for the call now; empty when none does."""
        return self.lease.server if self.lease is not None else ""

    def upstream_request_id(self) -> str:
        """What the upstream calls this call, in its answer or in its refusal."""
        if self.relay is not None:
            found = self.relay.request_id
        else:
            found = self.bad.request_id if self.bad is not None else b""
        return found[:200].decode("latin-1")

    def release(self) -> None:
        """The answer is out: let go of what refers back, so that nothing waits for the collector."""
        self.relay = None
        self.signs = None
