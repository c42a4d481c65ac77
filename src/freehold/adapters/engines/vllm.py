"""vLLM as an engine: `vllm serve`, from the PATH, from our own Python's folder, or named.

It takes its share of each GPU's memory at once (`gpu_memory`, its own default is 0.9). Options as its
documentation names them (docs.vllm.ai, "vllm serve").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from freehold.adapters.engines.environment import environment, visible_gpus
from freehold.adapters.engines.programs import find_program
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec

HUB_NAMES = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "TRANSFORMERS_OFFLINE")
"""Where models of the hub lie. Not the token: `env: [HF_TOKEN]` passes it on."""
GPU_PREFIXES = ("NCCL_", "TORCH_", "TORCHINDUCTOR_", "TRITON_", "CUDA_")


class Vllm:
    """Fills the port `Engine`."""

    def __init__(self, env: Mapping[str, str], named: str | None = None) -> None:
        self._env = env
        self._named = named

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to serve `spec` on loopback. Raises `EngineMissingError`."""
        program = find_program("vllm", self._named, self._env)
        if program is None:
            raise EngineMissingError(
                "vLLM is not on this machine: install it into an environment of its own with `pip install "
                "vllm`, and put its folder on the PATH or name its program under `engines:`"
            )
        kept = environment(self._env, spec, placement, names=HUB_NAMES, prefixes=(*GPU_PREFIXES, "VLLM_"))
        if not any(entry.partition("=")[0] == "VLLM_API_KEY" for entry in spec.env):
            kept.pop("VLLM_API_KEY", None)  # it would lock out our own calls
        return Launch(
            argv=(program, "serve", spec.model, *_options(spec, port, placement), *spec.args),
            env={"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"} | kept,
            health_path=spec.health_path or "/health",
            program=f"vLLM ({program})",
            probe_path="/v1/completions",
            probe_body=completion_probe(spec),
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """Nothing: it takes what it was told to."""
        return None


def completion_probe(spec: ServerSpec) -> bytes:
    """One token, by OpenAI's completions."""
    return msgspec.json.encode({"model": spec.upstream_id, "prompt": "a", "max_tokens": 1})


def gpu_count(spec: ServerSpec, placement: Placement | None) -> int:
    """Over how many GPUs the model is spread."""
    return len(visible_gpus(spec, placement) or ()) or 1


def _options(spec: ServerSpec, port: int, placement: Placement | None) -> Iterator[str]:
    yield from ("--host", "127.0.0.1", "--port", str(port), "--served-model-name", spec.upstream_id)
    yield from ("--max-num-seqs", str(spec.slots))
    if spec.context:
        yield from ("--max-model-len", str(spec.context))
    if spec.gpu_memory is not None:
        yield from ("--gpu-memory-utilization", f"{spec.gpu_memory:g}")
    if (count := gpu_count(spec, placement)) > 1:
        yield from ("--tensor-parallel-size", str(count))
