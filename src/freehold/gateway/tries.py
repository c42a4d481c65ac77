"""One attempt while it goes on."""

from __future__ import annotations

from freehold.receipts.entries import Attempt

_NOTHING = Attempt(deployment="").usage


class Try:
    """Times in nanoseconds on one monotonic clock; 0: not there yet."""

    __slots__ = (
        "cost_nanos",
        "deployment",
        "ended_ns",
        "error",
        "first_byte_ns",
        "started_ns",
        "status",
        "usage",
    )

    def __init__(self, deployment: str, started_ns: int) -> None:
        self.deployment = deployment
        self.started_ns = started_ns
        self.first_byte_ns: int = 0
        self.ended_ns: int = 0
        self.status: int = 0
        self.error: str = ""
        self.cost_nanos: int = 0
        self.usage = _NOTHING
        """Of an answer that was not given to the client."""

    def attempt(self, call_started_ns: int) -> Attempt:
        """The same as it stands in a receipt, in microseconds since the start of the call."""
        first_ns, ended_ns = self.first_byte_ns, self.ended_ns
        return Attempt(
            cost_nanos=self.cost_nanos,
            deployment=self.deployment,
            error=self.error,
            first_byte_us=(first_ns - self.started_ns) // 1000 if first_ns else 0,
            start_us=(self.started_ns - call_started_ns) // 1000,
            status=self.status,
            total_us=(ended_ns - self.started_ns) // 1000 if ended_ns else 0,
            usage=self.usage,
        )
