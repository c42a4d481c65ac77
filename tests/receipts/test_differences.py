"""Each way of tampering with a sequence gets its name and its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.receipts.differences import differences

SIGNED = [b"%d" % number for number in range(20)]
FIRST = 100


def told(found: list[bytes], *, open_end: bool = False) -> list[tuple[str, int]]:
    return [(each.kind, each.index) for each in differences(SIGNED, found, FIRST, "here", open_end=open_end)]


@pytest.mark.parametrize("open_end", [False, True])
def test_names_and_places(open_end: bool) -> None:
    assert told(list(SIGNED), open_end=open_end) == []
    assert told([*SIGNED[:5], b"x", *SIGNED[6:]], open_end=open_end) == [("edited", 105)]
    assert told([*SIGNED[:5], *SIGNED[6:]], open_end=open_end) == [("dropped", 105)]
    assert told([*SIGNED[:5], b"x", *SIGNED[5:]], open_end=open_end) == [("inserted", 105)]
    assert told(SIGNED[:17], open_end=open_end) == [("truncated", 117)]
    assert told(SIGNED[1:], open_end=open_end) == [("dropped", 100)]
    swapped = [*SIGNED[:5], SIGNED[6], SIGNED[5], *SIGNED[7:]]
    assert told(swapped, open_end=open_end) == [("reordered", 105), ("reordered", 106)]
    assert told([*SIGNED[:3], b"x", *SIGNED[4:9], b"y", *SIGNED[10:]], open_end=open_end) == [
        ("edited", 103),
        ("edited", 109),
    ]


def test_what_comes_after_the_signed_end_is_no_problem_only_where_the_end_is_open() -> None:
    assert told([*SIGNED, b"new"], open_end=True) == []
    assert told([*SIGNED, b"new"]) == [("inserted", 120)]
    assert told([*SIGNED[:5], *SIGNED[6:], b"new"], open_end=True) == [("dropped", 105)]
    assert told([*SIGNED[:19], b"x", b"new"], open_end=True) == [("edited", 119)]


@given(st.lists(st.sampled_from([*SIGNED, b"x", b"y"]), max_size=30), st.booleans())
def test_any_other_sequence_is_a_problem(found: list[bytes], open_end: bool) -> None:
    intact = (found[:20] if open_end else found) == SIGNED
    assert (told(found, open_end=open_end) == []) == intact
