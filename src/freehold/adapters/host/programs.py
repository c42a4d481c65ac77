"""Looks at programs: our Python, engines that are installed, who listens where, keys in the environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import psutil

from freehold.adapters.host.facts import EngineFact, KeyFact, PortFact, PythonFacts

PACKAGES = ("freehold", "uvloop", "httptools", "xllamacpp")
ANSWER_TIMEOUT_S = 3.0

ASK_VERSION: Mapping[str, tuple[str, ...]] = {
    "llama-server": ("--version",),
    "ollama": ("--version",),
    # These import their whole framework to say a number: their presence is enough.
    "vllm": (),
    "sglang": (),
    "lms": (),
}
"""Program on PATH -> arguments that make it say its version."""

_VERSION = re.compile(r"\b(?:version(?: is)?:?\s*)?(v?\d[\w.+-]*)(?:\s*\(([0-9a-f]{7,})\))?")
_VERB = re.compile(r"[a-z]{2,12}(?:-[a-z]{2,12})?")
_SCRIPT = re.compile(r"[\w./ +-]*\.(?:py|sh|js|mjs|ts|jar|rb|pl|gguf)")
_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|API_TOKEN|AUTH_TOKEN)|HF_TOKEN")


def python_facts() -> PythonFacts:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return PythonFacts(version=sys.version_info[:3], executable=sys.executable, packages=found)


def engines(env: Mapping[str, str]) -> tuple[EngineFact, ...]:
    """Engines on the PATH of `env`, and the embedded one."""
    found: list[EngineFact] = []
    for name, arguments in ASK_VERSION.items():
        path = shutil.which(name, path=env.get("PATH", ""))
        if path:
            found.append(EngineFact(name=name, path=path, version=said_version(path, arguments, env)))
    with suppress(PackageNotFoundError):
        found.append(EngineFact(name="xllamacpp", path="embedded", version=version("xllamacpp")))
    return tuple(found)


def said_version(path: str, arguments: tuple[str, ...], env: Mapping[str, str]) -> str:
    """What the program calls itself, "" when it says nothing in time."""
    if not arguments:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a program from the user's own PATH
            [path, *arguments],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=dict(env),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return version_in(done.stdout + "\n" + done.stderr)


def version_in(text: str) -> str:
    """The first version number on a line that speaks of a version; engines add warnings around it."""
    for line in text.splitlines():
        if "version" in line.lower() and (found := _VERSION.search(line[line.lower().index("version") :])):
            number, commit = found.groups()
            return f"{number} ({commit})" if commit else number
    return ""


def listeners(ports: frozenset[int]) -> tuple[PortFact, ...]:
    """Who listens on these TCP ports; one fact per port and address."""
    found: set[tuple[int, str, int | None]] = set()
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            address, port = connection.laddr
            if port in ports:
                found.add((port, address, connection.pid))
    in_order = sorted(found, key=lambda each: (each[0], each[1], each[2] or 0))
    return tuple(
        PortFact(port=port, address=address, pid=pid, command=command_of(pid))
        for port, address, pid in in_order
    )


def command_of(pid: int | None) -> str | None:
    """The command line of a process, shortened; None when it is gone or not ours to see."""
    if pid is None:
        return None
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return None
    return named_by(words)


def named_by(words: Sequence[str]) -> str | None:
    """What names the program: itself, and its module, script or verb. Nothing behind the first option is
    kept, for arguments may hold keys; neither is a first argument that is no plain word or file."""
    named = list(words[:1])
    rest = list(words[1:])
    if rest[:1] == ["-m"]:
        named += rest[:2]
    elif rest and (_VERB.fullmatch(rest[0]) or _SCRIPT.fullmatch(rest[0])):
        named.append(rest[0])
    return " ".join(named)[:120] or None


def keys(env: Mapping[str, str]) -> tuple[KeyFact, ...]:
    """API keys in the environment, by name. A key has no white space and no quotes."""
    return tuple(
        KeyFact(name=name, malformed=re.search(r"[\s'\"]", env[name]) is not None)
        for name in sorted(env)
        if _KEY_NAME.fullmatch(name) and env[name]
    )
