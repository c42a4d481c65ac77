"""LiteLLM's proxy configuration (`model_list`, `litellm_settings`, `router_settings`, `general_settings`)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from freehold.adapters.providers.known import VENDORS, Vendor
from freehold.app.imports.findings import Document, Findings, Imported, free_name, items, mapping, plain_name

_VENDORS = {vendor.name: vendor for vendor in VENDORS}
_ALIKE = {
    "text-completion-openai": "openai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "nvidia_nim": "nvidia",
    "anthropic_text": "anthropic",
    "google": "gemini",
}
"""LiteLLM's names of vendors that have another one here."""
_OPENAI_LIKE = {
    "openai": "",
    "custom_openai": "",
    "openai_like": "",
    "litellm_proxy": "",
    "hosted_vllm": "",
    "vllm": "",
    "lm_studio": "",
    "llamafile": "",
    "xinference": "",
    "ollama": "/v1",
    "ollama_chat": "/v1",
    "azure": "/openai/v1",
    "azure_ai": "",
}
"""Places that are named by `api_base`, and what comes between that and the operation."""
_USUAL_BASE = {"ollama": "http://127.0.0.1:11434", "ollama_chat": "http://127.0.0.1:11434"}
_ENVIRONMENT = "os.environ/"
_TAKEN = frozenset(
    (
        *("model", "api_key", "api_base", "base_url", "timeout", "extra_headers", "headers", "organization"),
        *("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
        *("cache_creation_input_token_cost", "custom_llm_provider"),
    )
)
_HINTS = {
    "rpm": "rate limits of a deployment are the provider's own; Freehold waits when it says so",
    "tpm": "rate limits of a deployment are the provider's own; Freehold waits when it says so",
    "api_version": "Azure is asked by its v1 API, which needs none",
    "stream_timeout": "one time-out counts for whole answers and streams: `timeout_s`",
    "weight": "candidates are tried in order",
}
_PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
}


def from_litellm(document: Document) -> Imported:
    """Our configuration for the same models. Nothing in the document is refused: what is not understood is
    noted."""
    reading = _Reading(document)
    reading.models()
    reading.fallbacks()
    reading.settings()
    return reading.found.done()


class _Reading:
    def __init__(self, document: Document) -> None:
        self.found = Findings()
        self._document = document
        self._settings = mapping(document.get("litellm_settings"))
        self._router = mapping(document.get("router_settings"))
        self._general = mapping(document.get("general_settings"))
        self._places: dict[tuple[str, str, str], str] = {}
        """(vendor, base URL, key) -> name of the provider of ours."""
        self._groups: dict[str, list[str]] = {}
        """LiteLLM's model name -> candidates of ours."""

    def models(self) -> None:
        for number, entry in enumerate(items(self._document.get("model_list"))):
            self._entry(mapping(entry), f"model_list[{number}]")
        for name, candidates in self._groups.items():
            if len(candidates) > 1:
                self.found.note(
                    f"model_list: {name}", "LiteLLM balances over its places; here they are tried in order"
                )
            if candidates != [name]:
                self.found.models[name] = candidates

    def _entry(self, entry: Document, path: str) -> None:
        name, said = str(entry.get("model_name") or ""), mapping(entry.get("litellm_params"))
        model = str(said.get("model") or "")
        if not name or not model:
            self.found.note(path, "names no model")
            return
        vendor, _, model_id = self._split(model, said)
        provider = self._provider(vendor, said, path)
        if provider is None:
            return
        for key, value in said.items():
            if key not in _TAKEN and value is not None:
                self.found.note(f"{path}.{key}", _HINTS.get(key, "not carried over"))
        self._offer(name, provider, model_id, path)
        self._prices(said, f"{provider}/{model_id}")

    @staticmethod
    def _split(model: str, said: Document) -> tuple[str, str, str]:
        vendor, slash, model_id = model.partition("/")
        if said.get("custom_llm_provider"):
            return str(said["custom_llm_provider"]), "/", model
        if slash:
            return vendor, slash, model_id
        return ("anthropic" if model.startswith("claude") else "openai"), "/", model

    def _provider(self, vendor: str, said: Document, path: str) -> str | None:
        """The provider for this place, made when it is met first; None when there can be none."""
        known = _VENDORS.get(_ALIKE.get(vendor, vendor))
        base = str(said.get("api_base") or said.get("base_url") or "").rstrip("/")
        if not base and known is None:
            base = _USUAL_BASE.get(vendor, "")
        if (not base and known is None) or (base and known is None and vendor not in _OPENAI_LIKE):
            self.found.note(path, f"'{vendor}' speaks neither OpenAI's nor Anthropic's API: left out")
            return None
        key = _variable(said.get("api_key"))
        name = self._places.get((vendor, base, key))
        if name is None:
            name = free_name(plain_name(known.name if known else vendor), self.found.providers)
            self._places[vendor, base, key] = name
            self.found.providers[name] = self._section(vendor, known, base, key)
        self._more(self.found.providers[name], said)
        return name

    def _section(self, vendor: str, known: Vendor | None, base: str, key: str) -> dict[str, Any]:
        section: dict[str, Any] = {}
        if known is not None and known.dialect != "openai":
            section["dialect"] = known.dialect
        between = _OPENAI_LIKE.get(vendor, "")
        if base:
            tail = "" if not between or base.endswith(between) else between
            base_url = _variable(base) + tail
            section["base_url"] = base_url.removesuffix("/v1") if section.get("dialect") else base_url
        else:
            assert known is not None
            section["base_url"] = known.base_url
        if key:
            section["api_key"] = key
        elif known is not None and not base:
            section["api_key"] = f"${{{known.keys[0]}}}"
        section["models"] = []
        return section

    def _more(self, section: dict[str, Any], said: Document) -> None:
        timeout = said.get("timeout", self._settings.get("request_timeout"))
        if isinstance(timeout, int | float) and timeout > 0:
            section["timeout_s"] = max(section.get("timeout_s", 0), timeout)
        headers = mapping(said.get("extra_headers") or said.get("headers"))
        if headers:
            section["headers"] = {str(name): _variable(value) for name, value in headers.items()}

    def _offer(self, name: str, provider: str, model_id: str, path: str) -> None:
        models = self.found.providers[provider]["models"]
        if "*" in model_id:
            if model_id != "*":
                self.found.note(path, f"'{model_id}': all models of {provider} are offered instead")
            self.found.providers[provider]["models"] = "*"
            if name.strip("*/") not in ("", provider):
                self.found.note(path, f"names like '{name}' are asked for as {provider}/MODEL here")
            return
        if models != "*" and model_id not in models:
            self.found.providers[provider]["models"] = [*models, model_id]
        candidates = self._groups.setdefault(name, [])
        if f"{provider}/{model_id}" not in candidates:
            candidates.append(f"{provider}/{model_id}")

    def _prices(self, said: Document, deployment: str) -> None:
        prices = {
            ours: price for theirs, ours in _PRICES.items() if (price := _per_million(said.get(theirs)))
        }
        if prices:
            self.found.prices[deployment] = prices

    def fallbacks(self) -> None:
        for section, path in ((self._settings, "litellm_settings"), (self._router, "router_settings")):
            for entry in items(section.get("fallbacks")):
                for name, others in mapping(entry).items():
                    self._fall_back(str(name), [str(other) for other in items(others)], f"{path}.fallbacks")
            for key in ("context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"):
                if section.get(key):
                    self.found.note(f"{path}.{key}", "candidates follow on every failure here, in one order")
        for alias, target in mapping(self._router.get("model_group_alias")).items():
            meant = str(mapping(target).get("model") or target)
            self.found.models[str(alias)] = list(self._candidates(meant))

    def _fall_back(self, name: str, others: list[str], path: str) -> None:
        if name == "*" or name not in self._groups:
            self.found.note(path, f"'{name}' is no model of the list")
            return
        listed = self.found.models.setdefault(name, list(self._groups[name]))
        listed += [one for other in others for one in self._candidates(other) if one not in listed]

    def _candidates(self, name: str) -> Iterator[str]:
        if name not in self._groups:
            self.found.note("router_settings", f"'{name}' is no model of the list")
        yield from self._groups.get(name, ())

    def settings(self) -> None:
        master = self._general.get("master_key")
        if master:
            self.found.keys.append(_variable(master))
        self._budget()
        taken = frozenset(("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"))
        taken |= {"default_fallbacks", "request_timeout", "max_budget", "budget_duration"}
        taken |= {"drop_params", "set_verbose", "num_retries", "telemetry", "model_group_alias"}
        self.found.leave(self._settings, taken, "litellm_settings")
        self.found.leave(self._router, taken | {"routing_strategy", "timeout"}, "router_settings")
        self.found.leave(self._general, frozenset(("master_key",)), "general_settings")
        sections = frozenset(("model_list", "litellm_settings", "router_settings", "general_settings"))
        self.found.leave(self._document, sections, "")

    def _budget(self) -> None:
        limit = self._settings.get("max_budget")
        if isinstance(limit, int | float):
            window = str(self._settings.get("budget_duration") or "total")
            self.found.budgets.append({"scope": "all", "limit_usd": limit, "window": window})


def _variable(value: object) -> str:
    """LiteLLM's `os.environ/NAME` as ours; a literal `${` keeps its meaning."""
    text = str(value) if value is not None else ""
    if text.startswith(_ENVIRONMENT):
        return f"${{{text[len(_ENVIRONMENT) :]}}}"
    return text.replace("${", "$${")


def _per_million(value: object) -> float | None:
    """USD per token, as YAML has it (`3e-06` may come as text), as USD per million."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(Decimal(str(value)) * 1_000_000)
    except InvalidOperation:
        return None
