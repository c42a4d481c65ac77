"""Reads the memory of this machine and of processes on it. Implements `core.memory.MemoryGauge`.

Nothing here raises, and nothing that hangs holds it for more than some seconds: a machine whose driver is
broken is a machine whose GPUs are as they were last seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from freehold.adapters.host.amd_memory import amd_cards, amd_used_by
from freehold.adapters.host.nvidia_memory import NvidiaReadings
from freehold.adapters.host.ram import KIB, ram
from freehold.core.memory import GpuMemory, MachineMemory, MemoryUse

_VISIBLE = {"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "HIP_VISIBLE_DEVICES"}


class HostGauge:
    """See the module. `root` is where /proc and /sys are looked for.

    GPUs of one vendor are told, of the one that has more memory: an engine is built for one, and their
    numbers would collide. GPUs that our own environment hides (`CUDA_VISIBLE_DEVICES`) are not told.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        root: Path = Path("/"),
        nvidia: NvidiaReadings | None = None,
    ) -> None:
        self._env = os.environ if env is None else env
        self._root = root
        self._nvidia = nvidia or NvidiaReadings(self._env)
        self._last: tuple[GpuMemory, ...] = ()

    def machine(self) -> MachineMemory:
        """RAM and GPUs now. Blocking, some milliseconds (a tenth of a second where only a tool tells)."""
        now = ram(self._root)
        return MachineMemory(ram_total_bytes=now.total, ram_free_bytes=now.free, gpus=self._gpus())

    def used_by(self, pids: frozenset[int]) -> MemoryUse:
        """What these processes hold together; one that has ended holds nothing."""
        held = [self._held(pid) for pid in pids]
        return MemoryUse(
            at_ms=time.time_ns() // 1_000_000,
            anon_bytes=sum(anon for anon, _ in held),
            rss_bytes=sum(rss for _, rss in held),
            gpu_bytes=self._gpu_bytes(pids),
        )

    def _gpus(self) -> tuple[GpuMemory, ...]:
        kinds = (
            [card.memory for card in self._nvidia.cards()],
            [card.memory for card in amd_cards(self._root)],
        )
        most = max(kinds, key=lambda cards: sum(card.total_bytes for card in cards))
        if most:
            self._last = tuple(visible(most, self._env))
        return self._last

    def _gpu_bytes(self, pids: frozenset[int]) -> Mapping[int, int]:
        cards = self._last or self._gpus()
        if not pids or not cards:
            return {}
        if cards[0].vendor == "nvidia":
            return self._nvidia.used_by(pids)
        return amd_used_by(self._root, amd_cards(self._root), pids)

    def _held(self, pid: int) -> tuple[int, int]:
        """(what nobody can take back, resident) of one process, bytes. Field names: proc_pid_status(5)."""
        try:
            lines = (self._root / "proc" / str(pid) / "status").read_text(errors="replace").splitlines()
        except OSError:
            return _held_elsewhere(pid) if not (self._root / "proc/self").exists() else (0, 0)
        sizes = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

        def size(name: str) -> int:
            words = sizes.get(name, [])
            return int(words[0]) * KIB if words and words[0].isdigit() else 0

        return size("RssAnon") + size("VmSwap"), size("VmRSS")


def _held_elsewhere(pid: int) -> tuple[int, int]:
    """Where there is no /proc (macOS)."""
    try:
        resident = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0, 0
    return resident, resident


def visible(cards: Iterable[GpuMemory], env: Mapping[str, str]) -> list[GpuMemory]:
    """Those that our own environment shows to programs. Names that are no numbers (UUIDs) hide nothing."""
    kept: list[GpuMemory] = []
    for card in cards:
        said = env.get(_VISIBLE.get(card.vendor, ""))
        names = [] if said is None else [name.strip() for name in said.split(",") if name.strip()]
        shown = said is None or str(card.index) in names or any(not _is_number(name) for name in names)
        if shown:
            kept.append(card)
    return kept


def _is_number(name: str) -> bool:
    return name.lstrip("-").isdigit()
