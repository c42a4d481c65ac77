"""Rules for the model servers of a configuration that their types cannot say. Pure: values in, problems out.

No message shows a value of `env` or `args`, which may hold a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import fields

from freehold.core.config_servers import ServerConfig
from freehold.core.listen import is_loopback


class Problem(NamedTuple):
    """A rule that is broken, and by which key (its path from the top)."""

    path: tuple[str | int, ...]
    message: str


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(=.*)?", re.DOTALL)
_LLAMA_ONLY = ("gpu_layers", "draft", "projector", "cache_ram_bytes")
_ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_LLAMA_ONLY, ("llama.cpp",)),
    "kv": ("llama.cpp", "ollama"),
    "gpu_memory": ("vllm", "sglang"),
}
"""Keys that only some engines know; elsewhere they would be passed over in silence."""
_OF_ADOPTED = frozenset(
    (
        *("adopt", "engine", "model", "context", "slots", "memory", "health", "priority"),
        *("stall_timeout_s", "max_queue", "max_wait_s"),
    )
)
"""What makes sense for a server that is only watched."""


def server_problems(servers: Mapping[str, ServerConfig]) -> Iterator[Problem]:
    """Every broken rule, in the order of the servers."""
    for name, server in servers.items():
        path = ("servers", name)
        problems = [*_one_kind(server)] or [*_meaningless(server), *_life(server), *_program(server)]
        yield from (Problem((*path, *problem.path), problem.message) for problem in problems)
        yield from _after(name, servers)
    yield from _cycles(servers)


def _one_kind(server: ServerConfig) -> Iterator[Problem]:
    if server.command and server.adopt is not None:
        yield Problem(("adopt",), "a server has either command or adopt, not both")
    elif server.command or server.adopt is not None:
        if server.engine is not None:
            other = "command" if server.command else "adopt"
            yield Problem(("engine",), f"has no meaning beside {other}; drop one of them")
    elif server.model is None:
        yield Problem((), "model is missing; or say command (any program) or adopt (a server that runs)")


def _meaningless(server: ServerConfig) -> Iterator[Problem]:
    given = [each for each in fields(server) if getattr(server, each.name) != _usual(each)]
    for each in given:
        if server.kind == "adopt" and each.name not in _OF_ADOPTED:
            yield Problem(
                (each.encode_name,), "has no meaning for an adopted server, which is only watched and used"
            )
        elif (engines := _ONLY_FOR.get(each.name)) and server.kind not in engines:
            yield Problem((each.encode_name,), f"is only for {' and '.join(engines)}")
    if server.kind == "adopt" and server.memory.limit_bytes is not None:
        yield Problem(("memory", "limit"), "has no meaning for an adopted server")
    if server.gpus == "none" and server.gpu_layers:
        yield Problem(("gpu_layers",), "contradicts gpus: none")
    if isinstance(server.gpus, tuple):
        if not server.gpus:
            yield Problem(("gpus",), "is empty; write auto, none, or the numbers of GPUs")
        elif len(set(server.gpus)) < len(server.gpus):
            yield Problem(("gpus",), "names a GPU twice")


def _usual(each: Any) -> object:
    return each.default


def _life(server: ServerConfig) -> Iterator[Problem]:
    if server.idle_stop_s is not None:
        if server.pin:
            yield Problem(("idle_stop",), "contradicts pin: a pinned server stays; drop one of them")
        elif server.keep_warm:
            yield Problem(("idle_stop",), "contradicts keep_warm: it would be loaded again; drop one of them")
        if server.idle_stop_s == 0:
            yield Problem(("idle_stop",), "must be above 0; drop it to let the server stay")
    memory, restart = server.memory, server.restart
    if memory.limit_bytes is not None and memory.limit_bytes < (memory.ram_bytes or 0):
        yield Problem(("memory", "limit"), "is below ram: it could never run")
    if restart.longest_delay_s < restart.delay_s:
        yield Problem(("restart", "longest_delay"), "is shorter than delay")
    for key in ("load_timeout", "stop_timeout", "stall_timeout"):
        if getattr(server, f"{key}_s") == 0:
            yield Problem((key,), "must be above 0")


def _program(server: ServerConfig) -> Iterator[Problem]:
    if server.command:
        if not any("{port}" in word for word in server.command):
            yield Problem(("command",), "must contain {port}: the port to listen on, chosen by Freehold")
        if not server.command[0]:
            yield Problem(("command", 0), "is empty; it must name a program")
        if server.model is None and any("{model}" in word for word in server.command):
            yield Problem(("command",), "contains {model}, so model must be said")
        if server.args:
            yield Problem(("args",), "belong into command")
    for position, entry in enumerate(server.env):
        if not _VARIABLE.fullmatch(entry) or "\0" in entry:
            yield Problem(("env", position), "must be NAME, or NAME=value")
    if server.health is not None and not re.fullmatch(r"/[!-~]*", server.health):
        yield Problem(("health",), "must be a path that begins with '/'")
    if server.kind == "ollama" and (server.model or "").startswith(("/", "./", "../", "~")):
        yield Problem(("model",), "must be a name that Ollama knows: `ollama list` shows them")
    if server.adopt is not None and (message := _address_problem(server.adopt)):
        yield Problem(("adopt",), message)


def _address_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme != "http" or not parts.hostname or parts.username or parts.query or parts.fragment:
        return "must be an address like http://127.0.0.1:8080"
    if not is_loopback(parts.hostname) or port is None:
        return (
            "must be on this machine, with its port, like http://127.0.0.1:8080; put others under providers"
        )
    if parts.path.rstrip("/"):
        return "must end after the port: no path, no /v1"
    return None


def _after(name: str, servers: Mapping[str, ServerConfig]) -> Iterator[Problem]:
    for position, other in enumerate(servers[name].after):
        path = ("servers", name, "after", position)
        if other == name:
            yield Problem(path, "a server cannot wait for itself")
        elif other not in servers:
            near = next(iter(get_close_matches(other, servers, n=1)), None)
            hint = f" Did you mean '{near}'?" if near else ""
            yield Problem(path, f"there is no server '{other}'.{hint}")


def _cycles(servers: Mapping[str, ServerConfig]) -> Iterator[Problem]:
    """One problem for each server through which a circle leads back to itself, told at the first of them."""
    told: set[str] = set()
    for name in servers:
        circle = _way_back(name, servers)
        if circle and not told.intersection(circle):
            told.update(circle)
            words = " after ".join([*circle, name])
            yield Problem(("servers", name, "after"), f"a circle: {words}; none could ever start")


def _way_back(start: str, servers: Mapping[str, ServerConfig]) -> list[str]:
    """The servers on a way from `start` over `after` back to it; empty when there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for following in servers[way[-1]].after:
            if following == start and len(way) > 1:
                return way
            if following in servers and following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
