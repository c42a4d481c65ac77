from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.dialects.sse import EventSplitter, EventTooLong, event_data, event_name


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    st.lists(st.sampled_from([b"data: x", b"\n", b"\r", b"\r\n", b"\n\n", b":c"])), st.lists(st.integers(0))
)
def test_chunk_boundaries_never_change_the_events_and_no_byte_is_lost(
    pieces: list[bytes], at: list[int]
) -> None:
    stream = b"".join(pieces)
    whole, parts = EventSplitter(), EventSplitter()
    expected = whole.feed(stream)
    found = [event for chunk in cut(stream, at) for event in parts.feed(chunk)]
    assert found == expected
    assert b"".join(found) + parts.rest == stream


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_every_line_end_of_the_grammar_ends_an_event(end: bytes) -> None:
    line = end[: len(end) // 2]
    stream = b"event: a" + line + b"data: 1" + end + b"data: 2" + end
    events = EventSplitter().feed(stream)
    assert [event_data(event) for event in events] == [b"1", b"2"]
    assert event_name(events[0]) == b"a"


def test_mixed_line_ends_end_events_too() -> None:
    events = EventSplitter().feed(b"data: 1\n\rdata: 2\r\n\rdata: 3\n\r\ndata: 4\r\n\n")
    assert [event_data(event) for event in events] == [b"1", b"2", b"3", b"4"]


def test_an_event_is_given_out_with_its_last_byte_not_with_the_next_event() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\r\n\r") == []
    assert splitter.feed(b"\n") == [b"data: 1\r\n\r\n"]
    assert splitter.feed(b"data: 2\r\r") == [b"data: 2\r\r"]


def test_data_lines_are_joined_and_comments_carry_nothing() -> None:
    assert event_data(b"data: {\ndata:  1}\nid: 7\n\n") == b"{\n 1}"
    assert event_data(b": keepalive\n\n") == b""
    assert event_data(b"\xef\xbb\xbfdata:x\n\n") == b"x"
    assert event_data(b"data: a\nevent: b\n\n") == b"a"


def test_an_event_that_never_ends_is_refused_at_the_bound() -> None:
    splitter = EventSplitter(limit=10)
    splitter.feed(b"data: 1234")
    with pytest.raises(EventTooLong, match="longer than 10 bytes"):
        splitter.feed(b"5")


def test_one_byte_at_a_time_costs_no_rescan_of_a_long_event() -> None:
    splitter = EventSplitter()
    event = b"data: " + b"x" * 200_000 + b"\r\n\r\n"
    found = [done for place in range(len(event)) for done in splitter.feed(event[place : place + 1])]
    assert found == [event]
