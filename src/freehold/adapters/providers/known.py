"""What is known without asking: ports of local model servers, and vendors by the variable their key is in.

Facts from the vendors' own documentation; a vendor stands here only if its endpoint is OpenAI-compatible
or Anthropic's. Looking is done in `discover`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from freehold.core.catalog import Provider


class LocalServer(msgspec.Struct, frozen=True, kw_only=True):
    """A program that serves models, and a port that it uses unless told otherwise."""

    name: str
    """What its provider is called in the catalog."""
    port: int
    program: str
    owner: str
    """What it writes as `owned_by` of a model in `/v1/models`: tells the programs apart."""
    common_port: bool = False
    """Many other programs use the port too."""


LOCAL_SERVERS = (
    LocalServer(name="ollama", port=11434, program="Ollama", owner="library"),
    LocalServer(name="llama-server", port=8080, program="llama-server", owner="llamacpp", common_port=True),
    LocalServer(name="llama-server", port=9931, program="llama-server", owner="llamacpp"),
    LocalServer(name="vllm", port=8000, program="vLLM", owner="vllm", common_port=True),
    LocalServer(name="lmstudio", port=1234, program="LM Studio", owner="organization_owner"),
    LocalServer(name="sglang", port=30000, program="SGLang", owner="sglang"),
)


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that a key in the environment gives access to."""

    name: str
    keys: tuple[str, ...]
    """Variables that may hold the key; the first that is set counts."""
    base_url: str
    dialect: Literal["openai", "anthropic"] = "openai"
    responses: bool = False
    price_as: str | None = None
    """Id in the price table."""
    lists_models: bool = True
    elsewhere: str | None = None
    """Variable by which the vendor's tools are pointed at another endpoint; the key is then for that."""


VENDORS = (
    Vendor(
        name="openai",
        keys=("OPENAI_API_KEY",),
        base_url="https://api.openai.com/v1",
        responses=True,
        price_as="openai",
        elsewhere="OPENAI_BASE_URL",
    ),
    Vendor(
        name="anthropic",
        keys=("ANTHROPIC_API_KEY",),
        base_url="https://api.anthropic.com",
        dialect="anthropic",
        price_as="anthropic",
        elsewhere="ANTHROPIC_BASE_URL",
    ),
    Vendor(
        name="gemini",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        price_as="google",
    ),
    Vendor(name="groq", keys=("GROQ_API_KEY",), base_url="https://api.groq.com/openai/v1", price_as="groq"),
    Vendor(
        name="deepseek",
        keys=("DEEPSEEK_API_KEY",),
        base_url="https://api.deepseek.com/v1",
        price_as="deepseek",
    ),
    Vendor(
        name="openrouter",
        keys=("OPENROUTER_API_KEY",),
        base_url="https://openrouter.ai/api/v1",
        price_as="openrouter",
    ),
    Vendor(
        name="mistral", keys=("MISTRAL_API_KEY",), base_url="https://api.mistral.ai/v1", price_as="mistral"
    ),
    Vendor(
        name="together",
        keys=("TOGETHER_API_KEY",),
        base_url="https://api.together.xyz/v1",
        price_as="together",
    ),
    Vendor(name="xai", keys=("XAI_API_KEY",), base_url="https://api.x.ai/v1", price_as="x-ai"),
    Vendor(
        name="cerebras",
        keys=("CEREBRAS_API_KEY",),
        base_url="https://api.cerebras.ai/v1",
        price_as="cerebras",
    ),
    Vendor(
        name="fireworks",
        keys=("FIREWORKS_API_KEY",),
        base_url="https://api.fireworks.ai/inference/v1",
        price_as="fireworks",
    ),
    Vendor(
        name="moonshot",
        keys=("MOONSHOT_API_KEY",),
        base_url="https://api.moonshot.ai/v1",
        price_as="moonshotai",
    ),
    Vendor(
        name="perplexity",
        keys=("PERPLEXITY_API_KEY",),
        base_url="https://api.perplexity.ai",
        price_as="perplexity",
        lists_models=False,
    ),
    Vendor(name="nvidia", keys=("NVIDIA_API_KEY",), base_url="https://integrate.api.nvidia.com/v1"),
    Vendor(name="deepinfra", keys=("DEEPINFRA_API_KEY",), base_url="https://api.deepinfra.com/v1/openai"),
    Vendor(name="sambanova", keys=("SAMBANOVA_API_KEY",), base_url="https://api.sambanova.ai/v1"),
)


def price_id(base_url: str) -> str | None:
    """The price table's id of the vendor whose host this is; None when it is nobody known."""
    host = urlsplit(base_url).hostname
    return next((vendor.price_as for vendor in VENDORS if urlsplit(vendor.base_url).hostname == host), None)


def answers_responses(base_url: str) -> bool:
    """Whether the endpoint is known to serve `/v1/responses` itself."""
    host = urlsplit(base_url).hostname
    return any(vendor.responses and urlsplit(vendor.base_url).hostname == host for vendor in VENDORS)


def vendors_with_key(env: Mapping[str, str]) -> list[tuple[Vendor, Provider]]:
    """Vendors whose key the environment holds, each with its provider. Asks nobody.

    A key is left alone when the vendor's own variable points its tools elsewhere: then the key belongs
    to that place, and sending it to the vendor would give it away.
    """
    found: list[tuple[Vendor, Provider]] = []
    for vendor in VENDORS:
        key = next((env[name].strip() for name in vendor.keys if env.get(name, "").strip()), None)
        if key is None or _points_elsewhere(vendor, env):
            continue
        provider = Provider(
            name=vendor.name,
            dialect=vendor.dialect,
            base_url=vendor.base_url,
            api_key=key,
            responses=vendor.responses,
            price_as=vendor.price_as,
        )
        found.append((vendor, provider))
    return found


def _points_elsewhere(vendor: Vendor, env: Mapping[str, str]) -> bool:
    other = env.get(vendor.elsewhere, "") if vendor.elsewhere else ""
    return bool(other) and urlsplit(other).hostname != urlsplit(vendor.base_url).hostname
