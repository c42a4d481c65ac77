"""llama.cpp as an engine: the machine's own `llama-server`, else the embedded wheel run as a child.

An installed `llama-server` goes first: it is built for this machine's GPU, the wheel is not. Options as its
own documentation names them (tools/server/README.md); the embedded child takes the same names.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from freehold.adapters.engines.environment import environment, visible_gpus
from freehold.adapters.engines.llamacpp_report import parse_report
from freehold.adapters.engines.programs import find_program
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

MIB = 1024 * 1024
TINY_BYTES = 64 * MIB
USUAL_UBATCH = 512

_NAMED = "FREEHOLD_LLAMA_SERVER"
"""Variable that names the `llama-server` to use."""
_PREFIXES = ("GGML_", "LLAMA_ARG_N_", "VK_")
_NO_TEXT = ("--embedding", "--rerank", "--reranking")
"""Options that make a server which generates no text, so it cannot be asked for a token."""


_TELLS_BUFFERS = "4"
"""Verbosity from which on the sizes of all buffers are printed while loading; never a prompt's text."""


class LlamaCpp:
    """Fills the port `Engine`. `env` is the environment to look in and to pass on from, `named` the program
    that the configuration names."""

    def __init__(self, env: Mapping[str, str], named: str | None = None) -> None:
        self._env = env
        self._named = env.get(_NAMED) or named

    def program(self) -> str | None:
        """Path of the machine's `llama-server`, if it has one. Raises `EngineMissingError` when the one that
        was named is not there."""
        return find_program("llama-server", self._named, self._env)

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to serve `spec` on loopback. Raises `EngineMissingError`."""
        options = (*_options(spec, port), *_places(spec, placement), *_extras(spec))
        if native := self.program():
            argv = (native, "--host", "127.0.0.1", *options, "--metrics", "--jinja", *spec.args)
            program = f"llama-server ({native})"
        elif importlib.util.find_spec("xllamacpp"):
            child = "freehold.adapters.engines.llamacpp_child"
            argv = (sys.executable, "-P", "-m", child, *options, *spec.args)
            program = "embedded llama.cpp"
        else:
            raise EngineMissingError(
                "No llama.cpp on this machine: install `llama-server` so that it is on the PATH (or name it "
                "under `engines:`), or the embedded engine with: pip install 'freehold[engine]'"
            )
        generates = not any(arg.startswith(_NO_TEXT) for arg in spec.args)
        return Launch(
            argv=argv,
            env=self._environment(spec, placement),
            health_path=spec.health_path or "/health",
            program=program,
            probe_path="/completion" if generates else "",
            probe_body=_PROBE if generates else b"",
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """What the engine printed of its buffers while it loaded."""
        return parse_report(output)

    def _environment(self, spec: ServerSpec, placement: Placement | None) -> dict[str, str]:
        """Tuning goes in as variables: a `llama-server` too old to know one passes over it in silence."""
        tuning = {
            "LLAMA_ARG_CACHE_RAM": str(spec.cache_ram_bytes // MIB),
            "LLAMA_ARG_LOG_VERBOSITY": _TELLS_BUFFERS,
        }
        if spec.kv_type != "f16":
            tuning["LLAMA_ARG_FLASH_ATTN"] = "on"  # the engine quantises V only with it
        if placement is not None and placement.need.checkpoints is not None:
            tuning["LLAMA_ARG_CTX_CHECKPOINTS"] = str(
                placement.need.checkpoints
            )  # its own 32 can fill the RAM
        if _layers(spec, placement) is not None:
            tuning["LLAMA_ARG_FIT"] = "off"  # sizes are decided: it shall not change them behind our back
        if _is_tiny(Path(spec.model)):
            tuning["LLAMA_ARG_THREADS"] = "1"
        return tuning | environment(self._env, spec, placement, prefixes=_PREFIXES)


_PROBE = msgspec.json.encode({"prompt": "a", "n_predict": 1, "cache_prompt": False})


def _is_tiny(model: Path) -> bool:
    """Of so little work per token that threads mostly wait for each other, above all on a busy machine."""
    try:
        return model.stat().st_size < TINY_BYTES
    except OSError:
        return False  # the engine will say what is wrong with it


def _options(spec: ServerSpec, port: int) -> Iterator[str]:
    """The engine shares its context out among the slots."""
    yield from ("--model", spec.model, "--alias", spec.upstream_id, "--port", str(port))
    yield from ("--ctx-size", str(spec.context * spec.slots), "--parallel", str(spec.slots))


def _places(spec: ServerSpec, placement: Placement | None) -> Iterator[str]:
    """Which layers go where. Without a placement the engine decides what the person did not."""
    layers = _layers(spec, placement)
    if layers is not None:
        yield from ("--n-gpu-layers", str(layers))
    if visible_gpus(spec, placement) == ():
        yield from ("--device", "none")
    if placement is None:
        return
    if len(placement.gpus) > 1:
        yield from ("--split-mode", "layer")
        if placement.split:
            yield from ("--tensor-split", ",".join(f"{share:g}" for share in placement.split))
    if placement.need.cpu_moe:
        yield from ("--n-cpu-moe", str(placement.need.cpu_moe))


def _layers(spec: ServerSpec, placement: Placement | None) -> int | None:
    if visible_gpus(spec, placement) == ():
        return 0
    planned = placement.need.gpu_layers if placement is not None else None
    return spec.gpu_layers if planned is None else planned


def _extras(spec: ServerSpec) -> Iterator[str]:
    if spec.kv_type != "f16":
        yield from ("--cache-type-k", spec.kv_type, "--cache-type-v", spec.kv_type)
    if spec.ubatch != USUAL_UBATCH:
        yield from ("--ubatch-size", str(spec.ubatch))
    if spec.draft:
        yield from ("--model-draft", spec.draft)
    if spec.projector:
        yield from ("--mmproj", spec.projector)
