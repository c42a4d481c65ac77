"""Who may call: keys where there are keys; else only this machine, and no page of another origin."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import CallError
from freehold.gateway.access import Access, Admitted, admit, presented_key

KEY = "fh-0123456789"
OPEN = Access.of({}, "127.0.0.1", 8400)
LOCKED = Access.of({hashlib.sha256(KEY.encode()).hexdigest(): "laptop"}, "0.0.0.0", 8400)
HERE = {b"host": b"127.0.0.1:8400"}


@pytest.mark.parametrize(
    "host",
    [b"127.0.0.1", b"127.0.0.1:8400", b"localhost:8400", b"LOCALHOST", b"[::1]:8400", b"[::1]"],
)
def test_this_machine_is_answered_under_its_names(host):
    assert admit(OPEN, {b"host": host}) == Admitted()


@pytest.mark.parametrize(
    "host",
    [
        None,
        b"",
        b"evil.example",
        b"evil.example:8400",
        b"127.0.0.1:9999",
        b"127.0.0.1.evil.example",
        b"127.0.0.2",
        b"localhost.",
        b"localhost:8400@evil.example",
        b"\xff",
    ],
)
def test_a_name_that_was_bent_to_this_machine_is_refused(host):
    """DNS rebinding: the page's own name points here."""
    found = admit(OPEN, {} if host is None else {b"host": host})
    assert isinstance(found, CallError)
    assert (found.status, found.code) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({b"origin": b"http://127.0.0.1:8400"}, True),
        ({b"origin": b"http://localhost:8400"}, True),
        ({b"origin": b"HTTP://LOCALHOST:8400"}, True),
        ({b"origin": b"http://localhost:8400", b"sec-fetch-site": b"same-origin"}, True),
        ({b"sec-fetch-site": b"none"}, True),
        ({b"origin": b"https://evil.example"}, False),
        ({b"origin": b"http://localhost:3000"}, False),
        ({b"origin": b"null"}, False),
        ({b"origin": b""}, False),
        ({b"origin": b"file://"}, False),
        ({b"origin": b"ftp://localhost:8400"}, False),
        ({b"origin": b"http://localhost:8400.evil.example"}, False),
        ({b"origin": b"http://[::1"}, False),
        ({b"origin": b"http://\xff"}, False),
        ({b"sec-fetch-site": b"cross-site"}, False),
        ({b"sec-fetch-site": b"same-site"}, False),
        ({b"origin": b"http://localhost:8400", b"sec-fetch-site": b"cross-site"}, False),
    ],
)
def test_pages_of_other_origins_are_refused_without_keys(headers, passes):
    found = admit(OPEN, HERE | headers)
    if passes:
        assert found == Admitted()
    else:
        assert isinstance(found, CallError)
        assert (found.status, found.code) == (403, "origin_not_allowed")


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_no_header_breaks_the_door(host, origin):
    assert isinstance(admit(OPEN, {b"host": host, b"origin": origin}), CallError)


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer " + KEY.encode()},
        {b"authorization": b"bearer  " + KEY.encode() + b" "},
        {b"x-api-key": KEY.encode()},
        {b"x-api-key": KEY.encode(), b"authorization": b"Basic dTpw"},
        {b"x-api-key": KEY.encode(), b"host": b"anything.example", b"origin": b"https://app.example"},
    ],
)
def test_with_keys_the_key_decides_and_its_name_is_kept(headers):
    assert admit(LOCKED, headers) == Admitted("laptop")


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({}, "no API key"),
        ({b"authorization": b"Bearer"}, "no API key"),
        ({b"authorization": b"Bearer "}, "no API key"),
        ({b"authorization": b"Basic dTpw"}, "no API key"),
        (HERE, "no API key"),
        ({b"x-api-key": b""}, "not accepted"),
        ({b"x-api-key": KEY.encode() + b"x"}, "not accepted"),
        ({b"authorization": b"Bearer wrong", b"x-api-key": KEY.encode()}, "not accepted"),
    ],
)
def test_without_the_key_nobody_passes_and_is_told_what_to_do(headers, hint):
    found = admit(LOCKED, headers)
    assert isinstance(found, CallError)
    assert (found.status, found.kind, found.code) == (401, "authentication", "invalid_api_key")
    assert hint in found.message
    assert KEY not in found.message


def test_a_key_that_is_presented_is_never_in_the_refusal():
    found = admit(LOCKED, {b"x-api-key": b"sk-somebody-elses"})
    assert isinstance(found, CallError)
    assert "somebody" not in found.message


def test_the_bearer_token_goes_before_the_other_header():
    assert presented_key({b"authorization": b"Bearer a", b"x-api-key": b"b"}) == b"a"


def test_a_listener_on_an_address_of_its_own_is_answered_under_that_address():
    access = Access.of({}, "::1", 9000)
    assert admit(access, {b"host": b"[::1]:9000"}) == Admitted()
    assert isinstance(admit(access, {b"host": b"[::1]:8400"}), CallError)
