"""What passes a hop and what never does, in either direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.headers import (
    forwarded,
    forwarded_without,
    retry_after_s,
    returned,
    returned_translated,
    safe_value,
)


def sent_upstream(
    *lines: tuple[bytes, bytes], replaced: frozenset[bytes] = frozenset(), foreign: bool = False
) -> bytes:
    return forwarded_without(list(lines), replaced, foreign=foreign)


@pytest.mark.parametrize(
    "name",
    [
        b"anthropic-beta",
        b"anthropic-version",
        b"openai-organization",
        b"idempotency-key",
        b"x-stainless-lang",
        b"user-agent",
        b"accept",
        b"traceparent",
        b"x-claude-code-session-id",
    ],
)
def test_what_the_clients_vendor_needs_goes_upstream(name):
    assert forwarded([(name, b"v")]) == name + b": v\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"host",
        b"connection",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"content-type",
        b"expect",
        b"authorization",
        b"x-api-key",
        b"cookie",
        b"origin",
        b"referer",
        b"accept-encoding",
        b"x-freehold-project",
        b"x-freehold-anything",
    ],
)
def test_credentials_and_what_belongs_to_one_hop_never_go_upstream(name):
    assert forwarded([(name, b"v"), (b"accept", b"*/*")]) == b"accept: */*\r\n"


@pytest.mark.parametrize(
    "connection", [[b"x-secret"], [b"keep-alive, X-Secret"], [b"close", b"x-secret"], [b" x-secret ,, te"]]
)
def test_what_connection_names_stays_on_its_hop(connection):
    lines = [(b"x-secret", b"v"), (b"x-open", b"v"), *((b"connection", value) for value in connection)]
    assert forwarded(lines) == b"x-open: v\r\n"
    assert returned(lines) == [(b"x-open", b"v")]
    assert returned_translated(lines) == [(b"x-open", b"v")]


def test_a_providers_own_header_replaces_the_clients():
    assert sent_upstream((b"x-team", b"mine"), (b"a", b"b"), replaced=frozenset((b"x-team",))) == b"a: b\r\n"


def test_another_vendors_headers_mean_nothing_to_a_foreign_dialect():
    lines = ((b"anthropic-beta", b"x"), (b"openai-project", b"p"), (b"idempotency-key", b"k"))
    assert sent_upstream(*lines, foreign=True) == b"idempotency-key: k\r\n"


def test_repeated_headers_stay_repeated_and_in_order():
    lines = [(b"anthropic-beta", b"one"), (b"accept", b"*/*"), (b"anthropic-beta", b"two")]
    assert forwarded(lines) == b"anthropic-beta: one\r\naccept: */*\r\nanthropic-beta: two\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"x-ratelimit-remaining-tokens",
        b"request-id",
        b"x-request-id",
        b"retry-after",
        b"openai-processing-ms",
        b"date",
    ],
)
def test_rate_limits_and_request_ids_come_back(name):
    assert returned([(name, b"v")]) == [(name, b"v")]
    assert returned_translated([(name, b"v")]) == [(name, b"v")]


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"transfer-encoding",
        b"content-length",
        b"upgrade",
        b"set-cookie",
        b"alt-svc",
        b"strict-transport-security",
        b"server",
        b"access-control-allow-origin",
        b"x-freehold-receipt",
        b"x-freehold-cost-nanos",
    ],
)
def test_what_an_upstream_may_not_say_in_our_name(name):
    assert returned([(name, b"v"), (b"date", b"d")]) == [(b"date", b"d")]


def test_the_description_of_a_body_goes_when_the_body_is_ours():
    lines = [(b"content-type", b"text/plain"), (b"content-encoding", b"gzip"), (b"etag", b"x")]
    assert returned(lines) == lines
    assert returned_translated(lines) == [(b"etag", b"x")]


@given(st.text())
def test_a_safe_value_cannot_end_a_header_line(text):
    value = safe_value(text)
    assert all(32 <= code < 127 for code in value)
    assert len(value) <= 512


def test_a_plain_value_is_itself():
    assert safe_value("alias smart; alpha/m failed") == b"alias smart; alpha/m failed"


NOW_MS = 1_790_000_000_000
"""2026-09-21 14:13:20 UTC"""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"7"}, 7.0),
        ({b"retry-after": b" 1.5 "}, 1.5),
        ({b"retry-after-ms": b"250", b"retry-after": b"9"}, 0.25),
        ({b"retry-after-ms": b"soon", b"retry-after": b"9"}, 9.0),
        ({b"retry-after": b"Mon, 21 Sep 2026 14:13:30 GMT"}, 10.0),
        ({b"retry-after": b"Mon, 21 Sep 2026 14:13:00 GMT"}, 0.0),
    ],
)
def test_how_long_an_upstream_asks_to_wait(headers, seconds):
    assert retry_after_s(headers, NOW_MS) == seconds


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b".",
        b"-1",
        b"nan",
        b"1e9",
        b"9" * 400,
        b"\xff",
        b"tomorrow",
        b"Wed, 99 Oct 2037 99:28:00 GMT",
        b"Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
    ],
)
def test_a_wait_that_cannot_be_read_is_none(said):
    assert retry_after_s({b"retry-after": said}, NOW_MS) is None


@given(st.binary(max_size=40))
def test_any_wait_is_a_number_that_can_be_waited_for(said):
    seconds = retry_after_s({b"retry-after": said}, NOW_MS)
    assert seconds is None or 0 <= seconds < 1e17
