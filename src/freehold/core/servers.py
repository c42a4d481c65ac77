"""Model servers as the rest of the house sees them: values, and the port that `supervisor` fills.

How they are started, watched and stopped is `supervisor.pool`; which program is started is an engine
adapter (`Engine` below).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec.structs import replace

from freehold.core.errors import FreeholdError
from freehold.core.memory import MemoryNeed, Placement


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
    """Path of the model's file or the engine's own id of it, as configured."""
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
    loads: int = 0
    """How often it became ready."""
    ours: bool = True
    """We started it, or were told to take it over; False: adopted, only watched and used."""
    priority: int = 50
    pin: bool = False
    placement: Placement | None = None
    """Where it was put, while it has a process."""
    reported: MemoryNeed | None = None
    """What the engine said of its memory after the load."""


class ServerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a server is now."""

    in_flight: int = 0
    queued: int = 0
    oldest_wait_s: float = 0.0
    last_used_s: float | None = None
    """Monotonic clock at the end of the newest call; None before the first."""


class Lease:
    """The right to use one slot of one server, held by one call and given back exactly once.

    A plain class: one is made for each call to a server of ours. `heard_s` is the holder's to move: the
    monotonic second in which the server was last seen to work on this call.
    """

    __slots__ = ("base_url", "body", "call_id", "caller", "heard_s", "server", "since_s")

    def __init__(self, server: str, base_url: str, ask: LeaseAsk, now_s: float) -> None:
        self.server = server
        self.base_url = base_url
        self.call_id = ask.call_id
        self.caller = ask.caller
        self.body = ask.body
        """The request's bytes: hashed only if the server dies under it."""
        self.since_s = now_s
        self.heard_s = now_s


class LeaseAsk:
    """What a call says when it wants a slot. `caller` is what fairness is between (session, agent or key);
    a smaller `priority` goes first (0 to 100, 50 is usual); `max_wait_s` None is the server's own bound."""

    __slots__ = ("body", "call_id", "caller", "max_wait_s", "priority")

    def __init__(
        self, call_id: str, caller: str, body: bytes, priority: int = 50, max_wait_s: float | None = None
    ) -> None:
        self.call_id = call_id
        self.caller = caller
        self.body = body
        self.priority = priority
        self.max_wait_s = max_wait_s


class LeaseRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no slot for this call. Another candidate may be tried."""

    code: Literal["failed", "stopped", "queue_full", "waited_too_long", "quarantined", "does_not_fit", "gone"]
    message: str
    retry_after_s: float | None = None


class ModelServers(Protocol):
    """The model servers of this machine. Call from the event loop's thread only."""

    def view(self, name: str) -> ServerView:
        """Raises `KeyError` when no server has this name."""
        ...

    def views(self) -> Sequence[ServerView]:
        """All servers, in the order of configuration."""
        ...

    def load(self, name: str) -> ServerLoad:
        """Raises `KeyError` when no server has this name."""
        ...

    def lease(self, name: str, ask: LeaseAsk) -> Lease | LeaseRefusal | None:
        """A slot at once; why there will be none; or None: it can be waited for (`wait`). Never starts
        anything. Raises `KeyError`."""
        ...

    def wait(
        self, name: str, ask: LeaseAsk, callback: Callable[[Lease | LeaseRefusal], None]
    ) -> Callable[[], None]:
        """Queue for a slot, and ask for the server to run. Calls back once, on the loop and never from
        within this call. Returns a function that leaves the queue (and does nothing later)."""
        ...

    def release(self, lease: Lease, *, failed: bool = False) -> None:
        """Give a slot back. `failed`: the server closed the connection or answered no HTTP, so it is looked
        at now instead of at the next probe."""
        ...

    def estimated_wait_s(self, name: str) -> float | None:
        """Seconds until a call that comes now would begin: rest of the load and the queue before it; None
        when nothing is known yet. Raises `KeyError`."""
        ...

    def ensure_started(self, name: str) -> None:
        """Ask for the server to run. Returns at once; does nothing if it runs, starts or has failed."""
        ...

    def when_ready(self, name: str, callback: Callable[[ServerView], None]) -> Callable[[], None]:
        """Call back once, on the loop and never from within this call, when the server is READY or
        has become unavailable (FAILED, STOPPED): the view tells. Returns a function that cancels."""
        ...


class RestartRules(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast a server that died is started again."""

    tries: int = 5
    """Deaths within `interval_s` after which it is given up."""
    interval_s: float = 600.0
    tries_unready: int = 2
    """Deaths in a row before it was ever ready, after which it is given up: a bad flag gets no better."""
    first_delay_s: float = 0.25
    factor: float = 2.0
    longest_delay_s: float = 30.0
    jitter: float = 0.2
    """Share of the delay by which chance lengthens it."""


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What one server shall be; made from configuration or discovery."""

    name: str
    model: str = ""
    """Absolute path of a model file, or the engine's own id of the model; empty for commands."""
    engine: str = "llama.cpp"
    """`llama.cpp`, `vllm`, `sglang`, `ollama`, `command`, `adopt`."""
    model_id: str = ""
    """Id the server shall answer to; empty: its name."""
    context: int = 4096
    """Tokens of each slot; 0: the engine's own choice, unknown to us."""
    slots: int = 4
    command: tuple[str, ...] = ()
    """For engine `command`: `{port}`, `{model}`, `{name}` are filled in."""
    folder: str = ""
    """For engine `command`: where it is run, the configuration's folder; empty: anywhere."""
    health_path: str = ""
    """Empty: the engine's own."""
    adopt: str = ""
    """Base URL of a server that already runs, for engine `adopt`."""
    args: tuple[str, ...] = ()
    """Added to the engine's command line as they are."""
    env: tuple[str, ...] = ()
    """`NAME` passes a variable of ours on, `NAME=value` sets one. Nothing else of ours is inherited but what
    every engine needs."""
    gpus: tuple[int, ...] | None = None
    """GPU indexes it may use; empty: none; None: any."""
    gpu_layers: int | None = None
    kv_type: str = "f16"
    ubatch: int = 512
    draft: str = ""
    """Path of a draft model, for speculative decoding."""
    projector: str = ""
    """Path of an mmproj file."""
    gpu_memory: float | None = None
    """vLLM, SGLang: share of each GPU's memory that it takes."""
    vram_bytes: int | None = None
    """Stated need, for what cannot be estimated."""
    ram_bytes: int | None = None
    ram_limit_bytes: int | None = None
    """Hard limit: the kernel ends the server when it needs more (where it may have a cgroup)."""
    cache_ram_bytes: int = 512 * 1024**2
    """Host memory for cached prompts."""
    start: Literal["on-demand", "always"] = "on-demand"
    keep_warm: bool = False
    """Loaded again without a call when memory is free."""
    pin: bool = False
    """Never evicted."""
    priority: int = 50
    """0 to 100; a smaller number is loaded first and evicted last."""
    idle_stop_s: float | None = None
    """Stopped after so long without a call; None: never."""
    min_stay_s: float = 10.0
    """Not evicted for so long after it became ready, however others wait."""
    after: tuple[str, ...] = ()
    """Servers that must be ready first."""
    restart: RestartRules = RestartRules()
    load_timeout_s: float = 900.0
    drain_timeout_s: float = 30.0
    stop_timeout_s: float = 5.0
    stop_signal: str = "SIGTERM"
    stall_timeout_s: float = 120.0
    """A call without any sign of work for so long makes the server suspect."""
    max_queue: int = 256
    max_wait_s: float = 600.0

    @property
    def upstream_id(self) -> str:
        return self.model_id or self.name

    def same_process(self, other: ServerSpec) -> bool:
        """Whether one process can serve both: they differ at most in how Freehold treats it."""
        return replace(self, **{name: getattr(other, name) for name in _LIFE}) == other


_LIFE = (
    *("start", "keep_warm", "pin", "priority", "idle_stop_s", "min_stay_s", "after", "restart"),
    *("load_timeout_s", "drain_timeout_s", "stop_timeout_s", "stop_signal", "stall_timeout_s"),
    *("max_queue", "max_wait_s"),
)
"""What of a spec concerns its life, and not its process."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine wants to be run: a plain description, nothing is started yet."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment of the process: nothing else is inherited."""
    health_path: str = "/health"
    """Answers 200 when ready, 503 while loading."""
    program: str = ""
    """For a person: which program this is and where it was found."""
    probe_path: str = ""
    """POST here with `probe_body` makes the server generate one token; empty: it cannot be asked to."""
    probe_body: bytes = b""
    cwd: str = ""
    """Working directory; empty: it does not matter."""
    load_path: str = ""
    """POST here with `load_body` once, when `health_path` first answers 200; the server is ready when that
    has answered 200, too. For an engine that loads its model with the first call; empty for all others."""
    load_body: bytes = b""


class EngineMissingError(FreeholdError):
    """The program cannot be run here; the text says what to install."""


class Engine(Protocol):
    """A program that serves models. Implemented by `adapters.engines`."""

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """Raises `EngineMissingError` when the program is not on this machine."""
        ...

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """What the engine said of its memory while it loaded, from its output; None when it said nothing."""
        ...
