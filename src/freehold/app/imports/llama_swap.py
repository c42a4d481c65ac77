"""llama-swap's configuration: models as command lines, macros, groups, aliases, peers."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from freehold.app.imports.command_line import is_llama_server, server_keys
from freehold.app.imports.findings import Document, Findings, Imported, free_name, items, mapping, plain_name

_MACRO = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
_DEPTH = 20
_CARDS = "CUDA_VISIBLE_DEVICES="
_BY_MEMORY = "which servers run together is decided by their memory here"
_TAKEN = frozenset(
    (
        *("cmd", "env", "proxy", "checkEndpoint", "ttl", "unloadTimeout", "useModelName", "aliases"),
        *("concurrencyLimit", "macros", "name", "description", "unlisted", "metadata", "capabilities"),
        *("sendLoadingState", "cmdStop"),
    )
)
_TOP = frozenset(
    (
        *("models", "macros", "healthCheckTimeout", "globalTTL", "unloadTimeout", "apiKeys", "hooks"),
        *("groups", "routing", "peers", "startPort", "logLevel", "logTimeFormat", "logToStdout"),
        *("metricsMaxInMemory", "captureBuffer", "sendLoadingState", "includeAliasesInList", "store"),
        *("logRequests", "performance", "ui", "selectors"),
    )
)
"""Understood, or without a meaning here."""


def from_llama_swap(document: Document) -> Imported:
    """Our configuration for the same models. What is not understood is noted."""
    reading = _Reading(document)
    reading.all_models()
    reading.groups()
    reading.preload()
    reading.names()
    reading.peers()
    reading.found.leave(document, _TOP, "")
    for key in items(document.get("apiKeys")):
        reading.found.keys.append(reading.text(key, {}))
    return reading.found.done()


class _Reading:
    def __init__(self, document: Document) -> None:
        self.found = Findings()
        self._document = document
        self._macros = mapping(document.get("macros"))
        self._engine = ""
        self._ours: dict[str, str] = {}
        """Their name of a model -> our name of its server."""

    def text(self, value: object, macros: Mapping[str, object]) -> str:
        """`value` with macros replaced: the model's own, then the global ones; `${env.X}` becomes `${X}`."""
        known: dict[str, object] = {**self._macros, **macros}
        found = str(value)
        for _ in range(_DEPTH):
            replaced = _MACRO.sub(lambda m: str(known.get(m[1], m[0])), found)
            if replaced == found:
                break
            found = replaced
        return re.sub(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}", r"${\1}", found)

    def all_models(self) -> None:
        """The program that most llama.cpp servers run becomes the engine; others stay commands."""
        models = {str(name): mapping(model) for name, model in mapping(self._document.get("models")).items()}
        lines = [self._line(name, model) for name, model in models.items()]
        used = Counter(words[0] for words in lines if is_llama_server(words))
        self._engine = max(used, key=lambda program: used[program], default="")
        if self._engine not in ("", "llama-server"):
            self.found.engines["llama.cpp"] = self._engine
        for name, model in models.items():
            self._model(name, model)

    def _line(self, name: str, model: Document) -> list[str]:
        """The words of its command, macros replaced."""
        macros = {**mapping(model.get("macros")), "MODEL_ID": name}
        return _words(self.text(_without_comments(str(model.get("cmd") or "")), macros))

    def _model(self, name: str, model: Document) -> None:
        path = f"models.{name}"
        macros = {**mapping(model.get("macros")), "MODEL_ID": name}
        words = self._line(name, model)
        if not words:
            self.found.note(path, "has no command that can be read: left out")
            return
        if away := _elsewhere(self.text(model.get("proxy") or "", macros)):
            why = f"its server is at {away}, and Freehold starts servers on this machine: name it under"
            self.found.note(path, f"{why} `providers`, with base_url; left out")
            return
        if is_llama_server(words) and words[0] == self._engine:
            section, notes = server_keys(words)
        else:
            section, notes = self._command(words, model, macros)
            if is_llama_server(words):
                notes.append(f"is run as a command: {words[0]} is another build than {self._engine}")
        for text in notes:
            self.found.note(path, text)
        if not section:
            return
        server = self._ours[name] = free_name(plain_name(name), self.found.servers)
        self.found.servers[server] = section
        self._life(section, model, macros, path)
        self.found.leave(model, _TAKEN, path)

    def _command(
        self, words: list[str], model: Document, macros: Mapping[str, object]
    ) -> tuple[dict[str, Any], list[str]]:
        named = re.search(r":(\d+)(?:/|$)", self.text(model.get("proxy") or "", macros))
        port = int(named[1]) if named else None
        filled = [re.sub(r"\$\{PORT\}", "{port}", word) for word in words]
        if not any("{port}" in word for word in filled) and port is not None:
            filled = [re.sub(rf"(?<!\d){port}(?!\d)", "{port}", word) for word in filled]
        if not any("{port}" in word for word in filled):
            return {}, ["its command names no port, so Freehold cannot give it one: left out"]
        return {"command": filled}, []

    def _life(self, section: dict[str, Any], model: Document, macros: Document, path: str) -> None:
        env = [self.text(entry, macros) for entry in items(model.get("env"))]
        cards = next((entry.partition("=")[2] for entry in env if entry.startswith(_CARDS)), "")
        if "command" not in section and cards and all(card.isdecimal() for card in cards.split(",")):
            section["gpus"] = [int(card) for card in cards.split(",")]
            env = [entry for entry in env if not entry.startswith(_CARDS)]
        if env:
            section["env"] = env
        ttl = model.get("ttl", -1)
        ttl = self._document.get("globalTTL", 0) if ttl in (-1, None) else ttl
        if isinstance(ttl, int | float) and ttl > 0:
            section["idle_stop"] = ttl
        wait = self._document.get("healthCheckTimeout")
        if isinstance(wait, int | float) and wait > 0:
            section["load_timeout"] = wait
        stop = model.get("unloadTimeout") or self._document.get("unloadTimeout")
        if isinstance(stop, int | float) and stop > 0:
            section["stop_timeout"] = stop
        limit = model.get("concurrencyLimit")
        if isinstance(limit, int) and limit > 0 and "slots" not in section:
            section["slots"] = limit
        self._health(section, model, path)
        if "command" in section and model.get("useModelName"):
            section["model"] = self.text(model["useModelName"], macros)
        if model.get("cmdStop"):
            self.found.note(f"{path}.cmdStop", "Freehold stops the process group it started by `stop_signal`")

    def _health(self, section: dict[str, Any], model: Document, path: str) -> None:
        check = str(model.get("checkEndpoint") or "")
        if check == "none":
            self.found.note(
                f"{path}.checkEndpoint", "a server is ready when `health` answers 200: name a path"
            )
        elif check and check != "/health":
            section["health"] = check

    def groups(self) -> None:
        routing = mapping(mapping(self._document.get("routing")).get("router"))
        settings = mapping(routing.get("settings"))
        groups = {**mapping(self._document.get("groups")), **mapping(settings.get("groups"))}
        for name, group in groups.items():
            said = mapping(group)
            for member in items(said.get("members")):
                server = self.found.servers.get(self._ours.get(str(member), ""))
                if server is None:
                    self.found.note(f"groups.{name}", f"'{member}' is no model that was carried over")
                elif said.get("persistent"):
                    server["pin"] = True
                    server.pop("idle_stop", None)
            if said.get("exclusive", True) or said.get("swap", True):
                self.found.note(
                    f"groups.{name}", "which servers run together is decided by their memory here"
                )
        if settings.get("matrix"):
            self.found.note("routing.matrix", _BY_MEMORY)
        fifo = mapping(mapping(mapping(self._document.get("routing")).get("scheduler")).get("settings"))
        for member, priority in mapping(mapping(fifo.get("fifo")).get("priority")).items():
            server = self.found.servers.get(self._ours.get(str(member), ""))
            if server is not None and isinstance(priority, int):
                server["priority"] = max(0, min(100, 50 - priority))  # theirs: a larger one goes first

    def preload(self) -> None:
        startup = mapping(mapping(self._document.get("hooks")).get("on_startup"))
        for name in items(startup.get("preload")):
            server = self.found.servers.get(self._ours.get(str(name), ""))
            if server is not None:
                server["start"] = "always"
            else:
                self.found.note("hooks.on_startup.preload", f"'{name}' is no model of the file")

    def names(self) -> None:
        for name, model in mapping(self._document.get("models")).items():
            server = self._ours.get(str(name))
            if server is None:
                continue
            aliases = [str(alias) for alias in items(mapping(model).get("aliases"))]
            if server != str(name):
                self.found.note(f"models.{name}", f"is called '{server}' here")
            for said in aliases:
                alias = plain_name(said)
                if alias != said:
                    self.found.note(f"models.{name}.aliases", f"'{said}' is called '{alias}' here")
                if alias not in self.found.servers:
                    self.found.models[alias] = [server]
        for name, selector in mapping(self._document.get("selectors")).items():
            targets = [self._ours.get(str(target), "") for target in items(mapping(selector).get("targets"))]
            if any(targets):
                self.found.models[plain_name(str(name))] = [target for target in targets if target]
            if mapping(selector).get("strategy") != "pin":
                self.found.note(f"selectors.{name}", "targets are tried in order here")

    def peers(self) -> None:
        for name, peer in mapping(self._document.get("peers")).items():
            said = mapping(peer)
            models = [str(model) for model in items(said.get("models"))]
            section: dict[str, Any] = {"base_url": self.text(said.get("proxy") or "", {}).rstrip("/") + "/v1"}
            if said.get("apiKey"):
                section["api_key"] = self.text(said["apiKey"], {})
            section["models"] = models or "*"
            provider = free_name(plain_name(str(name)), {**self.found.providers, **self.found.servers})
            self.found.providers[provider] = section
            self.found.leave(said, frozenset(("proxy", "apiKey", "models", "timeouts")), f"peers.{name}")


def _elsewhere(proxy: str) -> str:
    """The place where a server listens, when that is not this machine."""
    try:
        host = urlsplit(proxy).hostname or ""
    except ValueError:
        return ""
    here = host in ("", "localhost", "0.0.0.0", "::1") or host.startswith("127.")  # noqa: S104 - read only
    return "" if here else host


def _without_comments(command: str) -> str:
    """Lines that begin with `#` are comments; a macro in one must not come alive."""
    return "\n".join(line for line in command.splitlines() if not line.lstrip().startswith("#"))


def _words(command: str) -> list[str]:
    """The words of a command over several lines."""
    try:
        return shlex.split(" ".join(line.rstrip("\\") for line in command.splitlines()))
    except ValueError:
        return []
