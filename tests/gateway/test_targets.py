"""Where bytes go for a deployment: address, path, credentials, dialect."""

from __future__ import annotations

import pytest

from freehold.core.catalog import Catalog, Deployment, Provider
from freehold.gateway.targets import (
    Target,
    anthropic_defaults,
    default_deployment,
    provider_target,
    server_target,
    upstream_dialect,
)
from freehold.gateway.upstream import Origin

PLACE = Deployment(name="p/m", model_id="m", provider="p")


def target(base_url: str, dialect: str = "openai", **settings: object) -> Target:
    return provider_target(PLACE, Provider(name="p", dialect=dialect, base_url=base_url, **settings))


@pytest.mark.parametrize(
    ("base_url", "asked", "path"),
    [
        ("https://api.openai.com/v1", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("https://api.openai.com/v1/", b"/v1/embeddings", b"/v1/embeddings"),
        ("https://api.groq.com/openai/v1", b"/v1/chat/completions", b"/openai/v1/chat/completions"),
        ("https://gemini.example/v1beta/openai/", b"/v1/models/x", b"/v1beta/openai/models/x"),
        ("http://127.0.0.1:8000", b"/v1/chat/completions", b"/chat/completions"),
        ("https://h/v1", b"/v1/files?limit=2&after=a%20b", b"/v1/files?limit=2&after=a%20b"),
        ("https://h/v1", b"/v1/responses/resp_1?include[]=x", b"/v1/responses/resp_1?include[]=x"),
    ],
)
def test_the_path_behind_an_openai_address(base_url, asked, path):
    """`base_url` ends before the operation, as the vendor's SDK wants it."""
    assert target(base_url).path_of(asked) == path


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com", b"/v1/messages?beta=true"),
        ("https://api.anthropic.com/", b"/v1/messages?beta=true"),
        ("https://api.anthropic.com/v1", b"/v1/messages?beta=true"),
        ("https://api.anthropic.com/v1/", b"/v1/messages?beta=true"),
        ("https://deep.example/anthropic", b"/anthropic/v1/messages?beta=true"),
        ("https://deep.example/anthropic/v1", b"/anthropic/v1/messages?beta=true"),
    ],
)
def test_an_anthropic_address_works_with_and_without_v1(base_url, path):
    assert target(base_url, "anthropic").path_of(b"/v1/messages?beta=true") == path


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.openai.com/v1", Origin("api.openai.com", 443, True, b"api.openai.com")),
        ("http://127.0.0.1:8000/v1", Origin("127.0.0.1", 8000, False, b"127.0.0.1:8000")),
        ("http://[::1]:80", Origin("::1", 80, False, b"[::1]:80")),
        ("https://user:pw@h:8443/v1", Origin("h", 8443, True, b"h:8443")),
    ],
)
def test_the_origin_of_an_address(url, origin):
    assert Origin.of(url) == origin


@pytest.mark.parametrize("url", ["", "h/v1", "ftp://h", "https://", "unix:/run/x", "http://h:99999"])
def test_an_address_that_is_no_url_is_an_error(url):
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Origin.of(url)


@pytest.mark.parametrize(
    ("dialect", "line", "name"),
    [
        ("openai", b"authorization: Bearer sk-1\r\n", b"authorization"),
        ("anthropic", b"x-api-key: sk-1\r\n", b"x-api-key"),
    ],
)
def test_the_providers_key_stands_where_its_vendor_wants_it(dialect, line, name):
    found = target("https://h/v1", dialect, api_key="sk-1")
    assert (found.set_headers, found.replaced, found.secret) == (line, frozenset((name,)), b"sk-1")


def test_a_provider_without_a_key_gets_no_credentials_line():
    found = target("http://h/v1")
    assert (found.set_headers, found.replaced, found.secret) == (b"", frozenset(), b"")


def test_configured_headers_replace_the_clients_whatever_their_case():
    found = target("http://h/v1", headers={"X-Team": "blue", "X-Ort": "Zürich 🏠"})
    assert found.set_headers == "x-team: blue\r\nx-ort: Zürich 🏠\r\n".encode()
    assert found.replaced == {b"x-team", b"x-ort"}


@pytest.mark.parametrize(
    ("settings", "spoken"),
    [
        ({}, {"chat": "chat", "messages": "chat", "responses": "chat", "ollama": "chat"}),
        (
            {"responses": True},
            {"chat": "chat", "messages": "chat", "responses": "responses", "ollama": "chat"},
        ),
        (
            {"dialect": "anthropic"},
            {"chat": "messages", "messages": "messages", "responses": "messages", "ollama": "messages"},
        ),
    ],
)
def test_the_clients_own_dialect_is_spoken_where_it_is_understood(settings, spoken):
    found = target("http://h/v1", **settings)
    assert {client: upstream_dialect(found, client) for client in spoken} == spoken


def test_a_model_server_of_ours_is_spoken_to_in_chat_without_credentials():
    place = Deployment(name="qwen", model_id="qwen", server="qwen")
    found = server_target(place, "http://127.0.0.1:4567")
    assert found.path_of(b"/v1/chat/completions") == b"/v1/chat/completions"
    assert (found.origin.port, found.set_headers, found.native) == (4567, b"", {"chat"})
    assert upstream_dialect(found, "responses") == "chat"


@pytest.mark.parametrize(
    ("name", "found"),
    [(None, None), ("p", Deployment(name="p", model_id="", provider="p"))],
)
def test_paths_without_a_model_go_to_the_default_provider(name, found):
    assert default_deployment(Catalog(default_provider=name)) == found


def test_anthropics_version_is_said_for_clients_that_do_not():
    assert anthropic_defaults({}) == b"anthropic-version: 2023-06-01\r\n"
    assert anthropic_defaults({b"anthropic-version": b"2024-01-01"}) == b""
