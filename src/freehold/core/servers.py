"""Model servers as the rest of the house sees them: values, and the port that `supervisor` fills.

How they are started, watched and stopped is `supervisor.pool`; which program is started is an engine
adapter (`Engine` below).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from freehold.core.errors import FreeholdError


class ServerState(enum.StrEnum):
    """Where a model server is in its life; the allowed moves are in `supervisor.lifecycle`."""

    STOPPED = "stopped"
    STARTING = "starting"
    """The process is being made, or runs and does not answer yet."""
    LOADING = "loading"
    """It answers that the model is not loaded yet."""
    READY = "ready"
    DRAINING = "draining"
    """No new calls; those in flight may end."""
    STOPPING = "stopping"
    BACKOFF = "backoff"
    """It died; a new start is due."""
    FAILED = "failed"
    """It died too often or cannot be started; `detail` says why. Only a person's order starts it again."""


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """One model server at one moment. Advice: by the time it is read, it may be stale."""

    name: str
    engine: str
    model: str
    """Path of the model file, as configured."""
    model_id: str
    """What the server itself calls the model, to be sent upstream."""
    state: ServerState
    base_url: str | None = None
    """`http://127.0.0.1:PORT`, without `/v1`; None while there is no process."""
    pid: int | None = None
    detail: str = ""
    """For a person: what it waits for, or how it died."""
    since_ms: int = 0
    """When it came into this state, ms since the Unix epoch."""
    started_load_s: float | None = None
    """Monotonic clock at the start of the load under way."""
    eta_s: float | None = None
    """Seconds that earlier loads took from start to ready; None before the first."""
    slots: int = 1
    """Calls that it works on at the same time."""
    context: int = 0
    """Tokens that one call may use, prompt and answer together."""
    restarts: int = 0
    """How often it was started again after it died."""


class ModelServers(Protocol):
    """The model servers of this machine. Call from the event loop's thread only."""

    def view(self, name: str) -> ServerView:
        """Raises `KeyError` when no server has this name."""
        ...

    def views(self) -> Sequence[ServerView]:
        """All servers, in the order of configuration."""
        ...

    def ensure_started(self, name: str) -> None:
        """Ask for the server to run. Returns at once; does nothing if it runs, starts or has failed."""
        ...

    def when_ready(self, name: str, callback: Callable[[ServerView], None]) -> Callable[[], None]:
        """Call back once, on the loop and never from within this call, when the server is READY or
        has become unavailable (FAILED, STOPPED): the view tells. Returns a function that cancels."""
        ...


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What one server shall be; made from configuration or discovery."""

    name: str
    model: Path
    engine: str = "llama.cpp"
    model_id: str = ""
    """Id the server shall answer to; empty: its name."""
    context: int = 4096
    slots: int = 4

    @property
    def upstream_id(self) -> str:
        return self.model_id or self.name


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine wants to be run: a plain description, nothing is started yet."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment of the process: nothing else is inherited."""
    health_path: str = "/health"
    """Answers 200 when ready, 503 while loading."""
    program: str = ""
    """For a person: which program this is and where it was found."""


class EngineMissingError(FreeholdError):
    """The program cannot be run here; the text says what to install."""


class Engine(Protocol):
    """A program that serves models. Implemented by `adapters.engines`."""

    def launch(self, spec: ServerSpec, port: int) -> Launch:
        """Raises `EngineMissingError` when the program is not on this machine."""
        ...
