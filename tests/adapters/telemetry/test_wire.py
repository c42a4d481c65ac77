"""Protocol Buffers' wire format: what is written is read, and nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.telemetry.wire import (
    WireError,
    as_double,
    blob,
    double,
    fields,
    fixed64,
    signed,
    varint,
)

numbers = st.integers(1, 2**28)


@given(numbers, st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_come_back(number, value):
    data = varint(number, value)
    ((found, read, end),) = fields(data, 0, len(data))
    assert (found, signed(read), end) == (number, value, 0)


@given(numbers, st.floats(allow_nan=False))
def test_doubles_come_back(number, value):
    data = double(number, value)
    ((found, read, _),) = fields(data, 0, len(data))
    assert (found, as_double(read)) == (number, value)


@given(st.lists(st.tuples(numbers, st.binary(max_size=300)), max_size=5))
def test_bytes_come_back_in_their_order(parts):
    data = b"".join(blob(number, value) for number, value in parts)
    found = [(number, data[at:end]) for number, at, end in fields(data, 0, len(data))]
    assert found == parts


def test_times_come_back():
    data = fixed64(7, 2**64 - 1)
    assert list(fields(data, 0, len(data))) == [(7, 2**64 - 1, 0)]


@given(st.binary(max_size=200))
def test_of_any_bytes_come_fields_or_the_one_error(data):
    try:
        for _, start, end in fields(data, 0, len(data)):
            assert not end or start <= end <= len(data)
    except WireError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x05abc",  # longer than the message
        b"\x09abc",  # a number cut off
        b"\x08" + b"\xff" * 11,  # a number too long
        b"\x0b",  # groups are of another age
        b"\x00\x01",  # no number
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        list(fields(data, 0, len(data)))
