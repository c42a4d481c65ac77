"""Answers as bytes."""

from __future__ import annotations

import json

import pytest

from freehold.gateway import replies


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (404, b"HTTP/1.1 404 Not Found\r\n"),
        (429, b"HTTP/1.1 429 Too Many Requests\r\n"),
        (529, b"HTTP/1.1 529 Status\r\n"),
    ],
)
def test_a_status_line_has_a_phrase_even_where_no_standard_names_one(status, line):
    assert replies.status_line(status) == line


def test_a_whole_answer_says_its_length_in_bytes():
    body = '{"text":"mødel"}'.encode()
    answer = replies.whole(200, body, extra=[(b"x-one", b"1")])
    assert answer == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\nx-one: 1\r\n\r\n" + body
    )


@pytest.mark.parametrize(
    ("data", "framed"), [(b"a", b"1\r\na\r\n"), (b"x" * 26, b"1a\r\n" + b"x" * 26 + b"\r\n")]
)
def test_a_chunk_says_its_length_in_hex(data, framed):
    assert replies.chunk(data) == framed


@pytest.mark.parametrize(
    ("status", "kind", "retry_after_s", "retry_line"),
    [
        (400, "invalid_request_error", None, None),
        (503, "server_error", 0.2, b"retry-after: 1"),
        (503, "server_error", 7.6, b"retry-after: 8"),
    ],
)
def test_a_plain_error_closes_the_connection_and_speaks_openai(status, kind, retry_after_s, retry_line):
    head, _, body = replies.plain_error(status, 'no "quotes"\r\nhere', retry_after_s).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert b"connection: close" in lines
    assert b"content-length: %d" % len(body) in lines
    assert [line for line in lines if line.startswith(b"retry-after")] == ([retry_line] if retry_line else [])
    error = json.loads(body)["error"]
    assert (error["message"], error["type"], error["code"]) == ('no "quotes"\r\nhere', kind, f"http_{status}")
