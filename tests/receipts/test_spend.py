"""Sums of what was spent, to the nano, whatever part of it the projection has and however time is cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.receipts.entries import Receipt, encode_receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.projection import DATABASE, Projection
from freehold.receipts.spend import Dimension, Wanted, cost_known, read_spending
from tests.cli.ledgers import FixedClock

HOUR, DAY = 3_600_000, 86_400_000
T0 = 1_780_000_000_000
NAMES = st.sampled_from(["", "a", "b"])


def spent(number: int, nanos: int, at_ms: int = T0, **more: str) -> Receipt:
    fields: dict[str, object] = {
        "id": f"r{number}",
        "outcome": "ok",
        "cost_state": "computed",
        "provider": "p",
        **more,
    }
    return Receipt(cost_nanos=nanos, started_ms=at_ms, **fields)  # type: ignore[arg-type]


RECEIPTS = st.lists(
    st.builds(
        spent,
        st.integers(0, 10**6),
        st.integers(0, 10**12),
        st.integers(T0 - 3 * DAY, T0),
        agent=NAMES,
        session=NAMES,
        provider=st.sampled_from(["p", "q", ""]),
        deployment=st.sampled_from(["p/m", "q/m", ""]),
    ),
    max_size=40,
)


def projected(path: Path, receipts: list[Receipt]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / DATABASE).unlink(missing_ok=True)
    projection = Projection(path / DATABASE)
    projection.add([encode_receipt(receipt) for receipt in receipts])
    projection.close()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    receipts=RECEIPTS,
    dimension=st.sampled_from(["all", "agent", "session", "provider", "model"]),
    since_ms=st.one_of(st.none(), st.integers(T0 - 2 * DAY, T0)),
    slice_ms=st.sampled_from([None, HOUR, 600_000, 25_000]),
)
def test_sums_are_those_of_the_receipts_by_hand(
    tmp_path: Path, receipts: list[Receipt], dimension: Dimension, since_ms: int | None, slice_ms: int | None
) -> None:
    if slice_ms is not None and since_ms is not None:
        since_ms -= since_ms % slice_ms
    projected(tmp_path, receipts)
    (sums,) = read_spending(tmp_path, [Wanted(dimension, since_ms, slice_ms)]).sums
    by_hand: Counter[tuple[str, int]] = Counter()
    for receipt in receipts:
        own = receipt.deployment and not receipt.provider  # it costs electricity, and nobody is paid
        paid = not own
        if paid and (since_ms is None or receipt.started_ms >= since_ms):
            name = "" if dimension == "all" else getattr(receipt, dimension)
            name = f"{receipt.provider} {receipt.deployment}" if dimension == "model" else name
            by_hand[name, receipt.started_ms // slice_ms if slice_ms else 0] += receipt.cost_nanos
    found: Counter[tuple[str, int]] = Counter()
    for each in sums:
        name = f"{each.name} {each.deployment}" if dimension == "model" else each.name
        found[name, each.at_ms // slice_ms if slice_ms else 0] += each.nanos
        assert since_ms is None or each.at_ms >= since_ms
    assert found == +by_hand


def test_what_the_projection_does_not_have_yet_comes_from_the_log_and_nothing_twice(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=FixedClock()) as ledger:
        for number in range(10):
            ledger.append(spent(number, 10**9))
    whole = read_spending(tmp_path, [Wanted("all")])
    assert (sum(each.nanos for each in whole.sums[0]), whole.newer) == (10 * 10**9, ())
    projected(tmp_path, [spent(number, 10**9) for number in range(4)])
    part = read_spending(tmp_path, [Wanted("all")])
    assert (sum(each.nanos for each in part.sums[0]), len(part.newer)) == (4 * 10**9, 6)
    (tmp_path / DATABASE).unlink()
    assert len(read_spending(tmp_path, [Wanted("all")]).newer) == 10


def test_a_database_that_is_only_being_made_says_nothing_and_a_folder_without_anything_neither(
    tmp_path: Path,
) -> None:
    assert read_spending(tmp_path / "nowhere", [Wanted("all")]).sums == ((),)
    (tmp_path / DATABASE).touch()
    assert read_spending(tmp_path, [Wanted("all")]).sums == ((),)


@pytest.mark.parametrize("in_projection", [0, 3])
def test_whether_a_receipt_knows_what_its_call_cost(tmp_path: Path, in_projection: int) -> None:
    receipts = [spent(0, 5), spent(1, 0, cost_state="unknown"), spent(2, 0, cost_state="free")]
    projected(tmp_path, receipts[:in_projection])
    known = cost_known(tmp_path, ["r0", "r1", "r2", "r3"], receipts[in_projection:])
    assert known == {"r0": True, "r1": False, "r2": True}
