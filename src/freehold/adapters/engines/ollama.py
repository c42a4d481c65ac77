"""Ollama as an engine: an `ollama serve` of our own for each server, on our port.

Why not the one that may run already: whoever shares it may unload our model, and what we stop would be
theirs. The models are the same, because they lie in the same folder (`OLLAMA_MODELS`, else Ollama's own).
That it never unloads by itself (`OLLAMA_KEEP_ALIVE`) leaves idle stops to Freehold, which ends the process.
Variables as in Ollama's envconfig and documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from freehold.adapters.engines.environment import environment
from freehold.adapters.engines.programs import find_program
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

_NAMES = ("OLLAMA_MODELS", "OLLAMA_HOME", "OLLAMA_LLM_LIBRARY", "OLLAMA_GPU_OVERHEAD", "OLLAMA_SCHED_SPREAD")


class Ollama:
    """Fills the port `Engine`."""

    def __init__(self, env: Mapping[str, str], named: str | None = None) -> None:
        self._env = env
        self._named = named

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to serve `spec` on loopback. Raises `EngineMissingError`."""
        program = find_program("ollama", self._named, self._env)
        if program is None:
            raise EngineMissingError(
                "Ollama is not on this machine: install it from ollama.com, or name its program under "
                "`engines:`"
            )
        return Launch(
            argv=(program, "serve", *spec.args),
            env=self._environment(spec, port, placement),
            health_path=spec.health_path or "/api/version",
            program=f"Ollama ({program})",
            probe_path="/api/generate",
            probe_body=_probe(spec),
            load_path="/api/embed",
            load_body=msgspec.json.encode({"model": spec.upstream_id, "input": []}),
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """Nothing: its log says it in a shape that changes with every release."""
        return None

    def _environment(self, spec: ServerSpec, port: int, placement: Placement | None) -> dict[str, str]:
        ours = {
            "OLLAMA_HOST": f"127.0.0.1:{port}",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_NUM_PARALLEL": str(spec.slots),
            "OLLAMA_MAX_LOADED_MODELS": "1",
            "OLLAMA_NOPRUNE": "1",  # another one may just be fetching what looks unused to this one
        }
        if spec.context:
            ours["OLLAMA_CONTEXT_LENGTH"] = str(spec.context)
        if spec.kv_type != "f16":
            ours |= {"OLLAMA_KV_CACHE_TYPE": spec.kv_type, "OLLAMA_FLASH_ATTENTION": "1"}
        return ours | environment(self._env, spec, placement, names=_NAMES, prefixes=("GGML_",))


def _probe(spec: ServerSpec) -> bytes:
    """One token. Models that only embed refuse it at once, which is a sign of life, too."""
    wish = {"model": spec.upstream_id, "prompt": "a", "raw": True, "stream": False}
    return msgspec.json.encode({**wish, "options": {"num_predict": 1}})
