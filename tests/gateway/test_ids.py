"""Receipt ids: unique, and sorted by time."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.ids import ReceiptIds

NOW_MS = 1_790_000_000_000


@given(st.lists(st.integers(0, 5), max_size=200))
def test_ids_are_unique_and_sorted_as_time_goes_on(steps_ms):
    ids = ReceiptIds()
    made, now_ms = [], NOW_MS
    for step in steps_ms:
        now_ms += step
        made.append(ids.next(now_ms))
    assert made == sorted(set(made))
    assert all(re.fullmatch(r"r[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{6}", one) for one in made)


def test_two_processes_in_the_same_millisecond_make_different_ids():
    assert ReceiptIds().next(NOW_MS) != ReceiptIds().next(NOW_MS)


def test_a_later_process_sorts_behind_an_earlier_one():
    assert ReceiptIds().next(NOW_MS) < ReceiptIds().next(NOW_MS + 1)
