"""The `servers:` part of `freehold.yaml`: what a model server can be told.

Values only. The rules over several keys are in `core.config_server_checks`; what becomes of a section is
`core.servers.ServerSpec`, made by `adapters.providers.catalog`. Attributes name their units, keys do not.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

EngineName = Literal["llama.cpp", "vllm", "sglang", "ollama"]

Duration = Annotated[float, Meta(ge=0, le=1e9, extra_json_schema={"x-reads": "duration"})]
"""Seconds; written as a number, or as text like `15m`."""
Size = Annotated[int, Meta(ge=0, extra_json_schema={"x-reads": "size"})]
"""Bytes; written as a whole number, or as text like `4GiB`."""
Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Word = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(gt=0, le=1)]


class ServerMemoryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server needs, where that cannot be computed from its model, and what it may take at most."""

    vram_bytes: Annotated[
        Size | None, Meta(description="GPU memory that it needs, over all its GPUs.", examples=["4GiB"])
    ] = field(name="vram", default=None)
    ram_bytes: Annotated[Size | None, Meta(description="Host memory that it needs.")] = field(
        name="ram", default=None
    )
    limit_bytes: Annotated[
        Size | None,
        Meta(
            description="Host memory above which the kernel ends it, where Freehold may make a cgroup. "
            "By default there is no limit."
        ),
    ] = field(name="limit", default=None)


class RestartConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a server that died is started again: after a delay that doubles each time, a little by chance."""

    tries: Annotated[
        int, Meta(ge=0, description="After so many deaths within `interval` it is given up. 0: at the first.")
    ] = 5
    interval_s: Annotated[Duration, Meta(description="How far back deaths count.")] = field(
        name="interval", default=600.0
    )
    delay_s: Annotated[Duration, Meta(description="Before the first restart.")] = field(
        name="delay", default=0.25
    )
    longest_delay_s: Annotated[Duration, Meta(description="No delay is longer.")] = field(
        name="longest_delay", default=30.0
    )


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model server. Exactly one of these says which: `model` with its `engine`, `command`, or `adopt`."""

    engine: Annotated[
        EngineName | None,
        Meta(description="The program that serves `model`. Where it is not said: llama.cpp."),
    ] = None
    model: Annotated[
        Word | None,
        Meta(
            description="For llama.cpp the path of a GGUF file, relative to the configuration file, `~` is "
            "allowed. For the other engines their own id of the model, or the path of a folder or file that "
            "exists. With `command` or `adopt`: the id under which that server knows its model, where it "
            "is not the server's name.",
            examples=["~/models/qwen3-8b-q4_k_m.gguf", "Qwen/Qwen3-32B", "nomic-embed-text"],
        ),
    ] = None
    command: Annotated[
        tuple[str, ...],
        Meta(
            description="Any program that serves an OpenAI-like API on the port that it is given, as a list "
            "of words, run in the folder of the configuration file. `{port}` is filled in, and must be "
            "there; so are `{model}` and `{name}`.",
            examples=[["python", "tts.py", "--port", "{port}"]],
        ),
    ] = ()
    adopt: Annotated[
        str | None,
        Meta(
            description="Address of a server that already runs on this machine, without `/v1`. It is watched "
            "and used, not started or stopped.",
            examples=["http://127.0.0.1:8080"],
        ),
    ] = None
    context: Annotated[
        Count | None,
        Meta(
            description="Context window of each slot, in tokens. By default 4096 for llama.cpp, and the "
            "engine's own choice for all others.",
        ),
    ] = None
    slots: Annotated[
        Count | None,
        Meta(
            description="How many requests are served at the same time; more wait. By default 4, and 32 for "
            "vLLM and SGLang.",
        ),
    ] = None
    gpus: Annotated[
        Literal["auto", "none"] | tuple[Index, ...],
        Meta(
            description="Which GPUs it may use: those with room, none, or a list of their numbers.",
            examples=[[0, 1]],
        ),
    ] = "auto"
    gpu_layers: Annotated[
        Index | None,
        Meta(description="llama.cpp: layers on the GPU. By default as many as fit."),
    ] = None
    kv: Annotated[
        Literal["f16", "q8_0", "q4_0"],
        Meta(
            description="llama.cpp, Ollama: how the context is kept. `q8_0` takes about half the memory of "
            "`f16`, `q4_0` about a quarter."
        ),
    ] = "f16"
    draft: Annotated[
        Word | None,
        Meta(description="llama.cpp: path of a small GGUF that drafts for the model."),
    ] = None
    projector: Annotated[
        Word | None,
        Meta(description="llama.cpp: path of the mmproj GGUF, for images and sound."),
    ] = None
    gpu_memory: Annotated[
        Share | None,
        Meta(
            description="vLLM, SGLang: share of each GPU's memory that it takes at once. By default 0.9.",
        ),
    ] = None
    memory: Annotated[
        ServerMemoryConfig, Meta(description="What it needs, where that cannot be computed, and its limit.")
    ] = ServerMemoryConfig()
    cache_ram_bytes: Annotated[
        Size, Meta(description="llama.cpp: host memory for the beginnings of prompts seen before.")
    ] = field(name="cache_ram", default=512 * 1024**2)
    start: Annotated[
        Literal["on-demand", "always"],
        Meta(description="Started when somebody asks for it, or together with Freehold."),
    ] = "on-demand"
    keep_warm: Annotated[
        bool, Meta(description="Loaded again without a call, as soon as memory is free for it.")
    ] = False
    idle_stop_s: Annotated[
        Duration | None,
        Meta(
            description="Stopped after so long without a call. By default it stays until room is needed.",
            examples=["15m"],
        ),
    ] = field(name="idle_stop", default=None)
    pin: Annotated[bool, Meta(description="Never stopped to make room for another.")] = False
    priority: Annotated[
        int, Meta(ge=0, le=100, description="A smaller number is loaded first and makes room last.")
    ] = 50
    min_stay_s: Annotated[
        Duration,
        Meta(description="Makes no room for another for so long after it became ready, whoever waits."),
    ] = field(name="min_stay", default=10.0)
    after: Annotated[
        tuple[str, ...], Meta(description="Servers that must be ready before this one is started.")
    ] = ()
    env: Annotated[
        tuple[str, ...],
        Meta(
            description="Variables for the program: `NAME` passes one of Freehold's own on, `NAME=value` "
            "sets one. Without it a program only gets what every engine needs; never a key.",
            examples=[["HF_TOKEN", "CUDA_LAUNCH_BLOCKING=1"]],
        ),
    ] = ()
    args: Annotated[
        tuple[str, ...],
        Meta(description="Added to the engine's command line as they are.", examples=[["--no-mmap"]]),
    ] = ()
    health: Annotated[
        str | None,
        Meta(
            description="Path that answers 200 when it is ready, and 503 while it loads. By default the "
            "engine's own; for `command` and `adopt`: `/health`.",
            examples=["/health"],
        ),
    ] = None
    restart: Annotated[RestartConfig, Meta(description="How it is started again after it died.")] = (
        RestartConfig()
    )
    load_timeout_s: Annotated[
        Duration, Meta(description="A server that is not ready by then is taken for hung.")
    ] = field(name="load_timeout", default=900.0)
    drain_timeout_s: Annotated[
        Duration, Meta(description="Before a stop, calls under way have so long to end.")
    ] = field(name="drain_timeout", default=30.0)
    stop_timeout_s: Annotated[
        Duration, Meta(description="From the stop signal until the whole process group is killed.")
    ] = field(name="stop_timeout", default=5.0)
    stop_signal: Annotated[
        Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL"],
        Meta(description="The signal that asks it to end."),
    ] = "SIGTERM"
    stall_timeout_s: Annotated[
        Duration, Meta(description="A call without any sign of work for so long makes the server suspect.")
    ] = field(name="stall_timeout", default=120.0)
    max_queue: Annotated[
        int, Meta(ge=0, description="So many calls may wait for a slot; more are refused at once.")
    ] = 256
    max_wait_s: Annotated[
        Duration, Meta(description="A call waits so long for a slot at most; then it is refused.")
    ] = field(name="max_wait", default=600.0)

    @property
    def kind(self) -> Literal["llama.cpp", "vllm", "sglang", "ollama", "command", "adopt"]:
        """What serves it, by the name of its engine in the house."""
        if self.adopt is not None:
            return "adopt"
        return "command" if self.command else self.engine or "llama.cpp"
