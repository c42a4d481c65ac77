"""Collectors behind TLS: a CA of one's own is trusted where it is named, and nothing else is."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from freehold.adapters.telemetry.sender import Sender, SendOutcome
from tests.adapters.telemetry.certificates import ELSEWHERE, Authority
from tests.adapters.telemetry.collector import TAKEN, Collector

BODY = bytes(3_000_000)
"""More than one read of a socket."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def sent_to(context: ssl.SSLContext) -> tuple[list[SendOutcome], Collector]:
    """What becomes of two requests."""
    it = Collector(TAKEN)
    server = await asyncio.start_server(it.begin, "127.0.0.1", 0, ssl=context)
    async with server:
        sender = Sender(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        outcomes = [await sender.post("traces", BODY, "application/x-protobuf") for _ in range(2)]
        sender.close()
        server.close()
        await it.close()
    return outcomes, it


async def test_a_ca_of_ones_own_is_trusted_when_it_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    outcomes, it = await sent_to(authority.server())
    assert [outcome.state for outcome in outcomes] == ["sent", "sent"]
    assert [body for _, _, body in it.requests] == [BODY, BODY]
    assert it.connections == 1


async def test_another_ca_is_not_and_it_is_said_what_to_do(authority: Authority) -> None:
    outcomes, it = await sent_to(authority.server())
    assert [outcome.state for outcome in outcomes] == ["again", "again"]
    assert outcomes[0].words == (
        "its certificate is not trusted: unable to get local issuer certificate "
        "(a CA of your own goes into the file that SSL_CERT_FILE names)"
    )
    assert it.requests == []


async def test_a_certificate_for_another_name_or_of_another_time_is_not_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    others, _ = await sent_to(authority.server(ELSEWHERE))
    assert others[0].words.startswith("its certificate is not trusted: IP address mismatch")
    olds, _ = await sent_to(authority.server(days=-1))
    assert olds[0].words == "its certificate is not trusted: certificate has expired"
