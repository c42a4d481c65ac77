"""Leases whose calls broke: remembered for a certificate, until the server is known to have lived since."""

from __future__ import annotations

from freehold.core.servers import Lease, LeaseAsk, ServerSpec
from freehold.supervisor.leasing import Leasing


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s


async def test_what_breaks_while_a_probe_is_under_way_is_not_forgotten_when_it_answers() -> None:
    clock = Clock()
    leasing = Leasing(ServerSpec(name="a", slots=2), clock)
    leasing.open("http://127.0.0.1:7")

    def broken(call: str) -> Lease:
        lease = leasing.take(LeaseAsk(call, "me", b"{}", 50, None))
        assert lease is not None
        leasing.give_back(lease, failed=True)
        return lease

    broken("before")
    clock.now_s += 1
    probe_began_s = clock.now_s
    clock.now_s += 0.1
    later = broken("later")
    leasing.unbreak(probe_began_s)
    assert leasing.forget() == (later,)
