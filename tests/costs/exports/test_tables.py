"""Money in files is exact, and what clients called themselves stays text."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.exports.focus import Charge, Version, columns, row
from freehold.costs.exports.tables import Column, ExportError, iso_time, usd, write, write_file
from freehold.costs.windows import month_span

MONTH = month_span(2026, 11)


@given(st.integers(-(10**20), 10**20))
def test_dollars_are_exact(nanos: int) -> None:
    text = usd(nanos)
    assert Decimal(text) * 10**9 == nanos
    assert "e" not in text.lower() and not text.endswith(".")


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (-20, "-0.00000002"), (10**10, "10")],
)
def test_dollars_are_written_without_needless_zeros(nanos: int, text: str) -> None:
    assert usd(nanos) == text


def test_times_are_iso_and_utc() -> None:
    assert iso_time(MONTH.start_ms) == "2026-11-01T00:00:00Z"
    assert iso_time(MONTH.start_ms + 7) == "2026-11-01T00:00:00.007Z"


@given(st.lists(st.text(min_size=1, max_size=20), max_size=8))
def test_no_name_is_a_formula_or_breaks_a_row(names: list[str]) -> None:
    out = io.BytesIO()
    count = write(out, "csv", [Column("name"), Column("usd", "money")], [(name, 5) for name in names])
    rows = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))[1:]
    assert count == len(rows) == len(names)
    for (name, money), asked in zip(rows, names, strict=True):
        assert name.removeprefix("'") == asked.removeprefix("'") or name == asked
        assert name[0] not in "=+-@\t\r"
        assert money == "0.000000005"


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot write"):
        write_file(tmp_path / "no" / "such.csv", "csv", [Column("a")], [])

    def failing():
        yield ("fine",)
        raise RuntimeError("the ledger is damaged")

    with pytest.raises(RuntimeError):
        write_file(tmp_path / "some.csv", "csv", [Column("a")], failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", get_args(Version))
def test_focus_has_its_mandatory_columns_before_ours(version) -> None:
    names = [column.name for column in columns(version)]
    mandatory = {
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
        "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
        "ChargePeriodStart", "ContractedCost", "EffectiveCost", "HostProviderName", "InvoiceIssuerName",
        "ListCost", "PricingQuantity", "PricingUnit", "ServiceCategory", "ServiceName", "ServiceProviderName",
    }  # fmt: skip
    assert mandatory <= set(names)
    assert len(names) == len(set(names))
    own = [name.startswith("x_") for name in names]
    assert own == sorted(own)
    assert ({"ProviderName", "PublisherName"} <= set(names)) is (version == "1.3")


@pytest.mark.parametrize("version", get_args(Version))
def test_focus_says_null_and_never_empty_text(version) -> None:
    charge = Charge(month=MONTH, period=MONTH, description="idle", unit="Days", effective_nanos=0)
    cells = dict(zip((column.name for column in columns(version)), row(charge, version), strict=True))
    assert "" not in cells.values()
    assert cells["EffectiveCost"] == 0 and cells["ChargeClass"] is None and cells["x_Receipt"] is None
    assert (cells["ConsumedQuantity"], cells["ConsumedUnit"]) == (None, None)
