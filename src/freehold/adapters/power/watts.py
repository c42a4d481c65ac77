"""Watts of the machine's processors: NVIDIA's GPUs through NVML, CPU packages through RAPL.

Board, fans and power supply measure nothing, so the true figure at the socket is somewhat higher. RAPL's
counters (`/sys/class/powercap/intel-rapl:N/energy_uj`, microjoules that wrap around at `max_energy_range_uj`)
are for root alone on most systems; then only GPUs are measured. Nothing here raises.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")
SHORTEST_S = 0.1
"""A counter that is read sooner again tells nothing."""


def load_nvml() -> Any:
    """NVML's Python module, initialised; None when it is not installed or finds no driver."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # whatever a broken driver does: then GPUs are not measured
        return None
    return nvml


class Watts:
    """Call it for what is drawn now; None when nothing can be read. Blocks for milliseconds."""

    def __init__(
        self,
        load: Callable[[], Any] = load_nvml,
        rapl: Path = RAPL,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nvml: Any = None
        self._load: Callable[[], Any] | None = load
        self._rapl = rapl
        self._clock_s = clock_s
        self._before: dict[Path, tuple[float, int]] = {}
        """By counter: when it was read, and its microjoules."""

    def __call__(self) -> float | None:
        found = [*self._gpus(), *self._packages()]
        return sum(found) if found else None

    def _gpus(self) -> list[float]:
        if self._load is not None:
            self._nvml, self._load = self._load(), None
        nvml = self._nvml
        if nvml is None:
            return []
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]
            return [nvml.nvmlDeviceGetPowerUsage(handle) / 1000 for handle in handles]
        except Exception:  # a GPU that has gone, or does not tell
            return []

    def _packages(self) -> list[float]:
        """Mean power since the last reading; packages only, because their parts are in them."""
        found: list[float] = []
        for folder in sorted(self._rapl.glob("intel-rapl:[0-9]*")):
            if folder.name.count(":") == 1 and (watts := self._package(folder)) is not None:
                found.append(watts)
        return found

    def _package(self, folder: Path) -> float | None:
        try:
            energy_uj = int((folder / "energy_uj").read_text())
            range_uj = int((folder / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            return None
        now_s = self._clock_s()
        before = self._before.get(folder)
        if before is not None and now_s - before[0] < SHORTEST_S:
            return None
        self._before[folder] = (now_s, energy_uj)
        if before is None:
            return None
        used_uj = energy_uj - before[1]
        if used_uj < 0:
            used_uj += range_uj
        return used_uj / 1e6 / (now_s - before[0])
