"""Receipts, rollups and counters agree to the nano: whatever the calls were, and after a kill -9."""

from __future__ import annotations

import itertools
import random
import tempfile
import threading
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.usage import Usage
from freehold.receipts.entries import Attempt, Receipt
from freehold.receipts.meters import TOKEN_BUCKETS, MeterReader
from freehold.receipts.query import costs, open_readonly, totals
from freehold.receipts.sums import Between, calls, sums
from freehold.testing.standin import Behaviour
from tests.house import House, provider
from tests.receipts.story import START_MS, make_receipt, write_ledger
from tests.talk import PATHS, asking
from tests.wire import ClosedError

EVER = Between(0, 1 << 50)
BOUNDS_US = (1000, 1_000_000)

_amounts = st.integers(0, 10**13)
_counts = st.integers(0, 10**6)
_words = st.sampled_from(["", "a", "b", "c"])
_receipts = st.lists(
    st.builds(
        lambda number, nanos, tokens, state, words, outcome, attempts: make_receipt(
            number,
            cost_nanos=nanos,
            attempts=attempts,
            cost_state=state,
            usage=Usage(**dict(zip(Usage.__struct_fields__, tokens, strict=True))),
            outcome=outcome,
            **dict(
                zip(
                    ("project", "agent", "session", "task", "model", "deployment", "provider"),
                    words,
                    strict=True,
                )
            ),
        ),
        st.integers(0, 3000),
        _amounts,
        st.lists(st.integers(0, 10**7), min_size=11, max_size=11),
        st.sampled_from(["billed", "computed", "estimated", "unknown", "free"]),
        st.tuples(*[_words] * 7),
        st.sampled_from(["ok", "error", "refused", "cancelled", "truncated"]),
        st.lists(
            st.builds(
                Attempt,
                deployment=st.sampled_from(["a/m", "b/m", "c"]),
                cost_nanos=_amounts,
                usage=st.builds(Usage, fresh_in=_counts, reasoning=_counts),
            ),
            max_size=3,
        ).map(tuple),
    ),
    max_size=40,
)


def agree(home: Path, receipts: list[Receipt]) -> None:
    """All figures of all sources, compared with the receipts themselves."""
    nanos = Counter[str]()
    for receipt in receipts:
        nanos[receipt.cost_state] += receipt.cost_nanos
    total = sum(nanos.values())
    tokens = {
        bucket: sum(getattr(receipt.usage, bucket) for receipt in receipts)
        for bucket in Usage.__struct_fields__
    }
    counters = MeterReader(-1, BOUNDS_US)
    with open_readonly(home) as db:
        counters.catch_up(db)
        rows = list(calls(db, EVER))
        assert len(rows) == len(receipts)
        assert sum(row.cost_nanos for row in rows) == total
        for by in (
            "project",
            "agent",
            "session",
            "task",
            "model",
            "deployment",
            "provider",
            "server",
            "hour",
        ):
            found = sums(db, (by,), EVER)
            assert sum(row.cost_nanos for row in found) == total, by
            assert sum(row.calls for row in found) == len(receipts), by
            for bucket, count in tokens.items():
                assert sum(getattr(row.usage, bucket) for row in found) == count, (by, bucket)
        by_provider = Counter[str]()
        for row in sums(db, ("provider",), EVER):
            by_provider[str(row.by[0])] += row.cost_nanos
        assert totals(db).total_nanos == total
        assert sum(row.total_nanos for row in costs(db, "session")) == total
        assert {state: each for state, each in totals(db).cost_nanos.items() if each} == +nanos
    metered = Counter[str]()
    for meter in counters.meters.values():
        for state, cost in meter.cost_nanos.items():
            metered[state] += cost
    assert {state: each for state, each in metered.items() if each} == +nanos
    paid, made = Counter[str](), Counter[str]()
    for receipt in receipts:
        here = sum(each.cost_nanos for each in receipt.attempts)
        for who, deployment, cost in (
            (receipt.provider, receipt.deployment, receipt.cost_nanos - here),
            *((each.provider, each.deployment, each.cost_nanos) for each in receipt.attempts),
        ):
            paid[who] += cost
            made[deployment] += cost
    metered_by = Counter({name: sum(each.cost_nanos.values()) for name, each in counters.meters.items()})
    assert metered_by == made
    assert by_provider == paid, "whoever made an answer has its cost, given or not"
    for bucket in TOKEN_BUCKETS:
        assert sum(meter.tokens[bucket] for meter in counters.meters.values()) == tokens[bucket]
    assert sum(meter.calls.total() for meter in counters.meters.values()) == len(receipts)


@settings(max_examples=15, deadline=None)
@given(_receipts)
def test_sums_of_receipts_rollups_and_counters_are_one(receipts: list[Receipt]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_ledger(home, receipts)
        agree(home, receipts)


def test_a_projection_that_was_killed_between_batches_counts_nothing_twice(tmp_path: Path) -> None:
    """A ledger that is opened again goes on where its projection was."""
    receipts = [make_receipt(number, started_ms=START_MS + number) for number in range(900)]
    for first in range(0, 900, 300):
        write_ledger(tmp_path, receipts[first : first + 300])
    agree(tmp_path, receipts)


def test_the_running_house_agrees_with_itself_after_kill_9(town, tmp_path: Path) -> None:
    """Clients of all kinds, killed in the middle, started again, and asked: every figure is the receipts'."""
    places = {"alpha": provider(town.alpha, responses=True), "claude": provider(town.claude, "anthropic")}
    prices = {"alpha/m1": {"input": 0.3, "output": 1.7, "cache_read": 0.03}, "claude/m1": {"per_call": 0.001}}
    config = {"providers": places, "prices": prices}
    house = House(tmp_path, config)
    chance = random.Random(7)
    town.alpha.script(
        *(Behaviour(input_tokens=chance.randrange(20, 9000), cached_tokens=7) for _ in range(200))
    )
    reached, done = threading.Event(), itertools.count()

    def client(number: int) -> None:
        try:
            with house.wire() as wire:
                for turn in itertools.count():
                    dialect, place = (("chat", "alpha"), ("messages", "claude"))[turn % 2]
                    body = asking(dialect, f"{place}/m1", stream=(number + turn) % 3 == 0)
                    wire.call(PATHS[dialect], body, headers={"x-freehold-agent": f"a{number % 3}"})
                    if next(done) >= 150:
                        reached.set()
        except (OSError, ClosedError):
            return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    try:
        for thread in threads:
            thread.start()
        assert reached.wait(60)
        house.kill()
        for thread in threads:
            thread.join()
        house.restart()
        with house.wire() as wire:
            wire.call(PATHS["chat"], asking("chat", "alpha/m1"))
        assert house.stop() == 0
        agree(house.home, house.receipts())
    finally:
        house.stop()
