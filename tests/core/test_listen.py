"""How an address is read."""

from __future__ import annotations

import pytest

from freehold.core.errors import ConfigError
from freehold.core.listen import is_loopback, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:8400", "127.0.0.1", 8400, "http://127.0.0.1:8400"),
        ("[::1]:0", "::1", 0, "http://[::1]:0"),
        ("my-host.lan:80", "my-host.lan", 80, "http://my-host.lan:80"),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, host: str, port: int, url: str) -> None:
    listen = parse_listen(text)
    assert (listen.host, listen.port, listen.url) == (host, port, url)


@pytest.mark.parametrize(
    "text", ["", "8400", ":8400", "a:", "a:b", "::1:8400", "a b:1", "http://a:1", "a:65536"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("127.0.0.1.evil.com", False),
        ("192.168.1.5", False),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
