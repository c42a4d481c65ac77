"""What can be asked for, and where it runs: an immutable snapshot that is swapped whole.

Deciding which deployment to use belongs to `routing`; finding out what exists to
`adapters.providers`; this module only holds the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Dialect = Literal["chat", "messages", "responses", "ollama"]
"""Wire grammars: OpenAI chat completions, Anthropic messages, OpenAI responses, Ollama chat."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint we do not run. `base_url` ends before the operation: for OpenAI-like ones it
    includes `/v1` (or the vendor's path), for Anthropic it does not."""

    name: str
    dialect: Literal["openai", "anthropic"]
    base_url: str
    api_key: str | None = None
    responses: bool = False
    timeout_s: float = 600.0
    headers: Mapping[str, str] = {}
    price_as: str | None = None
    """Provider id in the price table (`openai`, `anthropic`, `groq`, ...), when known."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a model can be had: a provider's model, or a model server that we run.

    `name` is what configuration and receipts call it: `PROVIDER/model-id` or the server's name.
    `model_id` is what the upstream calls the model. Exactly one of `provider`, `server` is set.
    """

    name: str
    model_id: str
    provider: str | None = None
    server: str | None = None


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be asked for at one moment.

    `wildcards` are providers that accept any model id (`models: "*"` and not listable);
    `aliases` map a name to deployment names, in the order in which they are tried.
    """

    providers: Mapping[str, Provider] = {}
    deployments: Mapping[str, Deployment] = {}
    aliases: Mapping[str, tuple[str, ...]] = {}
    wildcards: tuple[str, ...] = ()
    default_provider: str | None = None
    max_waits: Mapping[str, float] = {}
    """By alias: seconds after which a candidate that still could not begin is left for the next one."""
