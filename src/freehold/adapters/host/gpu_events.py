"""Errors that NVIDIA's driver tells through its library (NVML): for who may not read the kernel's log.

Optional: needs the package nvidia-ml-py. Lines have the shape that the kernel's own have, without its text.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Protocol, cast

from freehold.core.deaths import KernelLine

MOST_EVENTS = 100
WAIT_MS = 2000
"""How long the library waits for the next event; a stop takes effect after that."""


class Nvml(Protocol):
    """The part of nvidia-ml-py that is used. Handles and event sets are its own."""

    NVMLError: type[Exception]
    nvmlEventTypeXidCriticalError: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any: ...
    def nvmlDeviceGetPciInfo(self, handle: Any, /) -> Any: ...
    def nvmlEventSetCreate(self) -> Any: ...
    def nvmlEventSetFree(self, events: Any, /) -> None: ...
    def nvmlDeviceRegisterEvents(self, handle: Any, kinds: int, events: Any, /) -> None: ...
    def nvmlEventSetWait_v2(self, events: Any, timeout_ms: int, /) -> Any: ...


def find_nvml() -> Nvml | None:
    try:
        return cast("Nvml", importlib.import_module("pynvml"))
    except ImportError:
        return None


def has_driver() -> bool:
    """Without loading anything; the second one is WSL's."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


class GpuEvents:
    """Owner of the thread that waits for GPU errors. Runs from `start` to `close`; without a GPU it ends
    at once."""

    def __init__(self, nvml: Nvml | None = None) -> None:
        self._nvml = nvml
        self._seen: deque[KernelLine] = deque(maxlen=MOST_EVENTS)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """At the first call, where there is a driver. Does not wait until it has woken up."""
        if self._thread is None and not self._stop.is_set() and (self._nvml or has_driver()):
            self._thread = threading.Thread(target=self._run, name="gpu-events", daemon=True)
            self._thread.start()

    def since(self, at_ms: int) -> tuple[KernelLine, ...]:
        return tuple(line for line in tuple(self._seen) if line.at_ms >= at_ms)

    def close(self) -> None:
        """The thread is gone afterwards, or ends within two seconds."""
        self._stop.set()
        self.join(0.1)

    def join(self, timeout_s: float = WAIT_MS / 1000) -> None:
        """Until the thread has ended by itself: no GPU, or a lost one."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        nvml = self._nvml or find_nvml()
        if nvml is None:
            return
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            return
        try:
            self._listen(nvml)
        except nvml.NVMLError:
            return
        finally:
            nvml.nvmlShutdown()

    def _listen(self, nvml: Nvml) -> None:
        events = nvml.nvmlEventSetCreate()
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            while not self._stop.is_set():
                try:
                    event = nvml.nvmlEventSetWait_v2(events, WAIT_MS)
                except nvml.NVMLError as error:
                    if _is_timeout(error):
                        continue
                    raise
                self._seen.append(_line(nvml, event))
        finally:
            nvml.nvmlEventSetFree(events)


def _is_timeout(error: Exception) -> bool:
    """NVML_ERROR_TIMEOUT is 10 (nvml.h)."""
    return getattr(error, "value", None) == 10


def _line(nvml: Nvml, event: Any) -> KernelLine:
    try:
        bus = nvml.nvmlDeviceGetPciInfo(event.device).busId
        place = bus.decode(errors="replace") if isinstance(bus, bytes) else str(bus)
    except nvml.NVMLError:
        place = "unknown"
    text = f"NVRM: Xid (PCI:{place}): {int(event.eventData)}, told by NVML"
    return KernelLine(at_ms=time.time_ns() // 1_000_000, text=text)
