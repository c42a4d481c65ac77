"""The shape of `freehold.yaml`: frozen typed values, read once at start.

The description of each key stands in its annotation, once; the JSON schema, the reference page and
editors take it from there. Finding and reading the file is in `core.config_file`, the rules that
concern more than one value are in `core.config_checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


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


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model server that Freehold starts, checks and stops."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="Path of the GGUF file; relative to the configuration file, `~` is allowed.",
            examples=["~/models/qwen3-8b-q4_k_m.gguf"],
        ),
    ]
    engine: Annotated[Literal["llama.cpp"], Meta(description="The program that serves the model.")] = (
        "llama.cpp"
    )
    context: Annotated[int, Meta(ge=1, description="Context window of each slot, in tokens.")] = 4096
    slots: Annotated[int, Meta(ge=1, description="How many requests are served at the same time.")] = 4


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
    models: Annotated[
        dict[str, tuple[str, ...]],
        Meta(
            description="Names of your own: each is a list of candidates, tried in order until one answers. "
            "A candidate is a server's name or `PROVIDER/model-id`."
        ),
    ] = {}
    receipts: Annotated[ReceiptsConfig, Meta(description="What is kept beside the receipts.")] = (
        ReceiptsConfig()
    )
    discover: Annotated[
        bool,
        Meta(description="Look for model servers, API keys and GGUF files on this machine when starting."),
    ] = True
    """Look for model servers, API keys and GGUF files on this machine when starting."""
