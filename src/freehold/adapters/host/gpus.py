"""Looks at GPUs: NVIDIA through its own tool, AMD and Intel through the kernel's files, Apple by platform.

Nothing here needs a vendor's library; each way is tried on its own, so that one broken driver hides no
other card.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from freehold.adapters.host.facts import GpuFact, GpuTrouble

NVIDIA_QUERY = ("--query-gpu=name,driver_version,memory.total,memory.used", "--format=csv,noheader,nounits")
NVIDIA_TIMEOUT_S = 5.0
MIB = 1 << 20
_VENDORS = {"0x1002": "AMD", "0x8086": "Intel"}
_NVIDIA = "0x10de"


class Gpus(msgspec.Struct, frozen=True):
    """Cards that work, and drivers that do not."""

    cards: tuple[GpuFact, ...] = ()
    troubles: tuple[GpuTrouble, ...] = ()


def gpus(env: Mapping[str, str], root: Path = Path("/")) -> Gpus:
    """Every card that can be found; `root` is where /sys, /proc and /dev are looked for."""
    nvidia = _nvidia(env, root)
    cards = nvidia.cards + kernel_cards(root)
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        cards += (GpuFact(vendor="Apple", name="Apple GPU, shares the machine's memory"),)
    return Gpus(cards, nvidia.troubles)


def _nvidia(env: Mapping[str, str], root: Path) -> Gpus:
    tool = shutil.which("nvidia-smi", path=env.get("PATH", ""))
    if tool is None:
        # A container that was started without its GPUs often still sees the card on the bus.
        seen = (root / "proc/driver/nvidia/version").exists() or _NVIDIA in _vendors_on_bus(root)
        trouble = GpuTrouble(tool="nvidia-smi", said="an NVIDIA card is there, but nvidia-smi is not on PATH")
        return Gpus((), (trouble,) if seen else ())
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool
            [tool, *NVIDIA_QUERY],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=NVIDIA_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        said = f"no answer in {NVIDIA_TIMEOUT_S:.0f} s: the driver hangs"
        return Gpus((), (GpuTrouble(tool="nvidia-smi", said=said),))
    except OSError as error:
        return Gpus((), (GpuTrouble(tool="nvidia-smi", said=str(error)),))
    return parse_nvidia_smi(done.stdout, done.stderr, done.returncode)


def parse_nvidia_smi(out: str, err: str, status: int) -> Gpus:
    """Cards from `nvidia-smi` called with NVIDIA_QUERY; what it complained of when it failed.

    The tool writes its complaints to stdout, and MiB as plain numbers or `[N/A]`.
    """
    cards: list[GpuFact] = []
    for line in out.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if status == 0 and len(fields) == 4:
            name, driver, total, used = fields
            cards.append(
                GpuFact(
                    vendor="NVIDIA",
                    name=name,
                    driver=driver,
                    memory_total=_mib(total),
                    memory_used=_mib(used),
                )
            )
    if cards:
        return Gpus(tuple(cards))
    lines = [line.strip() for line in (out + "\n" + err).splitlines() if line.strip()]
    return Gpus((), (GpuTrouble(tool="nvidia-smi", said=lines[0] if lines else f"exit status {status}"),))


def _mib(field: str) -> int | None:
    return int(field) * MIB if field.isdigit() else None


def kernel_cards(root: Path) -> tuple[GpuFact, ...]:
    """AMD and Intel cards from /sys/class/drm, with the render node that a program must open."""
    found: list[GpuFact] = []
    for card in sorted(_cards(root)):
        device = card / "device"
        vendor = _VENDORS.get(_read(device / "vendor"))
        if vendor is None:
            continue
        nodes = sorted((device / "drm").glob("renderD*"))
        node = root / "dev/dri" / nodes[0].name if nodes else None
        found.append(
            GpuFact(
                vendor=vendor,
                name=_read(device / "product_name") or f"{vendor} device {_read(device / 'device')}",
                driver=(device / "driver").resolve().name if (device / "driver").exists() else "",
                memory_total=_number(device / "mem_info_vram_total"),
                memory_used=_number(device / "mem_info_vram_used"),
                node=str(node or ""),
                node_open=node is None or os.access(node, os.R_OK | os.W_OK),
            )
        )
    return tuple(found)


def _vendors_on_bus(root: Path) -> set[str]:
    return {_read(card / "device/vendor") for card in _cards(root)}


def _cards(root: Path) -> list[Path]:
    return [card for card in (root / "sys/class/drm").glob("card*") if card.name[4:].isdigit()]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdigit() else None
