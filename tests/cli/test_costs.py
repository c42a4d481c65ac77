"""`freehold costs` on a month of receipts: every figure is the one that can be worked out by hand."""

from __future__ import annotations

import csv
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from freehold.cli.exits import Exit
from freehold.core.usage import Usage
from freehold.costs.local import EnergySums
from freehold.costs.windows import DAY_MS, label, span_at
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.outcomes import Said, outcome_receipt
from tests.cli.conftest import Freehold
from tests.cli.ledgers import FixedClock

NOW_MS = time.time_ns() // 1_000_000
MONTH = span_at("month", NOW_MS - DAY_MS)
AT_MS = max(MONTH.start_ms + 3_600_000, NOW_MS - 2 * DAY_MS)
"""In a month that is this one, or has just ended."""
MONTH_NAME = label("month", AT_MS)
USD = 10**9
TALK = Usage(fresh_in=1000, visible_out=500)

CONFIG = """
discover: false
providers:
  anthropic: {dialect: anthropic, base_url: https://api.anthropic.com, models: [claude-opus-4-5]}
  openai: {base_url: https://api.openai.com/v1, models: [gpt-5-mini]}
  plan: {base_url: https://api.anthropic.com, models: [claude-sonnet-4-5]}
servers: {qwen: {adopt: "http://127.0.0.1:9"}}
routing: {baseline: anthropic/claude-opus-4-5}
prices: {openai/gpt-5-mini: {input: 0.5, output: 4}}
subscriptions: [{provider: plan, usd_per_month: 30}, {server: qwen, usd_per_hour: 2, cap_usd: 25}]
"""


def call(number: int, **changes: object) -> Receipt:
    fields: dict[str, object] = {
        "id": f"rc-{number:04d}",
        "agent": f"agent{number % 2}",
        "endpoint": "chat",
        "outcome": "ok",
        "project": "site",
        "session": "s1",
        "started_ms": AT_MS + number,
        "status": 200,
        "task": "review",
        "total_us": 1_000_000,
        "usage": TALK,
        "usage_state": "reported",
    }
    return Receipt(**(fields | changes))  # type: ignore[arg-type]


def served(number: int, name: str, nanos: int, state: str, **changes: object) -> Receipt:
    provider, slash, model = name.rpartition("/")
    own = {} if slash else {"server": name}
    return call(
        number,
        provider=provider,
        deployment=name,
        model=model,
        cost_nanos=nanos,
        cost_state=state,
        **own,
        **changes,
    )


RECEIPTS = (
    served(0, "openai/gpt-5-mini", 2_500_000, "computed", price_snapshot="aa" * 32),
    served(1, "openai/gpt-5-mini", 0, "free"),
    served(2, "qwen", 1000, "estimated"),
    served(3, "qwen", 0, "free"),
    served(4, "plan/claude-sonnet-4-5", 10_500_000, "computed", agent="=cmd()"),
    served(5, "plan/claude-sonnet-4-5", 10_500_000, "computed"),
    call(6, outcome="refused", status=404, usage=Usage(), cost_state="free"),
)


@pytest.fixture
def month(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    ledger = Ledger.open(home, clock=FixedClock())
    for receipt in RECEIPTS:
        ledger.append(receipt)
    for number, (of, score) in enumerate([("rc-0000", 900_000), ("rc-0002", 0), ("rc-0003", 1_000_000)]):
        ledger.append(outcome_receipt(Said(of=of, score_ppm=score, source="person"), f"oc-{number}", AT_MS))
    ledger.close()
    (tmp_path / "freehold.yaml").write_text(CONFIG)
    sums = {label("day", AT_MS): EnergySums(idle_nanos=7 * USD, idle_ms=3_600_000)}
    (home / "energy.json").write_text(
        json.dumps({day: {"idle_nanos": s.idle_nanos, "idle_ms": s.idle_ms} for day, s in sums.items()})
    )
    return home


def rows_of(freehold: Freehold, *arguments: str) -> dict[str, int]:
    return {row["name"]: row["total_nanos"] for row in freehold("costs", *arguments, "--json").json}


def test_any_dimension_can_be_summed_by(freehold: Freehold, month: Path) -> None:
    assert rows_of(freehold, "--by", "server")["qwen"] == 1000
    assert rows_of(freehold, "--by", "provider") == {"plan": 21_000_000, "openai": 2_500_000, "": 1000}
    assert rows_of(freehold, "--by", "month") == {MONTH_NAME: 23_501_000}
    assert rows_of(freehold, "--by", "agent")["agent0"] == 2_500_000 + 1000
    assert rows_of(freehold, "--by", "all") == {"": 23_501_000}
    for by in ("session", "task", "key", "model", "deployment", "hour", "day", "week"):
        assert sum(rows_of(freehold, "--by", by).values()) == 23_501_000


def test_words_narrow_and_top_shortens(freehold: Freehold, month: Path) -> None:
    assert rows_of(freehold, "provider=openai", "--by", "deployment") == {"openai/gpt-5-mini": 2_500_000}
    out = freehold("costs", "--by", "provider", "--top", "1").out
    assert "plan" in out and "2 rows more." in out
    assert freehold("costs", "weather=fine").exit == Exit.USAGE


def test_a_month_is_a_month(freehold: Freehold, month: Path) -> None:
    assert sum(rows_of(freehold, "--month", MONTH_NAME).values()) == 23_501_000
    assert rows_of(freehold, "--month", "2020-02") == {}
    for wrong in (["--month", "2026"], ["--month", "this", "--since", "2h"], ["--time-zone", "Mars/Hill"]):
        assert freehold("costs", *wrong).exit == Exit.USAGE


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide", "Europe/Vienna"])
def test_a_call_is_in_one_month_and_on_one_day_in_whatever_zone(
    freehold: Freehold, tmp_path: Path, zone: str
) -> None:
    first = datetime(2025, 10, 1, tzinfo=ZoneInfo(zone))
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        for number, minutes in enumerate((-120, -75, 0, 15, 75)):
            at_ms = round((first.timestamp() + minutes * 60) * 1000)
            ledger.append(served(number, "openai/gpt-5-mini", USD, "computed", started_ms=at_ms))
    said = ("--time-zone", zone, "--by", "day")
    assert rows_of(freehold, *said, "--month", "2025-09") == {"2025-09-30": 2 * USD}
    assert rows_of(freehold, *said, "--month", "2025-10") == {"2025-10-01": 3 * USD}


def test_what_is_paid_beside_the_calls_is_told(freehold: Freehold, month: Path) -> None:
    out = freehold("costs", "--month", MONTH_NAME).out
    assert "Beside the calls, provider plan:" in out and "$30.00 this month" in out
    assert "its calls are $0.021 at their prices" in out
    assert "Beside the calls, server qwen: $2.00 until now of $2.00 this month" in out
    assert "The machine while no call ran: $7.00 in 1 h 0 min." in out


def test_a_broken_configuration_does_not_keep_sums_back(
    freehold: Freehold, month: Path, tmp_path: Path
) -> None:
    (tmp_path / "freehold.yaml").write_text("prices: 7")
    ran = freehold("costs")
    assert (ran.exit, "subscriptions are left out" in ran.err) == (Exit.OK, True)
    assert freehold("costs", "--savings").exit == Exit.CONFIG


def test_savings_are_counted_against_the_baseline(freehold: Freehold, month: Path) -> None:
    """claude-opus-4-5 takes 17,500,000 nano-USD for 1,000 in and 500 out."""
    found = freehold("costs", "--savings", "--json").json
    assert found["baseline"] == "anthropic/claude-opus-4-5"
    assert found["baseline_nanos"] == 6 * 17_500_000
    assert found["saved_nanos"] == 6 * 17_500_000 - 23_501_000
    kinds = {(row["deployment"], row["kind"]): row["saved_nanos"] for row in found["rows"]}
    assert kinds["openai/gpt-5-mini", "cached"] == 17_500_000
    assert kinds["qwen", "local"] == 35_000_000 - 1000
    assert "Saved $0.081499" in freehold("costs", "--savings").out
    assert freehold("costs", "--savings", "--baseline", "anthropic/no-such").exit == Exit.FAILED
    plain = freehold("costs", "--savings", "--baseline", "claude-opus-4-5")
    assert "what anthropic/claude-opus-4-5 would" in plain.out, "one provider has it"
    nobody = freehold("costs", "--savings", "--baseline", "gpt-9")
    assert nobody.exit == Exit.FAILED, "it is not free because nobody says whose it is"
    assert "name its provider" in nobody.err


def test_a_forecast_leaves_subscriptions_to_their_fee(freehold: Freehold, month: Path) -> None:
    found = freehold("costs", "--forecast", "--json").json
    assert found["calls"]["spent_nanos"] in (2_501_000, 0), "0 on the first days of a month"
    assert found["calls"]["low_nanos"] <= found["calls"]["expected_nanos"] <= found["calls"]["high_nanos"]
    assert found["flat"][0]["month_nanos"] == 30 * USD
    out = freehold("costs", "--forecast").out
    assert "calls at its end" in out and "together" in out


def test_a_good_answer_costs_what_the_bad_ones_cost_too(freehold: Freehold, month: Path) -> None:
    rows = {
        row["name"]: row for row in freehold("costs", "--per-outcome", "--by", "deployment", "--json").json
    }
    assert rows["openai/gpt-5-mini"]["nanos_per_good"] == 2_500_000
    assert rows["qwen"] | {"nanos_per_good": 1000} == rows["qwen"]
    assert (rows["qwen"]["judged"], rows["qwen"]["good"]) == (2, 1)
    assert "COST OF A GOOD ONE" in freehold("costs", "--per-outcome").out


def test_prices_in_dispute_are_told(freehold: Freehold, month: Path) -> None:
    """openai/gpt-5-mini is 0.25 and 2 USD by the list, half of what the configuration says."""
    (found,) = freehold("costs", "--disputed", "--json").json
    assert (found["model"], found["source"]) == ("gpt-5-mini", "list price")
    assert (found["receipts_nanos"], found["source_nanos"]) == (2_500_000, 1_250_000)
    assert "list price" in freehold("costs", "--disputed").out


def test_sums_go_to_files(freehold: Freehold, month: Path, tmp_path: Path) -> None:
    assert freehold("costs", "--by", "provider", "--csv", "sums.csv").out == "3 rows written to sums.csv.\n"
    with (tmp_path / "sums.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["provider"], row["cost_usd"], row["cost_computed_usd"]) for row in rows] == [
        ("plan", "0.021", "0.021"),
        ("openai", "0.0025", "0.0025"),
        ("", "0.000001", "0"),
    ]
    freehold("costs", "--by", "provider", "--parquet", "sums.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "sums.parquet").to_pylist()
    assert [str(row["cost_usd"]) for row in table] == ["0.021000000", "0.002500000", "0.000001000"]


@pytest.mark.parametrize("version", ["1.3", "1.4"])
def test_focus_has_every_charge_of_the_month(
    freehold: Freehold, month: Path, tmp_path: Path, version: str
) -> None:
    ran = freehold("costs", "--focus", "f.csv", "--focus-version", version, "--month", MONTH_NAME)
    assert ran.out == "9 rows written to f.csv.\n"
    with (tmp_path / "f.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ("ProviderName" in rows[0]) is (version == "1.3")
    by_receipt = {row["x_Receipt"]: row for row in rows if row["x_Receipt"]}
    mini = by_receipt["rc-0000"]
    assert (mini["ListCost"], mini["ContractedCost"], mini["BilledCost"]) == ("0.00125", "0.0025", "0.0025")
    assert (mini["x_PriceSnapshot"], mini["x_Task"], mini["ConsumedQuantity"]) == (
        "aa" * 32,
        "review",
        "1500",
    )
    plan = by_receipt["rc-0004"]
    assert (plan["ListCost"], plan["BilledCost"], plan["EffectiveCost"]) == ("0.0105", "0", "15")
    assert plan["x_Agent"] == "'=cmd()", "no spreadsheet takes it for a formula"
    fees = {row["BillingAccountId"]: row for row in rows if row["ChargeCategory"] == "Purchase"}
    assert fees["plan"]["BilledCost"] == "30" and fees["plan"]["EffectiveCost"] == "0"
    assert fees["server qwen"]["BilledCost"] == "2"
    for account in ("plan", "server qwen", "openai"):
        of_account = [row for row in rows if row["BillingAccountId"] == account]
        assert sum(float(row["BilledCost"]) for row in of_account) == sum(
            float(row["EffectiveCost"]) for row in of_account
        )
    (idle,) = (row for row in rows if row["BillingAccountId"] == "own hardware")
    assert (idle["EffectiveCost"], idle["BilledCost"]) == ("7", "0")
    start = datetime.fromtimestamp(span_at("month", AT_MS).start_ms / 1000, UTC)
    assert {row["BillingPeriodStart"] for row in rows} == {f"{start:%Y-%m-%dT%H:%M:%SZ}"}


def test_focus_as_parquet_has_exact_decimals(freehold: Freehold, month: Path, tmp_path: Path) -> None:
    freehold("costs", "--focus", "f.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert str(table.schema.field("EffectiveCost").type) == "decimal128(38, 9)"
    assert str(table.schema.field("ChargePeriodStart").type) == "timestamp[ms, tz=UTC]"
    assert str(sum(table.column("EffectiveCost").to_pylist())) == "39.002500000"


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_focus_has_the_one_month_that_was_asked_for_in_whatever_zone(
    freehold: Freehold, tmp_path: Path, zone: str
) -> None:
    with Ledger.open(tmp_path / "home", clock=FixedClock()) as ledger:
        for month in (9, 10, 11):
            at_ms = round(datetime(2025, month, 10, tzinfo=UTC).timestamp() * 1000)
            ledger.append(served(month, "openai/gpt-5-mini", USD, "computed", started_ms=at_ms))
    freehold("costs", "--focus", "f.csv", "--month", "2025-10", "--time-zone", zone)
    with (tmp_path / "f.csv").open(newline="") as file:
        assert [row["BillingPeriodStart"] for row in csv.DictReader(file)] == ["2025-10-01T00:00:00Z"]


def test_a_damaged_database_is_told_with_what_to_do(freehold: Freehold, month: Path) -> None:
    (month / "receipts.db").write_bytes(b"\0garbage" * 2000)
    ran = freehold("costs")
    assert (ran.exit, ran.out) == (Exit.FAILED, "")
    assert ran.err.startswith("freehold: the database of receipts cannot be used (")
    assert "stop Freehold and run `freehold receipts rebuild`" in ran.err
