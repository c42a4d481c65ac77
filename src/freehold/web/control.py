"""What the control API shows, as values, and the port by which it asks for them. `app` fills it in.

The same values are what the commands decode, so a field has one name from the room that knows it to the
screen.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from freehold.receipts.entries import Receipt
from freehold.receipts.query import CostRow, Filter, Grouping, Row

ServerState = Literal["stopped", "starting", "loading", "ready", "draining", "stopping", "backoff", "failed"]


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ledger is. Numbers count log entries; the first two only differ for an instant."""

    entries: int
    """Entries in the log."""
    signed: int
    """Entries under a signed checkpoint."""
    projected: int
    """Entries that lists and costs already show."""


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The running Freehold at a glance."""

    version: str
    url: str
    pid: int
    started_ms: int
    """UTC milliseconds."""
    uptime_s: int
    home: str
    config_file: str | None
    key_needed: bool
    discovery: Literal["off", "running", "done"]
    models: int
    """How many names can be asked for."""
    servers: int
    servers_ready: int
    calls: int
    """Calls ended since the start."""
    in_flight: int
    memory_bytes: int
    """Resident memory of this process."""
    ledger: LedgerView


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment: where a model can be had. Exactly one of `provider`, `server` is set."""

    deployment: str
    model_id: str
    provider: str | None = None
    server: str | None = None
    state: Literal["available", "resting", "starting", "loading", "stopped", "failed"] = "available"
    """`resting`: failed repeatedly, not tried for a while."""


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a client may ask for, and its candidates in the order in which they are tried."""

    name: str
    kind: Literal["model", "alias"]
    places: tuple[PlaceView, ...]
    test_only: bool = False
    """The built-in test model, which recites fixed texts."""


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that we run."""

    name: str
    engine: str
    model: str
    """Path of the model's file."""
    state: ServerState
    context: int
    """Tokens per slot."""
    slots: int
    in_flight: int = 0
    pid: int | None = None
    url: str | None = None
    detail: str = ""
    """Why it is in this state, when that is worth a sentence."""


class ReceiptPage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest receipts that match. `next_before` is the `before` of the next page, None at the end."""

    receipts: list[Row]
    next_before: int | None = None


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """A whole receipt and its place in the log, from 0."""

    index: int
    receipt: Receipt


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """Sums per group, the dearest first. Money is integer nano-USD, by who vouches for it."""

    by: Grouping
    since_ms: int | None
    until_ms: int | None
    rows: list[CostRow]


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether calls can be served, and what is wrong when they cannot."""

    ok: bool
    problems: tuple[str, ...] = ()


class Control(Protocol):
    """What the control API asks the rest of the house.

    The first group is called on the event loop and answers at once, from memory. The second reads files
    and is called in worker threads, several at a time.
    """

    def status(self) -> StatusView: ...

    def health(self) -> HealthView: ...

    def models(self) -> list[ModelView]: ...

    def servers(self) -> list[ServerView]: ...

    def receipts(self, wanted: Filter) -> list[Row]:
        """The newest receipts that match, newest first, at most `wanted.limit`. Raises FreeholdError."""
        ...

    def receipt(self, receipt_id: str) -> ReceiptView | None:
        """By its id or an unambiguous beginning of it; None when there is none. Raises FreeholdError."""
        ...

    def proof(self, receipt_id: str) -> str | None:
        """The text of a C2SP tlog-proof; None when there is no such receipt. Raises FreeholdError when it
        is not under a signed checkpoint yet."""
        ...

    def costs(self, by: Grouping, since_ms: int | None, until_ms: int | None) -> list[CostRow]:
        """Sums per group. Raises FreeholdError."""
        ...
