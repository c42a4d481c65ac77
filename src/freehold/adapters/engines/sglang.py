"""SGLang as an engine: `python -m sglang.launch_server` of the Python that has it.

Options as its documentation names them (docs.sglang.io, "Server Arguments").
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from freehold.adapters.engines.environment import environment
from freehold.adapters.engines.programs import find_program
from freehold.adapters.engines.vllm import GPU_PREFIXES, HUB_NAMES, completion_probe, gpu_count
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec


class Sglang:
    """Fills the port `Engine`. `named` is a Python that has SGLang, or the `sglang` program beside one."""

    def __init__(self, env: Mapping[str, str], named: str | None = None) -> None:
        self._env = env
        self._named = named

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to serve `spec` on loopback. Raises `EngineMissingError`."""
        python = self._python()
        return Launch(
            argv=(python, "-m", "sglang.launch_server", *_options(spec, port, placement), *spec.args),
            env=environment(
                self._env, spec, placement, names=HUB_NAMES, prefixes=(*GPU_PREFIXES, "SGLANG_", "SGL_")
            ),
            health_path=spec.health_path or "/health",
            program=f"SGLang ({python})",
            probe_path="/v1/completions",
            probe_body=completion_probe(spec),
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """Nothing: it takes what it was told to."""
        return None

    def _python(self) -> str:
        found = find_program("sglang", self._named, self._env)
        if found is not None:
            if Path(found).name.startswith("python"):
                return found
            beside = Path(found).resolve().parent / "python3"
            if beside.exists():
                return str(beside)
        if importlib.util.find_spec("sglang"):
            return sys.executable
        raise EngineMissingError(
            "SGLang is not on this machine: install it into an environment of its own with `pip install "
            "sglang`, and put its folder on the PATH or name its Python under `engines:`"
        )


def _options(spec: ServerSpec, port: int, placement: Placement | None) -> Iterator[str]:
    yield from ("--model-path", spec.model, "--served-model-name", spec.upstream_id)
    yield from ("--host", "127.0.0.1", "--port", str(port), "--max-running-requests", str(spec.slots))
    if spec.context:
        yield from ("--context-length", str(spec.context))
    if spec.gpu_memory is not None:
        yield from ("--mem-fraction-static", f"{spec.gpu_memory:g}")
    if (count := gpu_count(spec, placement)) > 1:
        yield from ("--tp-size", str(count))
