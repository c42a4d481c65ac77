"""A ledger and the telemetry before it: what exporters tell it, and the receipts that come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from freehold.adapters.telemetry.signals import Batch
from freehold.app.telemetry import HouseTelemetry
from freehold.core.config_telemetry import TelemetryConfig
from freehold.core.usage import Usage
from freehold.costs.book import PriceBook
from freehold.costs.overrides import parse_overrides
from freehold.gateway.ids import ReceiptIds
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from tests.adapters.telemetry import export
from tests.adapters.telemetry.export import PROTOBUF

NOW_MS = 1_767_225_702_000
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
}
BOOK = PriceBook.empty(parse_overrides({"openai/m": {"input": "1", "output": "2"}}))
COST = 100 * 1_000 + 10 * 2_000
FORWARD = TelemetryConfig(forward="http://127.0.0.1:4318")


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


class Desk:
    """A ledger in `home` and the telemetry before it."""

    def __init__(self, home: Path, config: TelemetryConfig | None = None) -> None:
        self.ledger = Ledger.open(home, clock=Clock())
        self.telemetry = HouseTelemetry(
            config or TelemetryConfig(), home, self.ledger.append, ReceiptIds().next, lambda: BOOK, Clock()
        )
        self.telemetry.use_port(8484)

    async def tell(self, *batches: Batch, kind: str = PROTOBUF) -> list[Receipt]:
        for batch in batches:
            signal = "traces" if batch.spans else "logs" if batch.logs else "metrics"
            write = export.protobuf if kind == PROTOBUF else export.as_json
            answer = await self.telemetry.receive(signal, write(batch), kind, "")
            assert answer.status == 200
        before = self.ledger.health().entries
        await self.telemetry.settle()
        return [receipt for _, receipt in self.ledger.tail(before)]

    def close(self) -> None:
        self.telemetry.close()
        self.ledger.close()


def ours(**facts: Any) -> Receipt:
    given: dict[str, Any] = {
        "id": "r-ours",
        "endpoint": "chat",
        "model": "m",
        "outcome": "ok",
        "started_ms": NOW_MS - 1_900,
    }
    used: dict[str, Any] = {
        "usage": Usage(fresh_in=100, visible_out=10),
        "usage_state": "reported",
        "total_us": 500_000,
    }
    return Receipt(**given | used | facts)
