"""What the control API shows, as values, and the port by which it asks for them. `app` fills it in.

The same values are what the commands decode, so a field has one name from the room that knows it to the
screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from freehold.core.config_diff import ReloadPlan
from freehold.core.deaths import Certificate
from freehold.core.memory import MachineMemory
from freehold.receipts.entries import Receipt
from freehold.receipts.query import CostRow, Filter, Grouping, Row
from freehold.supervisor.plan_view import PlanView
from freehold.web.money import MoneyControl, MoneyMeter
from freehold.web.telemetry import TelemetryControl, TelemetryMeter

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


class ServerGpu(msgspec.Struct, frozen=True, kw_only=True):
    """What a server has, or shall have, on one GPU."""

    gpu: int
    planned_bytes: int = 0
    measured_bytes: int | None = None


class ServerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of a server: planned before it was loaded, said by the engine, measured by the machine."""

    planned_ram_bytes: int | None = None
    planned_vram_bytes: int | None = None
    reported_bytes: int | None = None
    """What the engine said that it holds, all devices together."""
    measured_ram_bytes: int | None = None
    """What cannot be taken back: mapped weights are not in it."""
    gpus: tuple[ServerGpu, ...] = ()


class ServerSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """From the receipts of the calls that ended in the last minute."""

    calls: int = 0
    tokens_in_per_s: float = 0.0
    tokens_out_per_s: float = 0.0
    first_token_p50_ms: int | None = None
    first_token_p95_ms: int | None = None


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that we run, or watch."""

    name: str
    engine: str
    model: str
    """Path of the model's file, or the engine's own id of it."""
    state: ServerState
    context: int
    """Tokens per slot."""
    slots: int
    in_flight: int = 0
    queued: int = 0
    oldest_wait_ms: int = 0
    pid: int | None = None
    url: str | None = None
    detail: str = ""
    """Why it is in this state, when that is worth a sentence."""
    since_ms: int = 0
    """In this state since: UTC milliseconds."""
    ours: bool = True
    """False: it was adopted, and is only watched and used."""
    pin: bool = False
    priority: int = 50
    restarts: int = 0
    loads: int = 0
    load_ms: int | None = None
    """What its loads took; None before the first."""
    memory: ServerMemory = ServerMemory()
    speed: ServerSpeed = ServerSpeed()


ServerAction = Literal["start", "stop", "restart", "take-over"]


class LogView(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a server's log. Ask again with `next` to get what came since."""

    lines: list[str]
    next: int
    """Position in the log, in bytes."""
    file: str = ""


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """A call under way."""

    id: str
    """Of the receipt that it will leave."""
    model: str
    """What was asked for."""
    deployment: str = ""
    """Where it is tried now; empty while it waits."""
    server: str = ""
    state: Literal["waiting", "sent", "answering"]
    project: str = ""
    agent: str = ""
    session: str = ""
    started_ms: int
    attempts: int = 0
    answer_bytes: int = 0


BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of the histograms, in seconds."""


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """`below` has a count for each bound of `BOUNDS_S`: how many took as long or less."""

    below: tuple[int, ...]
    count: int
    sum_us: int


class DeploymentMeter(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one deployment since Freehold started, from its receipts."""

    deployment: str
    calls: Mapping[str, int]
    """By outcome."""
    tokens: Mapping[str, int]
    """By bucket of usage."""
    cost_nanos: Mapping[str, int]
    """By who vouches for it."""
    first_byte: Histogram
    total: Histogram


class MetricsView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `/metrics` tells."""

    status: StatusView
    servers: tuple[ServerView, ...]
    deployments: tuple[DeploymentMeter, ...]
    deaths: Mapping[tuple[str, str], int] = {}
    """By server and cause, since Freehold started."""
    money: MoneyMeter = MoneyMeter()
    telemetry: TelemetryMeter = TelemetryMeter()


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

    The first group is called on the event loop and answers at once, from memory. The second changes things
    and is awaited. The third reads files and is called in worker threads, several at a time.
    """

    @property
    def money(self) -> MoneyControl: ...

    @property
    def telemetry(self) -> TelemetryControl: ...

    def status(self) -> StatusView: ...

    def health(self) -> HealthView: ...

    def models(self) -> list[ModelView]: ...

    def servers(self) -> list[ServerView]: ...

    def calls(self) -> list[CallView]:
        """Calls under way, oldest first."""
        ...

    def metrics(self) -> MetricsView: ...

    async def refresh(self) -> None:
        """Bring up to date what `servers` and `metrics` tell of speeds and counts."""
        ...

    async def act(self, server: str, action: ServerAction) -> ServerView:
        """Carry out a person's order, and answer when it is done (a start: when it is under way). Raises
        KeyError for an unknown server, FreeholdError when it cannot be done."""
        ...

    async def reload(self, *, dry_run: bool) -> ReloadPlan:
        """Read the configuration again and apply what changed. Raises ConfigError: then nothing changed."""
        ...

    async def plan(self) -> PlanView:
        """What fits into this machine's memory, and where."""
        ...

    def machine(self) -> MachineMemory:
        """Memory of this machine now: RAM, and each GPU."""
        ...

    def certificates(self, server: str, limit: int) -> list[Certificate]:
        """How the server died, newest first. Raises FreeholdError."""
        ...

    def log(self, server: str, lines: int, since: int | None) -> LogView:
        """The last lines of its log, or those since a position. Raises KeyError, FreeholdError."""
        ...

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
