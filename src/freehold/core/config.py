"""The shape of `freehold.yaml`: frozen typed values, read once at start.

Reading the file, `${VAR}` expansion and errors with line numbers are in `core.config_file`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AuthConfig(_Section):
    keys: tuple[str, ...] = ()
    """Accepted API keys, in clear (`${VAR}`) or as `sha256:HEX` from `freehold key`."""


class ProviderConfig(_Section):
    base_url: str
    dialect: Literal["openai", "anthropic"] = "openai"
    api_key: str | None = None
    models: tuple[str, ...] | Literal["*"] = "*"
    responses: bool | None = None
    """Whether the provider answers `/v1/responses` itself; default: only api.openai.com does."""
    timeout_s: float = 600.0
    headers: dict[str, str] = {}


class ServerConfig(_Section):
    model: str
    engine: Literal["llama.cpp"] = "llama.cpp"
    context: int = 4096
    slots: int = 4


class ReceiptsConfig(_Section):
    payloads: Literal["off", "errors", "all"] = "off"
    dir: str | None = None


class Config(_Section):
    listen: str = "127.0.0.1:8400"
    auth: AuthConfig = AuthConfig()
    providers: dict[str, ProviderConfig] = {}
    servers: dict[str, ServerConfig] = {}
    models: dict[str, tuple[str, ...]] = {}
    receipts: ReceiptsConfig = ReceiptsConfig()
    discover: bool = True
    """Look for model servers, API keys and GGUF files on this machine when starting."""
