"""Stories of `${VAR}` and `.env` files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config_vars import expand, has_reference, parse_env_file
from freehold.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("$A and $", "$A and $"),
    ],
)
def test_references_are_replaced(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}) == result


@pytest.mark.parametrize("text", ["${NONE}", "${}", "${A", "${1}", "${A:d}"])
def test_a_reference_that_cannot_be_replaced_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        expand(text, {"A": "1"})


def test_a_value_that_looks_like_a_reference_is_not_replaced_again() -> None:
    assert expand("${A}", {"A": "${B}", "B": "2"}) == "${B}"


@given(st.text(max_size=30))
def test_text_without_a_reference_is_left_alone(text: str) -> None:
    if not has_reference(text):
        assert expand(text, {}) == text


def test_an_env_file_is_read_as_people_write_it() -> None:
    text = "\n".join(
        [
            "# comment",
            "PLAIN=a b # not this",
            "HASH=a#b",
            "export EXPORTED = x",
            "SINGLE='a # \\n'",
            'DOUBLE="a\\n\\"b\\" # in" # out',
            "EMPTY=",
            "CRLF=1\r",
        ]
    )
    assert parse_env_file(text, ".env") == {
        "PLAIN": "a b",
        "HASH": "a#b",
        "EXPORTED": "x",
        "SINGLE": "a # \\n",
        "DOUBLE": 'a\n"b" # in',
        "EMPTY": "",
        "CRLF": "1",
    }


@pytest.mark.parametrize("line", ["sk-secret", "A='open sk-secret", 'A="open sk-secret', "1A=sk-secret"])
def test_a_bad_line_of_an_env_file_is_named_but_not_shown(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^\.env:2: ") as caught:
        parse_env_file(f"OK=1\n{line}\n", ".env")
    assert "sk-secret" not in str(caught.value)
