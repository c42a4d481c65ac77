"""What llama.cpp's programs tell without loading a model: which GPUs they can use, what a run would need.

`llama-server --list-devices` names devices; `llama-fit-params --fit-print on`, where it lies beside the
server, prints what each device would hold. Both are asked in a child process, and never raise.
"""

from __future__ import annotations

import importlib.util
import mmap
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from freehold.core.memory import MemoryNeed, MemoryPart, PartName

DEVICES_TIMEOUT_S = 15.0
DRY_RUN_TIMEOUT_S = 60.0
MIB = 1 << 20

_COLUMNS: tuple[tuple[PartName, str], ...] = (("weights", "model"), ("kv", "context"), ("compute", "compute"))
_DEVICE = re.compile(r"^\s+(?!CPU|BLAS|RPC)\w+\d+: ", re.MULTILINE)
_GPU_CODE = (b"ggml_cuda_init", b"ggml_vulkan: Found", b"ggml_metal_init", b"ggml_sycl_init")
"""Texts that are in the library when it was built for such GPUs."""
_LINE = re.compile(
    r"^(?P<device>\w+)\s+(?P<model>\d+)\s+(?P<context>\d+)\s+(?P<compute>\d+)\s*$", re.MULTILINE
)


def server_sees_gpus(program: str, env: Mapping[str, str]) -> bool | None:
    """Whether this `llama-server` can use a GPU of this machine; None when it does not say."""
    said = _ask([program, "--list-devices"], env, DEVICES_TIMEOUT_S)
    if said is None or "devices" not in said:
        return None
    return bool(_DEVICE.search(said))


def wheel_has_gpu_code() -> bool:
    """Whether the embedded llama.cpp was built for GPUs; the usual wheel is not."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        return False
    return any(_has_gpu_code(library) for library in Path(spec.origin).parent.glob("*.so"))


def _has_gpu_code(library: Path) -> bool:
    try:
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(text) >= 0 for text in _GPU_CODE)
    except (OSError, ValueError):
        return False


def dry_run(program: str, flags: Sequence[str], env: Mapping[str, str]) -> MemoryNeed | None:
    """What a run with these flags would hold, by the engine itself; reads no weights. None when it fails."""
    said = _ask([program, *flags, "--fit-print", "on"], env, DRY_RUN_TIMEOUT_S)
    return parse_dry_run(said) if said else None


def parse_dry_run(text: str) -> MemoryNeed | None:
    """The table of `--fit-print on`: device, then MiB of model, context and compute, cut to whole MiB."""
    parts: list[MemoryPart] = []
    devices = 0
    for line in _LINE.finditer(text):
        host = line["device"].lower().startswith(("host", "cpu"))
        device = None if host else devices
        devices += not host
        for what, column in _COLUMNS:
            size = int(line[column]) * MIB
            mapped = host and what == "weights"
            parts.append(MemoryPart(what=what, bytes=size, device=device, mapped=mapped))
    return MemoryNeed(parts=tuple(parts), devices=devices, source="dry run") if parts else None


def _ask(command: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the engine's own tool
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(env),
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
