"""llama.cpp as an engine: the machine's own `llama-server`, else the embedded wheel run as a child.

An installed `llama-server` goes first: it is built for this machine's GPU, the wheel is not.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

CACHE_RAM_MIB = 512
"""Host memory for cached prompts. The engine's own default, 8 GiB for each server, has ended many a host."""

TINY_BYTES = 64 * 1024 * 1024

_KEPT = frozenset(
    (
        *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"),
        *("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
        *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
        *("HSA_OVERRIDE_GFX_VERSION", "ONEAPI_DEVICE_SELECTOR"),
    )
)
_KEPT_PREFIXES = ("GGML_", "LLAMA_ARG_N_", "VK_")
"""What an engine may know of our environment. API keys and the rest of it are none of its business."""


class LlamaCpp:
    """Fills the port `Engine`. `env` is the environment to look in and to pass on from."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def program(self) -> str | None:
        """Path of the machine's `llama-server`, if it has one."""
        return shutil.which("llama-server", path=self._env.get("PATH"))

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to serve `spec` on loopback. Raises `EngineMissingError`."""
        if native := self.program():
            argv = (native, "--host", "127.0.0.1", *_options(spec, port), "--metrics", "--jinja")
            program = f"llama-server ({native})"
        elif importlib.util.find_spec("xllamacpp"):
            child = "freehold.adapters.engines.llamacpp_child"
            argv = (sys.executable, "-P", "-m", child, *_options(spec, port))
            program = "embedded llama.cpp"
        else:
            raise EngineMissingError(
                "No llama.cpp on this machine: install `llama-server` so that it is on the PATH, "
                "or the embedded engine with: pip install 'freehold[engine]'"
            )
        return Launch(argv=argv, env=self._environment(spec), health_path="/health", program=program)

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        return None

    def _environment(self, spec: ServerSpec) -> dict[str, str]:
        """Tuning goes in as variables: a `llama-server` too old to know one passes over it in silence."""
        kept = {k: v for k, v in self._env.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
        kept["LLAMA_ARG_CACHE_RAM"] = str(CACHE_RAM_MIB)
        if _is_tiny(Path(spec.model)):
            kept["LLAMA_ARG_THREADS"] = "1"
        return kept


def _is_tiny(model: Path) -> bool:
    """Of so little work per token that threads mostly wait for each other, above all on a busy machine."""
    try:
        return model.stat().st_size < TINY_BYTES
    except OSError:
        return False  # the engine will say what is wrong with it


def _options(spec: ServerSpec, port: int) -> tuple[str, ...]:
    """Options that both programs spell alike. The engine shares its context out among the slots."""
    return (
        *("--model", spec.model, "--alias", spec.upstream_id, "--port", str(port)),
        *("--ctx-size", str(spec.context * spec.slots), "--parallel", str(spec.slots)),
    )
