"""From configuration and discovery to one catalog, and to the servers that it needs. Pure, but for asking
whether a path exists.

What a person wrote goes first: nothing found may take a configured name or change what it means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from freehold.adapters.providers import known
from freehold.adapters.providers.discover import Discovery, FoundProvider
from freehold.adapters.providers.gguf_files import GgufFile
from freehold.core.catalog import Catalog, Deployment, Provider
from freehold.core.config import AliasConfig, Config, ProviderConfig, ServerConfig, candidates_of
from freehold.core.config_paths import with_full_paths
from freehold.core.errors import ConfigError
from freehold.core.memory import Reserve
from freehold.core.servers import RestartRules, ServerSpec

FOUND_CONTEXT = 16_384
"""Tokens given to each slot of a model that was only found: enough to talk, modest in memory."""
FOUND_SLOTS = 2
USUAL_CONTEXT = 4096
"""Tokens for each slot of a llama.cpp server that says nothing; other engines choose themselves."""
USUAL_SLOTS = {"vllm": 32, "sglang": 32}
"""Calls at the same time where nothing is said; 4 for all others."""


def configured_providers(config: Config) -> list[Provider]:
    """The providers of the configuration, with what is known of their hosts filled in."""
    return [_provider(name, section) for name, section in config.providers.items()]


def _provider(name: str, section: ProviderConfig) -> Provider:
    native = known.answers_responses(section.base_url) if section.responses is None else section.responses
    return Provider(
        name=name,
        dialect=section.dialect,
        base_url=section.base_url.rstrip("/"),
        api_key=section.api_key,
        responses=native,
        timeout_s=section.timeout_s,
        headers=section.headers,
        price_as=known.price_id(section.base_url),
    )


def configured_servers(config: Config, folder: Path, env: Mapping[str, str]) -> list[ServerSpec]:
    """The servers of the configuration; relative model paths start at `folder`, the configuration's."""
    full = with_full_paths(config, folder, env, Path.exists)
    return [_spec(name, section, folder) for name, section in full.servers.items()]


def _spec(name: str, section: ServerConfig, folder: Path) -> ServerSpec:
    kind, restart, memory = section.kind, section.restart, section.memory
    same = {key: getattr(section, key) for key in _SAME}
    return ServerSpec(
        name=name,
        engine=kind,
        model=section.model or "",
        model_id=_model_id(section),
        context=section.context or (USUAL_CONTEXT if kind == "llama.cpp" else 0),
        slots=section.slots or USUAL_SLOTS.get(kind, 4),
        folder=str(folder) if kind == "command" else "",
        health_path=section.health or "",
        adopt=(section.adopt or "").rstrip("/"),
        gpus={"auto": None, "none": ()}[section.gpus] if isinstance(section.gpus, str) else section.gpus,
        kv_type=section.kv,
        draft=section.draft or "",
        projector=section.projector or "",
        vram_bytes=memory.vram_bytes,
        ram_bytes=memory.ram_bytes,
        ram_limit_bytes=memory.limit_bytes,
        restart=RestartRules(
            tries=restart.tries,
            interval_s=restart.interval_s,
            first_delay_s=restart.delay_s,
            longest_delay_s=restart.longest_delay_s,
        ),
        **same,
    )


_SAME = (
    *("command", "args", "env", "gpu_layers", "gpu_memory", "cache_ram_bytes", "start", "keep_warm", "pin"),
    *("priority", "idle_stop_s", "min_stay_s", "after", "load_timeout_s", "drain_timeout_s"),
    *("stop_timeout_s", "stop_signal", "stall_timeout_s", "max_queue", "max_wait_s"),
)
"""What a section and a specification call alike."""


def _model_id(section: ServerConfig) -> str:
    """What the server itself calls its model: engines that can be told are told the server's name."""
    told = section.model if section.kind in ("ollama", "command", "adopt") else None
    return "" if told is None or told.startswith("/") else told


def memory_reserve(config: Config) -> Reserve:
    """What is never given to model servers."""
    memory = config.memory
    return Reserve(vram_bytes=memory.vram_reserve_bytes, ram_bytes=memory.ram_reserve_bytes)


def found_servers(files: Iterable[GgufFile], taken: Iterable[str]) -> list[ServerSpec]:
    """A server for each model file found, to be started when somebody asks for it.

    Named after the file; a name that is taken gets a number. Encoders are left out, as the engine
    would have to be told to embed.
    """
    used = set(taken)
    specs: list[ServerSpec] = []
    for file in files:
        if not file.generates:
            continue
        name = _free_name(re.sub(r"[\s/]+", "-", file.label), used)
        used.add(name)
        context = min(FOUND_CONTEXT, file.header.context_length or FOUND_CONTEXT)
        specs.append(ServerSpec(name=name, model=str(file.path), context=context, slots=FOUND_SLOTS))
    return specs


def _free_name(wanted: str, used: set[str]) -> str:
    names = (wanted if n == 1 else f"{wanted}-{n}" for n in range(1, len(used) + 2))
    return next(name for name in names if name not in used)


def usable(config: Config, found: Discovery) -> list[FoundProvider]:
    """Found providers that the configuration does not know under their name or address already."""
    names = {*config.providers, *config.servers, *config.models}
    places = {_place(section.base_url) for section in config.providers.values()}
    return [
        one
        for one in found.providers
        if one.provider.name not in names and _place(one.provider.base_url) not in places
    ]


def unlisted(config: Config, found: Discovery) -> list[FoundProvider]:
    """Those to be asked for their models (`discover.list_models`): providers with `models: "*"`, and
    vendors whose key was found. Put the answers back with `with_listed`."""
    configured = [
        FoundProvider(provider=_provider(name, section), program=name)
        for name, section in config.providers.items()
        if section.models == "*"
    ]
    return [*configured, *(one for one in usable(config, found) if not one.local and one.lists_models)]


def with_listed(found: Discovery, listed: Iterable[FoundProvider]) -> Discovery:
    """`found`, with what providers said of their models instead of, or beside, what was known."""
    known_ones = {(one.provider.name, one.provider.base_url): one for one in [*found.providers, *listed]}
    return msgspec.structs.replace(found, providers=tuple(known_ones.values()))


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host == "localhost" else host, parts.port, parts.path.rstrip("/"))


def build_catalog(config: Config, found: Discovery, servers: Sequence[ServerSpec]) -> Catalog:
    """Everything that can be asked for.

    `servers` are those of the configuration and those made for found files. A provider of the
    configuration with `models: "*"`, and a vendor whose key was found, take any model id (vendors accept
    names that they do not list); what such a provider lists is offered by name as well, when the
    discovery knows it. Raises `ConfigError` for a candidate of an alias that is nowhere.
    """
    extra = usable(config, found)
    providers = {p.name: p for p in [*configured_providers(config), *(one.provider for one in extra)]}
    deployments = {spec.name: _served(spec) for spec in servers}
    for provider, model_ids in _offers(config, found, extra):
        deployments |= {(d := _offered(provider, model_id)).name: d for model_id in model_ids}
    wildcards = (
        *(name for name, section in config.providers.items() if section.models == "*"),
        *(one.provider.name for one in extra if not one.local),
    )
    aliases = {name: _candidates(name, config, deployments, wildcards) for name in config.models}
    for candidate in (name for names in aliases.values() for name in names):
        if candidate not in deployments:
            deployments[candidate] = _offered(*candidate.split("/", 1))
    return Catalog(
        providers=providers,
        deployments=deployments,
        aliases=aliases,
        max_waits={
            name: alias.max_wait_s
            for name, alias in config.models.items()
            if isinstance(alias, AliasConfig) and alias.max_wait_s is not None
        },
        wildcards=wildcards,
        default_provider=_default(config, extra),
    )


def _default(config: Config, extra: Sequence[FoundProvider]) -> str | None:
    """The configuration's first provider, else a vendor, else a local server."""
    found = sorted(extra, key=lambda one: one.local)
    return next(iter([*config.providers, *(one.provider.name for one in found)]), None)


def _offers(
    config: Config, found: Discovery, extra: Iterable[FoundProvider]
) -> Iterable[tuple[str, tuple[str, ...]]]:
    listed = {(one.provider.name, _place(one.provider.base_url)): one.models for one in found.providers}
    for name, section in config.providers.items():
        known_ids = listed.get((name, _place(section.base_url)), ())
        yield name, known_ids if section.models == "*" else section.models
    for one in extra:
        yield one.provider.name, one.models


def _served(spec: ServerSpec) -> Deployment:
    return Deployment(name=spec.name, model_id=spec.upstream_id, server=spec.name)


def _offered(provider: str, model_id: str) -> Deployment:
    return Deployment(name=f"{provider}/{model_id}", model_id=model_id, provider=provider)


def _candidates(
    alias: str, config: Config, deployments: Mapping[str, Deployment], wildcards: Sequence[str]
) -> tuple[str, ...]:
    candidates = candidates_of(config.models[alias])
    for position, candidate in enumerate(candidates):
        provider, slash, model_id = candidate.partition("/")
        open_ended = bool(slash and model_id) and provider in wildcards
        if candidate not in deployments and not open_ended:
            raise ConfigError(
                f"'{candidate}' is neither a server nor a provider's model (PROVIDER/model-id).",
                key=f"models.{alias}.{position}",
                nearest=_nearest(candidate, deployments, wildcards),
            )
    return candidates


def _nearest(candidate: str, deployments: Mapping[str, Deployment], wildcards: Sequence[str]) -> str | None:
    _, slash, model_id = candidate.partition("/")
    spellings = [*deployments, *(f"{name}/{model_id}" for name in wildcards if slash)]
    return next(iter(difflib.get_close_matches(candidate, spellings, n=1, cutoff=0.5)), None)
