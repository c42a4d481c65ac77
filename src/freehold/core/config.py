"""The shape of `freehold.yaml`: frozen typed values, read once at start.

The description of each key stands in its annotation, once; the JSON schema, the reference page and
editors take it from there. Finding and reading the file is in `core.config_file`, the rules that
concern more than one value are in `core.config_checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from freehold.core.config_budgets import BudgetConfig
from freehold.core.config_cache import CacheConfig
from freehold.core.config_prices import EnergyConfig, LimitsConfig, PriceConfig, SubscriptionConfig
from freehold.core.config_routing import Route, RoutingConfig, TiersConfig
from freehold.core.config_servers import Duration, EngineName, ServerConfig, Size
from freehold.core.config_telemetry import TelemetryConfig

__all__ = [
    "Alias",
    "AliasConfig",
    "AuthConfig",
    "BudgetConfig",
    "Config",
    "MemoryConfig",
    "ProviderConfig",
    "ReceiptsConfig",
    "ServerConfig",
    "candidates_of",
]


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may call. Without keys, only this machine may, and each request's Host and Origin are checked."""

    keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Accepted API keys: as `sha256:HEX` from `freehold key new`, or in clear from a "
            "variable (`${FREEHOLD_KEY}`). Required when `listen` is not a loopback address.",
            examples=[["sha256:4f0c…"]],
        ),
    ] = ()


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint that Freehold does not run: an account at a vendor, or a server that is already there."""

    base_url: Annotated[
        str,
        Meta(
            description="Where the API begins: up to and with `/v1` for OpenAI-like providers, without it "
            "for Anthropic.",
            examples=["https://api.openai.com/v1", "https://api.anthropic.com"],
        ),
    ]
    dialect: Annotated[
        Literal["openai", "anthropic"], Meta(description="The wire grammar that the provider speaks.")
    ] = "openai"
    api_key: Annotated[
        str | None,
        Meta(description="The provider's key, best from a variable.", examples=["${OPENAI_API_KEY}"]),
    ] = None
    models: Annotated[
        tuple[str, ...] | Literal["*"],
        Meta(
            description='The model ids to offer, or `"*"`: whatever the provider lists.',
            examples=[["gpt-5-mini"]],
        ),
    ] = "*"
    responses: Annotated[
        bool | None,
        Meta(
            description="Whether the provider answers `/v1/responses` itself; by default only "
            "api.openai.com is taken to. Where it does not, Freehold translates."
        ),
    ] = None
    """Whether the provider answers `/v1/responses` itself; default: only api.openai.com does."""
    timeout_s: Annotated[
        float,
        Meta(gt=0, description="Seconds without a byte from the provider until an attempt is given up."),
    ] = 600.0
    headers: Annotated[
        dict[str, str], Meta(description="Headers added to every request to this provider.")
    ] = {}


class AliasConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name of your own that says more than its candidates. A plain list of candidates is the same."""

    candidates: Annotated[
        tuple[str, ...],
        Meta(
            description="Tried in order until one answers: a server's name or `PROVIDER/model-id`.",
            examples=[["qwen", "openai/gpt-5-mini"]],
        ),
    ]
    route: Annotated[
        Route,
        Meta(
            description="What is tried first: in order; `auto`: the cheapest that is good enough; the "
            "fastest; the cheapest; or the one with the least to do (`balance`)."
        ),
    ] = "order"
    max_wait_s: Annotated[
        Duration | None,
        Meta(
            description="When a server is expected to need longer than this before it can begin, the next "
            "candidate is asked.",
            examples=["20s"],
        ),
    ] = field(name="max_wait", default=None)


Alias = tuple[str, ...] | AliasConfig


class MemoryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory that is never given to model servers."""

    vram_reserve_bytes: Annotated[Size, Meta(description="Kept free on each GPU.")] = field(
        name="vram_reserve", default=512 * 1024**2
    )
    ram_reserve_bytes: Annotated[Size, Meta(description="Kept free of host memory.")] = field(
        name="ram_reserve", default=1024**3
    )


class ReceiptsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept beside the receipts. A receipt itself never holds a prompt or an answer."""

    payloads: Annotated[
        Literal["off", "errors", "all"],
        Meta(description="Which request and response bodies are kept: none, those of failed calls, or all."),
    ] = "off"
    dir: Annotated[
        str | None,
        Meta(
            description="Folder for kept payloads; relative to the configuration file. "
            "By default `payloads` in Freehold's state folder."
        ),
    ] = None


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that `freehold.yaml` can say. Every key has a default, so an empty file is valid."""

    listen: Annotated[
        str,
        Meta(
            description="Address and port of the one endpoint, as `HOST:PORT`.",
            examples=["127.0.0.1:8400", "[::1]:8400"],
        ),
    ] = "127.0.0.1:8400"
    auth: Annotated[AuthConfig, Meta(description="Who may call.")] = AuthConfig()
    providers: Annotated[
        dict[str, ProviderConfig],
        Meta(
            description="Endpoints that Freehold does not run, by name. "
            "Ask for their models as `NAME/model-id`."
        ),
    ] = {}
    servers: Annotated[
        dict[str, ServerConfig],
        Meta(description="Model servers that Freehold runs, by name. Ask for one by its name."),
    ] = {}
    memory: Annotated[MemoryConfig, Meta(description="Memory that is never given to model servers.")] = (
        MemoryConfig()
    )
    engines: Annotated[
        dict[EngineName, str],
        Meta(
            description="Where an engine's program is, when it is not on the PATH: a path, relative to the "
            "configuration file, `~` is allowed.",
            examples=[{"llama.cpp": "~/llama.cpp/build/bin/llama-server"}],
        ),
    ] = {}
    keep_servers: Annotated[
        bool,
        Meta(
            description="Model servers live on when Freehold is stopped, and are found again by the next "
            "start. They do in any case when Freehold is killed."
        ),
    ] = False
    models: Annotated[
        dict[str, Alias],
        Meta(
            description="Names of your own: each is a list of candidates, tried in order until one answers, "
            "or keys and values. A candidate is a server's name or `PROVIDER/model-id`."
        ),
    ] = {}
    tiers: Annotated[TiersConfig, Meta(description="Who may answer `model: auto`.")] = TiersConfig()
    routing: Annotated[RoutingConfig, Meta(description="How `model: auto` chooses.")] = RoutingConfig()
    budgets: Annotated[
        tuple[BudgetConfig, ...],
        Meta(
            description="How much may be spent, by whom, in what time. Models of our own cost nothing here."
        ),
    ] = ()
    prices: Annotated[
        dict[str, PriceConfig],
        Meta(description="What you pay, by `PROVIDER/model-id`, where it is not the list price."),
    ] = {}
    energy: Annotated[
        EnergyConfig, Meta(description="What tokens of model servers cost: electricity and wear.")
    ] = EnergyConfig()
    subscriptions: Annotated[
        tuple[SubscriptionConfig, ...],
        Meta(description="What is paid by the month: accounts at providers, rented machines."),
    ] = ()
    limits: Annotated[
        LimitsConfig, Meta(description="How much of what providers allow is left to people.")
    ] = LimitsConfig()
    cache: Annotated[CacheConfig, Meta(description="Answers that need no model.")] = CacheConfig()
    receipts: Annotated[ReceiptsConfig, Meta(description="What is kept beside the receipts.")] = (
        ReceiptsConfig()
    )
    telemetry: Annotated[
        TelemetryConfig, Meta(description="OpenTelemetry: what is passed on, and what leaves.")
    ] = TelemetryConfig()
    discover: Annotated[
        bool,
        Meta(description="Look for model servers, API keys and GGUF files on this machine when starting."),
    ] = True


def candidates_of(alias: Alias) -> tuple[str, ...]:
    """The candidates of an alias, however it is written."""
    return alias.candidates if isinstance(alias, AliasConfig) else alias
