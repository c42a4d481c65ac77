"""LiteLLM's proxy configuration (`model_list`, `litellm_settings`, `router_settings`, `general_settings`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from freehold.adapters.providers.known import VENDORS, Vendor
from freehold.app.imports.findings import (
    Document,
    Findings,
    Imported,
    Note,
    free_name,
    items,
    mapping,
    plain_name,
)
from freehold.core.config_budgets import window_ms
from freehold.core.errors import ConfigError

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
_ENVIRONMENT = re.compile(r"(?<!\w)os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_TAKEN = frozenset(
    (
        *("model", "api_key", "api_base", "base_url", "timeout", "extra_headers", "headers"),
        *("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
        *("cache_creation_input_token_cost", "custom_llm_provider", "litellm_credential_name"),
    )
)
_HINTS = {
    "rpm": "rate limits of a deployment are the provider's own; Freehold waits when it says so",
    "tpm": "rate limits of a deployment are the provider's own; Freehold waits when it says so",
    "api_version": "Azure is asked by its v1 API, which needs none",
    "stream_timeout": "one time-out counts for whole answers and streams: `timeout_s`",
    "weight": "candidates are tried in order",
    "routing_strategy": "candidates are tried in order; `model: auto` chooses among all",
    "max_retries": "one more try at the same place, where there is no other candidate",
    "num_retries": "one more try at the same place, where there is no other candidate",
    "retry_policy": "one more try at the same place, where there is no other candidate",
    "allowed_fails": "a place that fails five times in a row is left alone for a while",
    "cooldown_time": "a place that fails five times in a row is left alone for a while",
    "drop_params": "what another dialect cannot say is left out and named in the receipt",
    "context_window_fallbacks": "not carried over: candidates follow on every failure, in one order",
    "content_policy_fallbacks": "not carried over: candidates follow on every failure, in one order",
    "cache": "not carried over: see `cache`",
    "cache_params": "not carried over: see `cache`",
    "provider_budget_config": "not carried over: see `budgets`, scope provider:NAME",
    "max_budget": "not carried over: see `budgets`, scope model:NAME",
    "environment_variables": "not carried over: set them in the environment, or in `.env` beside this file",
    "include": "not read: import these files, too",
    "database_url": "not needed: state lies in a folder",
    "organization": "not carried over: say it under `headers`, as openai-organization",
}
_INFORMATION = frozenset(
    ("id", "mode", "max_tokens", "max_input_tokens", "max_output_tokens", "description", "db_model")
)
"""Of `model_info`: what only describes. So do keys that begin with `supports_`."""
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
        self._names: dict[str, str] = {}
        """LiteLLM's name -> ours."""
        self._patterns: list[tuple[str, str]] = []
        """Model names with a star, and what the model is called here, with a star, too."""
        self._credentials = {
            str(mapping(each).get("credential_name")): mapping(mapping(each).get("credential_values"))
            for each in items(document.get("credential_list"))
        }

    def models(self) -> None:
        for number, entry in enumerate(items(self._document.get("model_list"))):
            self._entry(mapping(entry), f"model_list[{number}]")
        for name, candidates in self._groups.items():
            if len(candidates) > 1:
                self.found.note(
                    f"model_list: {name}", "LiteLLM balances over its places; here they are tried in order"
                )
            if candidates != [name]:
                self.found.models[self._called(name)] = candidates

    def _entry(self, entry: Document, path: str) -> None:
        name, said = str(entry.get("model_name") or ""), mapping(entry.get("litellm_params"))
        if said.get("litellm_credential_name"):
            said = {**self._credentials.get(str(said["litellm_credential_name"]), {}), **said}
        model = str(said.get("model") or "")
        if not name or not model:
            self.found.note(path, "names no model")
            return
        vendor, _, model_id = self._split(model, said)
        provider = self._provider(vendor, said, path)
        if provider is None:
            return
        self.found.leave(said, _TAKEN, path, _HINTS)
        self._offer(name, provider, model_id, path)
        known = mapping(entry.get("model_info"))
        self._prices({**known, **said}, f"{provider}/{model_id}", path)
        described = frozenset(key for key in known if str(key).startswith("supports_"))
        self.found.leave(known, _INFORMATION | described | _PRICES.keys(), f"{path}.model_info")

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
            why = (
                "needs an address, `api_base`"
                if vendor in _OPENAI_LIKE
                else "speaks neither OpenAI's nor Anthropic's API"
            )
            self.found.note(path, f"'{vendor}' {why}: left out")
            return None
        key = _variable(said.get("api_key"))
        name = self._places.get((vendor, base, key))
        if name is None:
            name = free_name(plain_name(known.name if known else vendor), self.found.providers)
            self._places[vendor, base, key] = name
            self.found.providers[name] = self._section(vendor, known, base, key)
        self._more(self.found.providers[name], said, path)
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
        elif known is not None and base in ("", known.base_url):
            section["api_key"] = f"${{{known.keys[0]}}}"
        section["models"] = []
        return section

    def _more(self, section: dict[str, Any], said: Document, path: str) -> None:
        timeout = said.get("timeout", self._router.get("timeout", self._settings.get("request_timeout")))
        if isinstance(timeout, int | float) and timeout > 0:
            section["timeout_s"] = max(section.get("timeout_s", 0), timeout)
        elif timeout is not None:
            self.found.note(f"{path}.timeout", f"{timeout!r}: say it in seconds, as `timeout_s`")
        headers = mapping(said.get("extra_headers") or said.get("headers"))
        if headers:
            section["headers"] = {str(name): _variable(value) for name, value in headers.items()}

    def _offer(self, name: str, provider: str, model_id: str, path: str) -> None:
        models = self.found.providers[provider]["models"]
        if "*" in model_id:
            if model_id != "*":
                self.found.note(path, f"'{model_id}': all models of {provider} are offered instead")
            self.found.providers[provider]["models"] = "*"
            self._patterns.append((name, f"{provider}/{model_id}"))
            if name == "*":
                self.found.note(path, f"names that are not listed are asked for as {provider}/MODEL here")
            elif name.strip("*/") != provider:
                self.found.note(path, f"names like '{name}' are asked for as {provider}/MODEL here")
            return
        if models != "*" and model_id not in models:
            self.found.providers[provider]["models"] = [*models, model_id]
        candidates = self._groups.setdefault(name, [])
        if f"{provider}/{model_id}" not in candidates:
            candidates.append(f"{provider}/{model_id}")

    def _prices(self, said: Document, deployment: str, path: str) -> None:
        prices: dict[str, float] = {}
        for theirs, ours in _PRICES.items():
            price = _per_million(said.get(theirs))
            if price is not None:
                prices[ours] = price
            elif said.get(theirs) is not None:
                self.found.note(f"{path}.{theirs}", f"{said[theirs]!r} is no price")
        if prices:
            self.found.prices[deployment] = prices

    def fallbacks(self) -> None:
        for section, path in ((self._settings, "litellm_settings"), (self._router, "router_settings")):
            for entry in items(section.get("fallbacks")):
                for name, others in mapping(entry).items():
                    meant = [str(mapping(other).get("model") or other) for other in items(others)]
                    self._fall_back(str(name), meant, f"{path}.fallbacks")
        for section, path in ((self._settings, "litellm_settings"), (self._router, "router_settings")):
            others = [str(other) for other in items(section.get("default_fallbacks"))]
            for name in self._groups if others else ():
                self._fall_back(name, others, f"{path}.default_fallbacks")
        for alias, target in mapping(self._router.get("model_group_alias")).items():
            meant = str(mapping(target).get("model") or target)
            candidates = list(self._candidates(meant, "router_settings.model_group_alias"))
            if candidates:
                self.found.models[self._called(str(alias))] = candidates

    def _fall_back(self, name: str, others: list[str], path: str) -> None:
        if name not in self._groups:
            self._missing(name, path)
            return
        listed = self.found.models.setdefault(self._called(name), list(self._groups[name]))
        listed += [one for other in others for one in self._candidates(other, path) if one not in listed]

    def _candidates(self, name: str, path: str) -> Iterator[str]:
        aliased = mapping(self._router.get("model_group_alias")).get(name)
        if name not in self._groups and aliased is not None:
            name = str(mapping(aliased).get("model") or aliased)
        if name in self._groups:
            yield from self._groups[name]
            return
        for pattern, target in self._patterns:
            if fnmatchcase(name, pattern):
                middle = name.removeprefix(pattern.partition("*")[0])
                yield target.replace("*", middle.removesuffix(pattern.rpartition("*")[2]), 1)
                return
        self._missing(name, path)

    def _missing(self, name: str, path: str) -> None:
        note = Note(key=path, text=f"'{name}' is no model of the list")
        if note not in self.found.notes:
            self.found.notes.append(note)

    def _called(self, name: str) -> str:
        """A name as it may be here."""
        here = self._names.get(name)
        if here is None:
            plain = plain_name(name)
            here = self._names[name] = plain if plain == name else free_name(plain, self._taken_names())
        note = Note(key=f"model_list: {name}", text=f"is called '{here}' here")
        if here != name and note not in self.found.notes:
            self.found.notes.append(note)
        return here

    def _taken_names(self) -> dict[str, None]:
        """Also those of groups that keep theirs, wherever they stand in the file."""
        own = {name for name in self._groups if plain_name(name) == name}
        return dict.fromkeys((*self._names.values(), *own))

    def settings(self) -> None:
        master = self._general.get("master_key")
        if master:
            self.found.keys.append(_variable(master))
        self._budget()
        taken = frozenset(("fallbacks", "default_fallbacks", "set_verbose", "telemetry"))
        own = {"request_timeout", "max_budget", "budget_duration"}
        self.found.leave(self._settings, taken | own, "litellm_settings", _HINTS)
        self.found.leave(self._router, taken | {"timeout", "model_group_alias"}, "router_settings", _HINTS)
        self.found.leave(self._general, frozenset(("master_key",)), "general_settings", _HINTS)
        sections = frozenset(("model_list", "litellm_settings", "router_settings", "general_settings"))
        self.found.leave(self._document, sections | {"credential_list"}, "", _HINTS)

    def _budget(self) -> None:
        limit = self._settings.get("max_budget")
        if not isinstance(limit, int | float) or isinstance(limit, bool) or limit <= 0:
            if limit is not None:
                self.found.note("litellm_settings.max_budget", "not carried over: see `budgets`")
            return
        said = str(self._settings.get("budget_duration") or "total")
        window = {"1mo": "month"}.get(said, said)
        try:
            window_ms(window)
        except ConfigError:
            self.found.note(
                "litellm_settings.budget_duration", f"'{said}' is no window here; taken as a month"
            )
            window = "month"
        self.found.budgets.append({"scope": "all", "limit_usd": limit, "window": window})


def _variable(value: object) -> str:
    """LiteLLM's `os.environ/NAME` as ours; a literal `${` keeps its meaning."""
    text = str(value) if value is not None else ""
    return _ENVIRONMENT.sub(r"${\1}", text.replace("${", "$${"))


def _per_million(value: object) -> float | None:
    """USD per token, as YAML has it (`3e-06` may come as text), as USD per million, to the nano-dollar."""
    if value is None or isinstance(value, bool):
        return None
    try:
        usd = Decimal(str(value)) * 1_000_000
        return float(usd.quantize(Decimal("1e-9"))) if usd >= 0 else None
    except InvalidOperation:
        return None
