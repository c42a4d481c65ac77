"""What an engine may know of our environment, and which GPUs it sees. Pure.

An allow-list: API keys and the rest of our environment are none of an engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freehold.core.memory import Placement
from freehold.core.servers import ServerSpec

_KEPT = frozenset(
    (
        *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"),
        *("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME", "CUDA_HOME", "ROCM_PATH"),
        *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES"),
        *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION"),
        "ONEAPI_DEVICE_SELECTOR",
    )
)
_HIDDEN = "-1"
"""A GPU that no driver has: hides all of them."""


def environment(
    env: Mapping[str, str],
    spec: ServerSpec,
    placement: Placement | None = None,
    *,
    names: Sequence[str] = (),
    prefixes: tuple[str, ...] = (),
) -> dict[str, str]:
    """The whole environment of `spec`'s process: what every engine needs, what this one knows (`names`,
    `prefixes`), its GPUs, and what the person added, which goes last."""
    wanted = _KEPT | set(names)
    kept = {key: value for key, value in env.items() if key in wanted or key.startswith(prefixes or ("\0",))}
    return kept | _gpus(visible_gpus(spec, placement)) | _added(env, spec.env)


def bare(env: Mapping[str, str]) -> dict[str, str]:
    """What any program of the person's may know of our environment: no keys."""
    return {key: value for key, value in env.items() if key in _KEPT}


def visible_gpus(spec: ServerSpec, placement: Placement | None) -> tuple[int, ...] | None:
    """GPU indexes that the server gets; empty: none; None: it may choose."""
    return placement.gpus if placement is not None else spec.gpus


def _gpus(indexes: tuple[int, ...] | None) -> dict[str, str]:
    """Both vendors' variables; the order of NVIDIA's indexes is that of `nvidia-smi`. ROCR's variable is left
    alone, because it would be applied before HIP's and shift its indexes."""
    if indexes is None:
        return {}
    shown = ",".join(map(str, indexes)) or _HIDDEN
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": shown,
        "HIP_VISIBLE_DEVICES": shown,
    }


def _added(env: Mapping[str, str], entries: Sequence[str]) -> dict[str, str]:
    """`NAME=value` as it stands, `NAME` from ours when it is set there."""
    added: dict[str, str] = {}
    for entry in entries:
        name, given, value = entry.partition("=")
        if given:
            added[name] = value
        elif name in env:
            added[name] = env[name]
    return added
