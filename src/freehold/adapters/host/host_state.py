"""What a model server stands on, and what of it changed since it last started well: boot, kernel, drivers.

A start is good when the server lived a minute, or when nothing bad was heard of it before the next start.
Kept in one small file of the state folder. Sleep and clock jumps are seen from three clocks of the kernel.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from freehold.core.quantities import duration_words

GOOD_AFTER_MS = 60_000
SLEPT_S = 5.0
JUMPED_S = 5.0
FILE = "host-at-start.json"
_LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib")
_DRIVERS = ("nvidia", "amdgpu", "i915", "xe")


class HostState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    boot: str = ""
    """Random identity of this run of the kernel."""
    kernel: str = ""
    drivers: Mapping[str, str] = {}
    """GPU driver -> version; "" where it has none of its own."""
    nvidia_library: str = ""
    """Version of libcuda: of the same release as the driver, or nothing works."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one server."""

    good: HostState | None = None
    trial: HostState | None = None
    """At the last start, of which is not known yet whether it went well."""


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `boot` runs on while the machine sleeps, `monotonic` does not, `utc` can be set."""

    utc: float
    boot: float
    monotonic: float


class Diary:
    """Owner of the file. Safe to call from several threads; never raises: without a folder, or when it cannot
    be written, this run's own starts are remembered."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None
        self._lock = threading.Lock()
        self._records: dict[str, Record] | None = None

    def started(self, server: str, now: HostState) -> tuple[str, ...]:
        """Notes a start. What changed since the last good one, in words."""
        with self._lock:
            records = self._load()
            record = after_start(records.get(server, Record()), now)
            records[server] = record
            self._save(records)
            return differences(record.good, now)

    def ended(self, server: str, lived_ms: int) -> None:
        with self._lock:
            records = self._load()
            before = records.get(server, Record())
            after = after_end(before, lived_ms)
            if after != before:
                records[server] = after
                self._save(records)

    def _load(self) -> dict[str, Record]:
        if self._records is None:
            self._records = {}
            with suppress(OSError, msgspec.DecodeError):
                if self._path is not None:
                    text = self._path.read_bytes()
                    self._records = msgspec.json.decode(text, type=dict[str, Record])
        return self._records

    def _save(self, records: Mapping[str, Record]) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(records))
            fresh.replace(self._path)


def after_start(record: Record, now: HostState) -> Record:
    """An earlier start of which nothing bad was heard was good."""
    return Record(good=record.trial or record.good, trial=now)


def after_end(record: Record, lived_ms: int) -> Record:
    if record.trial is None:
        return record
    return Record(good=record.trial if lived_ms >= GOOD_AFTER_MS else record.good)


def differences(good: HostState | None, now: HostState) -> tuple[str, ...]:
    """In words; without a good start only what cannot be right now."""
    found: list[str] = []
    driver = now.drivers.get("nvidia")
    if driver and now.nvidia_library and driver != now.nvidia_library:
        library = now.nvidia_library
        found.append(f"NVIDIA's library {library} does not fit its driver {driver}: restart the machine")
    if good is None:
        return tuple(found)
    if good.boot and now.boot and good.boot != now.boot:
        found.append("the machine was started again since the last good start")
    if good.kernel != now.kernel:
        found.append(f"kernel {good.kernel or 'unknown'} became {now.kernel or 'unknown'}")
    for name in sorted({*good.drivers, *now.drivers}):
        before, after = good.drivers.get(name), now.drivers.get(name)
        if before == after:
            continue
        if before is None:
            found.append(f"GPU driver {name} is new ({after or 'no version'})")
        elif after is None:
            found.append(f"GPU driver {name} is gone (was {before or 'there'})")
        else:
            found.append(f"GPU driver {name} {before} became {after}")
    return tuple(found)


def interruptions(before: Clocks, now: Clocks) -> tuple[str, ...]:
    """Sleep and clock jumps between two readings, in words."""
    found: list[str] = []
    slept_s = (now.boot - before.boot) - (now.monotonic - before.monotonic)
    if slept_s > SLEPT_S:
        found.append(f"the machine slept for {duration_words(slept_s)} while the server ran")
    jumped_s = (now.utc - before.utc) - (now.boot - before.boot)
    if abs(jumped_s) > JUMPED_S:
        way = "forward" if jumped_s > 0 else "back"
        found.append(f"the clock was set {way} by {duration_words(abs(jumped_s))} while the server ran")
    return tuple(found)


def started_before_boot(started_ms: int, clocks: Clocks) -> bool:
    """Whether that was another run of the kernel. A minute is left for clocks that were set."""
    return started_ms < (clocks.utc - clocks.boot - 60) * 1000


def read_clocks() -> Clocks:
    monotonic = time.monotonic()
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    boot = time.clock_gettime(boot_clock) if boot_clock is not None else monotonic
    return Clocks(utc=time.time(), boot=boot, monotonic=monotonic)


def read_state(root: Path = Path("/")) -> HostState:
    """Some small files; nothing is asked of a driver."""
    drivers: dict[str, str] = {}
    for name in _DRIVERS:
        module = root / "sys/module" / name
        # A driver that is built in has a folder, but no state of being loaded.
        if (module / "initstate").exists():
            drivers[name] = _text(module / "version")
    return HostState(
        boot=_text(root / "proc/sys/kernel/random/boot_id"),
        kernel=platform.release() if os.name == "posix" else "",
        drivers=drivers,
        nvidia_library=_nvidia_library(root) if "nvidia" in drivers else "",
    )


def _nvidia_library(root: Path) -> str:
    """From the name of the file: `libcuda.so.570.133.20`. Unknown when there are several."""
    found = {
        path.name.removeprefix("libcuda.so.")
        for folder in _LIBRARY_FOLDERS
        for path in (root / folder).glob("libcuda.so.[0-9]*.[0-9]*")
    }
    return found.pop() if len(found) == 1 else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
