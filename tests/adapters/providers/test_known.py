"""Vendors and ports: facts, and the care taken with keys."""

from __future__ import annotations

from freehold.adapters.providers.known import (
    LOCAL_SERVERS,
    VENDORS,
    answers_responses,
    price_id,
    vendors_with_key,
)


def names(env: dict[str, str]) -> list[str]:
    return [provider.name for _, provider in vendors_with_key(env)]


def test_names_ports_and_variables_are_unique() -> None:
    assert len({vendor.name for vendor in VENDORS}) == len(VENDORS)
    assert len({server.port for server in LOCAL_SERVERS}) == len(LOCAL_SERVERS)
    variables = [key for vendor in VENDORS for key in vendor.keys]
    assert len(set(variables)) == len(variables)


def test_every_vendor_is_reached_over_tls_and_priced_by_an_id_the_table_has() -> None:
    from genai_prices.data import providers

    priced = {provider.id for provider in providers}
    for vendor in VENDORS:
        assert vendor.base_url.startswith("https://")
        assert not vendor.base_url.endswith("/")
        assert vendor.price_as is None or vendor.price_as in priced, vendor.name


def test_the_first_of_several_variables_counts() -> None:
    ((_, provider),) = vendors_with_key({"GOOGLE_API_KEY": "second", "GEMINI_API_KEY": "first"})
    assert provider.api_key == "first"


def test_a_key_meant_for_another_place_is_not_sent_to_the_vendor() -> None:
    assert names({"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://127.0.0.1:8400/v1"}) == []
    assert names({"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "https://api.openai.com/v1/"}) == ["openai"]
    assert names({"ANTHROPIC_API_KEY": "x", "ANTHROPIC_BASE_URL": "http://localhost:8400"}) == []


def test_an_empty_key_is_no_key() -> None:
    assert names({"OPENAI_API_KEY": "", "GROQ_API_KEY": " "}) == []


def test_hosts_are_recognised_whatever_the_path() -> None:
    assert price_id("https://api.openai.com/v1/") == "openai"
    assert price_id("https://api.anthropic.com") == "anthropic"
    assert price_id("http://127.0.0.1:11434/v1") is None
    assert answers_responses("https://api.openai.com/v1")
    assert not answers_responses("https://api.groq.com/openai/v1")
