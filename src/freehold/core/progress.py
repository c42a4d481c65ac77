"""What `freehold up` says while it starts, serves and stops: facts for a person or a program to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Stage = Literal["config", "ledger", "listening", "server", "discovery", "ready", "stopping"]


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One name that a client may ask for, and where it runs, both as a person reads them."""

    name: str
    where: str
    state: str = ""
    """Of a model server: `starting`, `loading`, `ready`, `failed`; empty for providers."""
    test_only: bool = False
    """The built-in test model, which recites fixed texts."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `text` is a short sentence for a person; `data` says the same to a program.

    Keys of `data` by stage: `listening` and `ready` have `url`; `ready` also `models`
    (list of ModelRow) and `key_needed` (bool); `server` has `name` and `state`.
    """

    stage: Stage
    text: str
    data: Mapping[str, object] = {}


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `run.json` in the state folder: how other commands find the running Freehold."""

    url: str
    pid: int
    started_ms: int


RUN_FILE = "run.json"
