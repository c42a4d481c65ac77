"""A state folder with a few receipts in it, for commands that read receipts."""

from __future__ import annotations

from pathlib import Path

from freehold.core.usage import Usage
from freehold.receipts.entries import Attempt, Receipt
from freehold.receipts.ledger import Ledger

START_MS = 1_780_000_000_000


ANSWERED = Receipt(
    id="rcp-aaa1",
    outcome="ok",
    started_ms=START_MS,
    total_us=1_250_000,
    first_byte_us=90_000,
    status=200,
    model="gpt-5-mini",
    model_asked="fast",
    deployment="openai/gpt-5-mini",
    provider="openai",
    project="site",
    agent="writer",
    endpoint="/v1/chat/completions",
    client_dialect="chat",
    usage=Usage(fresh_in=1200, cache_read=300, visible_out=80, reasoning=20),
    usage_state="reported",
    cost_nanos=1_500_000,
    cost_state="computed",
    via_key="12345678",
    request_commitment="ab" * 32,
    attempts=(Attempt(deployment="openai/gpt-5-mini", status=200, total_us=1_250_000),),
)
FAILED_TWICE = Receipt(
    id="rcp-bbb2",
    outcome="error",
    started_ms=START_MS + 60_000,
    total_us=900,
    status=502,
    model_asked="fast",
    error="upstream: connection refused",
    project="site",
    cost_state="unknown",
    attempts=(
        Attempt(deployment="qwen", error="connection refused", total_us=300),
        Attempt(deployment="openai/gpt-5-mini", error="overloaded", status=529, total_us=500, start_us=400),
    ),
)
ESTIMATED = Receipt(
    id="rcp-bbb3",
    outcome="ok",
    started_ms=START_MS + 120_000,
    total_us=5_000,
    status=200,
    model="local",
    model_asked="local",
    deployment="qwen",
    server="qwen",
    project="lab",
    usage=Usage(fresh_in=10, visible_out=5),
    cost_nanos=20_000_000_000,
    cost_state="estimated",
)
HOSTILE = Receipt(
    id="rcp-ccc4",
    outcome="refused",
    started_ms=START_MS + 180_000,
    status=404,
    model_asked="\x1b]0;owned\x07[bold]x[/bold]",
    project="\x1b[31mred",
    agent="[link=http://evil]click[/link]",
    cost_state="free",
)
"""A client that tries to steer the terminal of whoever reads its receipt."""


class FixedClock:
    """Stands still, so that signed times are the same in every run."""

    def now_ms(self) -> int:
        return START_MS

    def monotonic_s(self) -> float:
        return 0.0


def fill(home: Path) -> None:
    """Writes the receipts, and signs them by ending in order."""
    ledger = Ledger.open(home, clock=FixedClock())
    for receipt in (ANSWERED, FAILED_TWICE, ESTIMATED, HOSTILE):
        ledger.append(receipt)
    ledger.close()
