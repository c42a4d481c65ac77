"""Halves of characters in JSON are replaced, and nothing else is touched."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.half_characters import without_halves

anything = st.text(st.characters())
whole = st.text(st.characters(exclude_categories=["Cs"]))
confusing = st.text(st.sampled_from('\\ud83DE0"x\ud83d\ude00\udbff\U0001f600'))
"""What looks like an escape beside what is one."""


def replaced(text: str) -> str:
    """With U+FFFD for each half, as UTF-16 is read."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@given(anything | confusing)
def test_any_text_can_be_read_and_only_its_halves_are_replaced(text: str) -> None:
    assert msgspec.json.decode(without_halves(json.dumps(text).encode())) == replaced(text)


@given(whole, st.booleans())
def test_a_text_without_halves_stays_as_it_is(text: str, ascii_only: bool) -> None:
    data = json.dumps({text: [text]}, ensure_ascii=ascii_only).encode()
    assert without_halves(data) == data


@given(st.binary(max_size=60))
def test_bytes_without_a_backslash_stay_as_they_are(data: bytes) -> None:
    plain = data.replace(b"\\", b"")
    assert without_halves(plain) == plain


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb'"a\ud83d"', rb'"a\ufffd"'),
        (rb'"\uDE00a"', rb'"\ufffda"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ud83d\ude00\ude00"', rb'"\ud83d\ude00\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\ud83d\n\ude00"', rb'"\ufffd\n\ufffd"'),
        (rb'"\ud83', rb'"\ud83'),
        (b'"\\', b'"\\'),
    ],
)
def test_what_is_a_half(data: bytes, expected: bytes) -> None:
    assert without_halves(data) == expected
