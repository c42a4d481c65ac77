"""Memory of NVIDIA's GPUs: through NVML where `nvidia-ml-py` is installed, else through `nvidia-smi`.

Both count GPUs in the order of the PCI bus; a program sees the same numbers when it is started with
`CUDA_DEVICE_ORDER=PCI_BUS_ID`. Nothing here raises: without a driver there is simply nothing.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from freehold.core.memory import GpuMemory

MIB = 1 << 20
SMI_TIMEOUT_S = 3.0
SMI_REST_S = 60.0
"""Not asked again for so long after it hung."""
CARDS_QUERY = "--query-gpu=index,uuid,name,memory.total,memory.free"
APPS_QUERY = "--query-compute-apps=pid,gpu_uuid,used_memory"
_FORMAT = "--format=csv,noheader,nounits"


class NvidiaCard(msgspec.Struct, frozen=True):
    """A GPU, and the name that processes are counted under."""

    memory: GpuMemory
    uuid: str


def load_nvml() -> Any:
    """NVML's Python module, initialised; None when it is not installed or finds no driver."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # whatever a broken driver does, the tool may still answer
        return None
    return nvml


class NvidiaReadings:
    """Reads through whichever way works; asked again each time, as drivers come and go."""

    def __init__(self, env: Mapping[str, str], load: Callable[[], Any] = load_nvml) -> None:
        self._env = env
        self._load = load
        self._nvml: Any = None
        self._smi_rests_until_s = 0.0

    def cards(self) -> tuple[NvidiaCard, ...]:
        """Every GPU that tells its memory, in the driver's order; none when nothing can be asked."""
        nvml = self._library()
        if nvml is not None:
            try:
                return tuple(self._nvml_cards(nvml))
            except nvml.NVMLError:
                self._forget()
        return parse_cards(self._smi(CARDS_QUERY))

    def used_by(self, pids: frozenset[int]) -> dict[int, int]:
        """Bytes by GPU index that these processes hold; empty where the driver does not tell."""
        nvml = self._library()
        if nvml is not None:
            try:
                return _nvml_used(nvml, pids)
            except nvml.NVMLError:
                self._forget()
        apps = self._smi(APPS_QUERY)
        return parse_apps(apps, parse_cards(self._smi(CARDS_QUERY)), pids) if apps.strip() else {}

    # -- NVML

    def _library(self) -> Any:
        """The library, initialised; None when it is not installed or finds no driver."""
        if self._nvml is None:
            self._nvml = self._load()
        return self._nvml

    def _forget(self) -> None:
        """After an error (a driver that was reloaded): begin anew next time."""
        self._nvml = None

    @staticmethod
    def _nvml_cards(nvml: Any) -> list[NvidiaCard]:
        found: list[NvidiaCard] = []
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                said = nvml.nvmlDeviceGetMemoryInfo(handle)
            except nvml.NVMLError:  # one broken card, or one that shares the machine's memory, hides no other
                continue
            card = GpuMemory(
                index=index,
                name=_words(nvml.nvmlDeviceGetName(handle)),
                vendor="nvidia",
                total_bytes=int(said.total),
                free_bytes=int(said.free),
            )
            found.append(NvidiaCard(card, _words(nvml.nvmlDeviceGetUUID(handle))))
        return found

    # -- nvidia-smi

    def _smi(self, query: str) -> str:
        tool = shutil.which("nvidia-smi", path=self._env.get("PATH", ""))
        if tool is None or time.monotonic() < self._smi_rests_until_s:
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the driver's own tool
                [tool, query, _FORMAT],
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SMI_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:  # a driver that hangs stays so for a while
            self._smi_rests_until_s = time.monotonic() + SMI_REST_S
            return ""
        except OSError:
            return ""
        return done.stdout if done.returncode == 0 else ""


def _nvml_used(nvml: Any, pids: frozenset[int]) -> dict[int, int]:
    used: dict[int, int] = {}
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            running = nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(index))
        except nvml.NVMLError:
            continue
        for process in running:
            if process.pid in pids and process.usedGpuMemory:
                used[index] = used.get(index, 0) + int(process.usedGpuMemory)
    return used


def _words(said: str | bytes) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def parse_cards(text: str) -> tuple[NvidiaCard, ...]:
    """GPUs from `nvidia-smi` called with CARDS_QUERY. A card without memory of its own (`[N/A]`) is left
    out: what it uses is RAM."""
    found: list[NvidiaCard] = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 5:
            continue
        index, uuid, name, total, free = fields
        if index.isdigit() and total.isdigit() and free.isdigit():
            card = GpuMemory(
                index=int(index),
                name=name,
                vendor="nvidia",
                total_bytes=int(total) * MIB,
                free_bytes=int(free) * MIB,
            )
            found.append(NvidiaCard(card, uuid))
    return tuple(found)


def parse_apps(text: str, cards: tuple[NvidiaCard, ...], pids: frozenset[int]) -> dict[int, int]:
    """Bytes by GPU index, from `nvidia-smi` called with APPS_QUERY."""
    indexes = {card.uuid: card.memory.index for card in cards}
    used: dict[int, int] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 3 or not fields[0].isdigit() or not fields[2].isdigit():
            continue
        index = indexes.get(fields[1])
        if index is not None and int(fields[0]) in pids:
            used[index] = used.get(index, 0) + int(fields[2]) * MIB
    return used
