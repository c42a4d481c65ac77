"""Discovery against stand-in servers on loopback: what answers is told apart, what does not is no error."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from freehold.adapters.providers.discover import (
    LOOK_S,
    FoundProvider,
    discover,
    list_models,
    model_ids,
    models_url,
    probe_local,
)
from freehold.adapters.providers.known import LocalServer
from freehold.core.catalog import Provider
from freehold.testing.standin import refused_port
from tests.adapters.providers.loopback import loopback, silence


def models(*ids: str, owner: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": i, "object": "model", "owned_by": owner} for i in ids]}


def at(port: int, *, name: str = "ollama", program: str = "Ollama", common: bool = False) -> LocalServer:
    return LocalServer(name=name, port=port, program=program, owner="library", common_port=common)


@pytest.mark.parametrize(
    ("owner", "name", "program"),
    [
        ("library", "ollama", "Ollama"),
        ("llamacpp", "llama-server", "llama-server"),
        ("vllm", "vllm", "vLLM"),
        ("organization_owner", "lmstudio", "LM Studio"),
        ("sglang", "sglang", "SGLang"),
    ],
)
async def test_the_program_is_told_by_what_it_calls_the_owner(owner: str, name: str, program: str) -> None:
    async with loopback({"/v1/models": models("a", "b", owner=owner)}) as server:
        found = await probe_local(at(server.port, name="guess", common=True))
    assert found is not None
    assert (found.provider.name, found.program, found.models) == (name, program, ("a", "b"))
    assert found.provider.base_url == f"http://127.0.0.1:{server.port}/v1"
    assert found.local


async def test_an_owner_nobody_knows_is_told_by_a_port_that_says_enough() -> None:
    async with loopback({"/v1/models": models("hf.co/x", owner="someone")}) as server:
        found = await probe_local(at(server.port))
        other = await probe_local(at(server.port, common=True))
    assert found is not None
    assert found.program == "Ollama"
    assert other is not None
    assert other.provider.name == f"local-{server.port}"


@pytest.mark.parametrize(
    "routes",
    [
        {},
        {"/v1/models": {"hello": "world"}},
        {"/v1/models": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>"},
        {"/v1/models": b"SSH-2.0-OpenSSH_9.2\r\n\r\n"},
        {"/v1/models": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"},
        {"/v1/models": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
        {"/v1/models": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut"},
        {"/v1/models": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {"/v1/models": b""},
    ],
)
async def test_whatever_else_answers_there_is_no_model_server(routes: dict[str, object]) -> None:
    async with loopback(routes) as server:
        assert await probe_local(at(server.port)) is None


async def test_chunked_and_unlimited_answers_are_read() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n"
        + b'{"data":['
        + b"\r\n2;x=y\r\n]}\r\n0\r\n\r\n"
    )
    unlimited = b'HTTP/1.1 200 OK\r\n\r\n{"data":[{"id":"m"}]}'
    async with loopback({"/v1/models": chunked}) as one, loopback({"/v1/models": unlimited}) as two:
        first, second = await probe_local(at(one.port)), await probe_local(at(two.port))
    assert first is not None
    assert first.models == ()
    assert second is not None
    assert second.models == ("m",)


async def test_a_port_that_never_answers_delays_nobody_beyond_the_bound(tmp_path: Path) -> None:
    answers = {"/v1/models": models("m", owner="vllm")}
    async with silence() as port, loopback(answers) as server:
        with refused_port() as nobody:
            servers = [at(port), at(server.port), at(nobody)]
            began = time.monotonic()
            found = await discover({}, servers=servers, folders=[tmp_path])
            assert time.monotonic() - began < LOOK_S + 0.5
    assert [one.provider.name for one in found.providers] == ["vllm"]


async def test_two_servers_of_one_program_are_told_apart_by_port(tmp_path: Path) -> None:
    answer = {"/v1/models": models("m", owner="llamacpp")}
    async with loopback(answer) as one, loopback(answer) as two:
        found = await discover({}, servers=[at(one.port), at(two.port)], folders=[tmp_path])
    assert [p.provider.name for p in found.providers] == ["llama-server", f"llama-server-{two.port}"]


async def test_keys_open_vendors_without_asking_anyone(tmp_path: Path) -> None:
    env = {"GROQ_API_KEY": "gsk", "ANTHROPIC_API_KEY": "sk-ant", "OPENAI_API_KEY": "  "}
    found = await discover(env, servers=[], folders=[tmp_path])
    assert [(p.provider.name, p.provider.dialect, p.models) for p in found.providers] == [
        ("anthropic", "anthropic", ()),
        ("groq", "openai", ()),
    ]


def vendor(port: int, dialect: str = "openai") -> FoundProvider:
    base = f"http://127.0.0.1:{port}" + ("" if dialect == "anthropic" else "/v1")
    provider = Provider(
        name="v", dialect="anthropic" if dialect == "anthropic" else "openai", base_url=base, api_key="k"
    )
    return FoundProvider(provider=provider, program="v")


async def test_a_vendor_is_asked_with_the_users_key() -> None:
    async with loopback({"/v1/models": [{"id": "bare"}, {"id": "array"}]}) as server:
        found = await list_models(vendor(server.port))
    assert found.models == ("bare", "array")
    assert "Authorization: Bearer k" in server.heads[0]


async def test_anthropic_is_asked_in_its_own_way() -> None:
    async with loopback({"/v1/models?limit=1000": {"data": [{"type": "model", "id": "claude-x"}]}}) as server:
        found = await list_models(vendor(server.port, "anthropic"))
    assert found.models == ("claude-x",)
    assert "x-api-key: k" in server.heads[0]
    assert "anthropic-version: 2023-06-01" in server.heads[0]


async def test_a_refused_key_is_a_state_and_no_error() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    async with loopback({"/v1/models": refusal}) as server:
        found = await list_models(vendor(server.port))
    assert (found.models, found.detail) == ((), "the key was refused")


async def test_an_unreachable_vendor_is_a_state_and_no_error() -> None:
    with refused_port() as port:
        found = await list_models(vendor(port))
    assert found.models == ()
    assert found.detail.startswith("no usable answer")


async def test_one_that_has_no_list_is_not_asked() -> None:
    found = FoundProvider(provider=vendor(1).provider, program="v", lists_models=False)
    assert await list_models(found) is found


def test_ids_are_taken_as_the_vendors_write_them() -> None:
    assert model_ids({"data": [{"id": "models/gemini-x"}, {"id": 3}, "odd", {"id": "b"}, {"id": "b"}]}) == (
        "gemini-x",
        "b",
    )
    assert model_ids({"models": []}) is None
    assert model_ids(None) is None


def test_where_models_are_listed() -> None:
    assert models_url(vendor(1).provider) == "http://127.0.0.1:1/v1/models"
    assert models_url(vendor(1, "anthropic").provider) == "http://127.0.0.1:1/v1/models?limit=1000"
