"""What `freehold up` says while it starts, serves and stops: facts for a person or a program to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Stage = Literal[
    "config", "ledger", "listening", "server", "discovery", "budget", "telemetry", "ready", "stopping"
]

OWNER_HEADER = "x-freehold-owner"
RUN_FILE = "run.json"
"""Name of the file in the state folder by which other commands find the running Freehold."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `run.json`."""

    url: str
    """Without a path and without a trailing slash."""
    pid: int
    started_ms: int
    owner_key: str = ""
    """Whoever can read the state folder may do what callers may not: it goes with `x-freehold-owner`."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `text` is a short sentence for a person; `data` says the same to a program.

    `level` "warn" marks what a person should not overlook, such as a server that did not start. The data
    of stage `ready` is a `ReadyFacts`: make that one with `ready_progress`.
    """

    stage: Stage
    text: str
    data: Mapping[str, object] = {}
    level: Literal["info", "warn"] = "info"


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One name that a client may ask for, and where it runs, both as a person reads them."""

    name: str
    where: str
    """For example `llama.cpp on this machine`, `openai`, `qwen, then openai/gpt-5-mini`."""
    state: str = ""
    """Of a model server: `starting`, `loading`, `ready`, `failed`; empty for others."""
    test_only: bool = False
    """The built-in test model, which recites fixed texts."""


class ReadyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a person needs to begin."""

    url: str
    key_needed: bool
    models: tuple[ModelRow, ...]
    home: str
    config_file: str | None = None


def ready_progress(facts: ReadyFacts) -> Progress:
    """The step that says that everything is there."""
    data: Mapping[str, object] = msgspec.to_builtins(facts)
    return Progress(stage="ready", text=f"Ready at {facts.url}.", data=data)
