"""Memory of AMD's GPUs from the kernel's files: /sys/class/drm for cards, /proc/PID/fdinfo for processes.

Cards are counted in the order of the PCI bus. What an integrated GPU borrows from RAM (GTT) is RAM here.
The format of fdinfo: https://docs.kernel.org/gpu/drm-usage-stats.html
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from freehold.core.memory import GpuMemory

VENDOR = "0x1002"
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_VRAM_KEYS = ("drm-resident-vram", "drm-memory-vram", "drm-total-vram")
"""What kernels call it; the first that is there counts. The second is the older name of the first."""


class AmdCard(msgspec.Struct, frozen=True):
    """A GPU, and the address that processes are counted under."""

    memory: GpuMemory
    pci: str
    """As `0000:03:00.0`."""


def amd_cards(root: Path) -> tuple[AmdCard, ...]:
    """Every card with memory of its own."""
    devices: dict[str, Path] = {}
    for card in (root / "sys/class/drm").glob("card*"):
        device = card / "device"
        if card.name[4:].isdigit() and _text(device / "vendor") == VENDOR:
            devices[_address(device, card.name)] = device
    readable = (
        (pci, device, _number(device / "mem_info_vram_total"), _number(device / "mem_info_vram_used"))
        for pci, device in sorted(devices.items())
    )
    return tuple(
        AmdCard(
            GpuMemory(
                index=index,
                name=_text(device / "product_name") or f"AMD device {_text(device / 'device')}",
                vendor="amd",
                total_bytes=total or 0,
                free_bytes=max(0, (total or 0) - (used or 0)),
            ),
            pci,
        )
        for index, (pci, device, total, used) in enumerate(readable)
    )


def amd_used_by(root: Path, cards: tuple[AmdCard, ...], pids: frozenset[int]) -> dict[int, int]:
    """Bytes by GPU index. A buffer that several descriptors of one client share is counted once."""
    indexes = {card.pci: card.memory.index for card in cards}
    clients: dict[tuple[str, str], int] = {}
    for pid in pids:
        for text in _fdinfo(root / "proc" / str(pid) / "fdinfo"):
            facts = parse_fdinfo(text)
            pci, client = facts.get("drm-pdev", ""), facts.get("drm-client-id", "")
            if facts.get("drm-driver") == "amdgpu" and pci in indexes:
                clients[pci, client] = max(clients.get((pci, client), 0), vram_of(facts))
    used: dict[int, int] = {}
    for (pci, _), size in clients.items():
        used[indexes[pci]] = used.get(indexes[pci], 0) + size
    return used


def parse_fdinfo(text: str) -> dict[str, str]:
    """The `drm-` lines of one descriptor's file."""
    pairs = (line.partition(":") for line in text.splitlines() if line.startswith("drm-"))
    return {name: value.strip() for name, _, value in pairs}


def vram_of(facts: dict[str, str]) -> int:
    """Bytes in video memory; 0 when they are not said."""
    for key in _VRAM_KEYS:
        number, _, unit = facts.get(key, "").partition(" ")
        if number.isdigit() and unit in _UNITS:
            return int(number) * _UNITS[unit]
    return 0


def _fdinfo(folder: Path) -> list[str]:
    try:
        return [text for entry in folder.iterdir() if "drm-" in (text := _text(entry))]
    except OSError:
        return []


def _address(device: Path, fallback: str) -> str:
    """The PCI address from the device's uevent, which is there in containers too."""
    for line in _text(device / "uevent").splitlines():
        if line.startswith("PCI_SLOT_NAME="):
            return line.partition("=")[2]
    return fallback


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
