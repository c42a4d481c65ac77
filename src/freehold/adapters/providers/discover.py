"""Looks at what this machine has: model servers that answer, keys in the environment, model files.

Only values come back; what is made of them is decided in `catalog`. Ports are tried on loopback alone,
all at once. A vendor is asked only with the user's own key, and only by `list_models`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from freehold.adapters.providers import known
from freehold.adapters.providers.fetch import FetchError, get_json
from freehold.adapters.providers.gguf_files import GgufFile, find_gguf_files, model_folders
from freehold.core.catalog import Provider

PROBE_S = 1.0
LOOK_S = 1.5
"""All looking together ends by then; what has not answered is taken not to be there."""


class FoundProvider(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that is there, or that a key opens."""

    provider: Provider
    program: str
    """For a person: `Ollama`, or the vendor's name."""
    models: tuple[str, ...] = ()
    local: bool = False
    lists_models: bool = True
    """Whether asking it for its models makes sense."""
    detail: str = ""
    """Why it lists nothing, if it was asked in vain."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, in a fixed order: local servers, vendors, files."""

    providers: tuple[FoundProvider, ...] = ()
    files: tuple[GgufFile, ...] = ()


async def discover(
    env: Mapping[str, str],
    *,
    servers: Sequence[known.LocalServer] = known.LOCAL_SERVERS,
    folders: Iterable[Path] | None = None,
) -> Discovery:
    """Look everywhere, within `LOOK_S` seconds. Never raises for what it finds or does not find."""
    looked_in = model_folders(env) if folders is None else list(folders)
    walking = asyncio.create_task(asyncio.to_thread(find_gguf_files, looked_in))
    probing = [asyncio.create_task(probe_local(server)) for server in servers]
    await asyncio.wait([walking, *probing], timeout=LOOK_S)
    local = [task.result() for task in probing if task.done()]
    files = walking.result() if walking.done() else []
    for task in (walking, *probing):
        task.cancel()  # a thread that still walks ends by itself: it is bounded
    await asyncio.gather(walking, *probing, return_exceptions=True)
    vendors = [
        FoundProvider(provider=provider, program=vendor.name, lists_models=vendor.lists_models)
        for vendor, provider in known.vendors_with_key(env)
    ]
    return Discovery(providers=(*_named_apart(local), *vendors), files=tuple(files))


def _named_apart(found: Iterable[FoundProvider | None]) -> Iterator[FoundProvider]:
    """Those that are there; a second one of the same program is told apart by its port."""
    used: set[str] = set()
    for one in found:
        if one is None:
            continue
        provider = one.provider
        if provider.name in used:
            port = urlsplit(provider.base_url).port
            provider = msgspec.structs.replace(provider, name=f"{provider.name}-{port}")
        used.add(provider.name)
        yield msgspec.structs.replace(one, provider=provider)


async def probe_local(server: known.LocalServer) -> FoundProvider | None:
    """The model server on this loopback port, if one answers there."""
    base_url = f"http://127.0.0.1:{server.port}/v1"
    try:
        listed = await get_json(f"{base_url}/models", timeout_s=PROBE_S)
    except FetchError:
        return None
    models = model_ids(listed)
    if models is None:
        return None
    name, program = _identify(server, listed)
    return FoundProvider(
        provider=Provider(name=name, dialect="openai", base_url=base_url, price_as="local"),
        program=program,
        models=models,
        local=True,
    )


def _identify(server: known.LocalServer, listed: object) -> tuple[str, str]:
    """Name and program: by what it calls the owner of its models, else by a port that says enough."""
    owners = {entry.get("owned_by") for entry in _entries(listed) or ()}
    for candidate in known.LOCAL_SERVERS:
        if candidate.owner in owners:
            return candidate.name, candidate.program
    if server.common_port:
        return f"local-{server.port}", f"model server on port {server.port}"
    return server.name, server.program


async def list_models(found: FoundProvider, *, timeout_s: float = 10.0) -> FoundProvider:
    """`found` with the models that the provider lists for this key. A failure is told in `detail`."""
    if not found.lists_models:
        return found
    provider = found.provider
    try:
        listed = await get_json(models_url(provider), headers=_credentials(provider), timeout_s=timeout_s)
    except FetchError as error:
        told = "the key was refused" if error.status in (401, 403) else str(error)
        return msgspec.structs.replace(found, detail=told)
    models = model_ids(listed)
    if models is None:
        return msgspec.structs.replace(found, detail="its list of models is in no known shape")
    return msgspec.structs.replace(found, models=models, detail="")


def models_url(provider: Provider) -> str:
    """Where a provider lists its models."""
    base = provider.base_url.rstrip("/")
    return f"{base}/v1/models?limit=1000" if provider.dialect == "anthropic" else f"{base}/models"


def _credentials(provider: Provider) -> dict[str, str]:
    headers = dict(provider.headers)
    if provider.dialect == "anthropic":
        headers |= {"anthropic-version": "2023-06-01"}
        if provider.api_key:
            headers |= {"x-api-key": provider.api_key}
    elif provider.api_key:
        headers |= {"Authorization": f"Bearer {provider.api_key}"}
    return headers


def model_ids(listed: object) -> tuple[str, ...] | None:
    """The ids in a list of models: `{"data": [{"id": ...}]}`, or the bare array that Together sends.
    Gemini's `models/` prefix is dropped; ids keep the provider's order. None for any other shape."""
    entries = _entries(listed)
    if entries is None:
        return None
    ids = (entry.get("id") for entry in entries)
    return tuple(dict.fromkeys(i.removeprefix("models/") for i in ids if isinstance(i, str) and i))


def _entries(listed: object) -> list[dict[str, Any]] | None:
    if isinstance(listed, dict):
        listed = cast("dict[str, object]", listed).get("data")
    if not isinstance(listed, list):
        return None
    return [
        cast("dict[str, Any]", entry) for entry in cast("list[object]", listed) if isinstance(entry, dict)
    ]
