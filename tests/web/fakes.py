"""Stand-ins for the rest of the house, behind the control API."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from freehold.core.config_diff import ReloadPlan
from freehold.core.deaths import Certificate
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.memory import GpuMemory, MachineMemory
from freehold.costs.budgets.views import BudgetView
from freehold.costs.limits.window import LimitView
from freehold.receipts.entries import Receipt
from freehold.receipts.journal import LedgerError
from freehold.receipts.query import CostRow, Filter, Grouping, Row
from freehold.receipts.rows import row
from freehold.receipts.tools import ToolView
from freehold.routing.explain import ExplainIn, Explanation
from freehold.web.control import (
    BOUNDS_S,
    CallView,
    DeploymentMeter,
    HealthView,
    Histogram,
    LedgerView,
    LogView,
    MetricsView,
    ModelView,
    PlaceView,
    PlanView,
    ReceiptView,
    ServerAction,
    ServerView,
    StatusView,
)
from freehold.web.money import (
    BeliefView,
    CacheMeter,
    ChoiceMeter,
    GrantIn,
    MoneyMeter,
    OutcomeView,
    ShadowTask,
    ShadowView,
)
from freehold.web.telemetry import OtlpAnswer, Signal, TelemetryMeter

RECEIPT = Receipt(id="rcp-1", outcome="ok", started_ms=1_000, model="m", project="site")


BUDGET = BudgetView(
    budget="agent:writer per day",
    label="agent:* per day",
    scope="agent",
    subject="writer",
    window="day",
    hard=True,
    on_limit="ask",
    limit_nanos=2_000_000_000,
    spent_nanos=500_000_000,
    expired_nanos=100_000_000,
    held_nanos=400_000_000,
    lent_nanos=0,
    left_nanos=1_000_000_000,
    starts_ms=0,
    resets_ms=86_400_000,
    used_up_ms=None,
)
LIMIT = LimitView(
    provider="openai",
    model="",
    window="5h",
    unit="share",
    left=250_000,
    limit=1_000_000,
    resets_ms=9_000,
    status="allowed",
    seen_ms=1,
)


class FakeMoney:
    """Has one budget, one limit, and one belief."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def budgets(self) -> Sequence[BudgetView]:
        return (BUDGET,)

    def is_owner(self, key: str) -> bool:
        return key == "owner"

    def grant(self, asked: GrantIn) -> BudgetView:
        self.asked.append(asked)
        if asked.budget != BUDGET.budget:
            raise KeyError(asked.budget)
        if asked.usd < 0:
            raise FreeholdError("too much to take")
        return BUDGET

    def limits(self) -> Sequence[LimitView]:
        return (LIMIT,)

    def beliefs(self) -> Sequence[BeliefView]:
        return (BeliefView(task="code", deployment="qwen", chance=0.5, deviation=0.1, trials=3.0),)

    async def outcome(self, body: bytes) -> OutcomeView:
        self.asked.append(body)
        if body == b"{}":
            raise FreeholdError("that is no outcome")
        return OutcomeView(
            id="rcp-2",
            receipt="rcp-1",
            task="code",
            deployment="qwen",
            score=1.0,
            chance=0.6,
            deviation=0.1,
            trials=4.0,
        )

    async def explain(self, asked: ExplainIn) -> Explanation:
        self.asked.append(asked)
        if asked.receipt:
            raise LedgerError(f"there is no receipt {asked.receipt!r}")
        return Explanation(
            asked=asked.model,
            task="",
            reason="qwen is local",
            demanded=0.9,
            input_tokens=1,
            output_tokens=1,
            candidates=(),
        )

    def shadow(self) -> ShadowView:
        return ShadowView(at_work=True, tasks=(ShadowTask(task="code", compared=4, good=3),))


class FakeTelemetry:
    """Takes what comes; refuses metrics."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes, str, str]] = []

    async def receive(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str
    ) -> OtlpAnswer:
        self.came.append((signal, body, content_type, content_encoding))
        if signal == "metrics":
            return OtlpAnswer(status=503, content_type=content_type, body=b"no", retry_after_s=5)
        return OtlpAnswer(status=200, content_type=content_type, body=b"\x0a\x00")

    async def tool(self, body: bytes) -> ToolView:
        if body == b"{}":
            raise FreeholdError("that is no use of a tool")
        if body == b"[]":
            raise LedgerError("the disk is full")
        return ToolView(id="t1", tool="look", ok=True, started_ms=5)


class FakeControl:
    """Remembers what it was asked, and in which thread."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.threads: dict[str, int] = {}
        self.ok = True
        self.money = FakeMoney()
        self.telemetry = FakeTelemetry()

    def status(self) -> StatusView:
        self.threads["status"] = threading.get_ident()
        return StatusView(
            version="1",
            url="http://127.0.0.1:8400",
            pid=7,
            started_ms=1,
            uptime_s=2,
            home="/home",
            config_file=None,
            key_needed=False,
            discovery="done",
            models=1,
            servers=1,
            servers_ready=1,
            calls=3,
            in_flight=0,
            memory_bytes=50_000_000,
            ledger=LedgerView(entries=3, signed=3, projected=3),
        )

    def health(self) -> HealthView:
        return HealthView(ok=self.ok, problems=() if self.ok else ("the disk is full",))

    def models(self) -> list[ModelView]:
        place = PlaceView(deployment="<b>tiny", model_id="tiny", server="tiny", state="available")
        return [ModelView(name="<b>tiny", kind="model", places=(place,), test_only=True)]

    def servers(self) -> list[ServerView]:
        return [
            ServerView(name="tiny", engine="llama.cpp", model="/t.gguf", state="ready", context=1, slots=2)
        ]

    def calls(self) -> list[CallView]:
        return [CallView(id="rcp-9", model="tiny", state="answering", started_ms=5)]

    def metrics(self) -> MetricsView:
        below = (0,) * len(BOUNDS_S)
        times = Histogram(below=below, count=2, sum_us=3_000_000)
        meter = DeploymentMeter(
            deployment="tiny",
            calls={"ok": 2},
            tokens={"fresh_in": 7},
            cost_nanos={"computed": 1_500_000_000},
            first_byte=times,
            total=times,
        )
        return MetricsView(
            status=self.status(),
            servers=tuple(self.servers()),
            deployments=(meter,),
            deaths={("tiny", "oom-cgroup"): 1},
            money=MoneyMeter(
                budgets=(BUDGET, replace(BUDGET, subject="b", left_nanos=7), replace(BUDGET, label="all")),
                limits=(LIMIT, replace(LIMIT, window="week", left=None, resets_ms=None)),
                cache=CacheMeter(
                    hits={"exact": 3}, saved_nanos={"exact": 2_000_000_000}, misses=4, entries=2
                ),
                choices=ChoiceMeter(tiers={"local": 5}, escalations=1),
                shadow=self.money.shadow(),
            ),
            telemetry=TelemetryMeter(items={"new": 3, "span": 2}, forwarded=6),
        )

    async def refresh(self) -> None:
        self.asked.append("refresh")

    async def act(self, server: str, action: ServerAction) -> ServerView:
        self.asked.append((server, action))
        if server != "tiny":
            raise KeyError(server)
        if action == "take-over":
            raise FreeholdError("it is ours already")
        return self.servers()[0]

    async def reload(self, *, dry_run: bool) -> ReloadPlan:
        if not dry_run:
            raise ConfigError("unknown key", file="/f.yaml", line=3, key="servrs", nearest="servers")
        return ReloadPlan(file="/f.yaml", dry_run=True)

    async def plan(self) -> PlanView:
        raise FreeholdError("no plan in this story")

    def machine(self) -> MachineMemory:
        gpu = GpuMemory(index=0, name="G", total_bytes=24, free_bytes=8)
        return MachineMemory(ram_total_bytes=64, ram_free_bytes=32, gpus=(gpu,))

    def certificates(self, server: str, limit: int) -> list[Certificate]:
        death = Certificate(
            server=server,
            died_ms=1,
            cause="hangup",
            confidence=95,
            sentence="It was hung up.",
            next="Nothing.",
        )
        return [death] * limit

    def log(self, server: str, lines: int, since: int | None) -> LogView:
        if server != "tiny":
            raise KeyError(server)
        return LogView(lines=["a", "b"][:lines], next=since or 4)

    def receipts(self, wanted: Filter) -> list[Row]:
        self.threads["receipts"] = threading.get_ident()
        self.asked.append(wanted)
        rows = [Row(*row(seq, RECEIPT)) for seq in (9, 8, 7)]
        return rows[: wanted.limit]

    def receipt(self, receipt_id: str) -> ReceiptView | None:
        if receipt_id == "rcp-":
            raise FreeholdError("several receipts begin so")
        return ReceiptView(index=5, receipt=RECEIPT) if receipt_id == "rcp-1" else None

    def proof(self, receipt_id: str) -> str | None:
        if receipt_id == "rcp-late":
            raise FreeholdError("not under a signed checkpoint yet")
        return "c2sp.org/tlog-proof@v1\n" if receipt_id == "rcp-1" else None

    def costs(self, by: Grouping, since_ms: int | None, until_ms: int | None) -> list[CostRow]:
        self.asked.append((by, since_ms, until_ms))
        return [CostRow("site", calls=2, cost_nanos={"computed": 5})]
