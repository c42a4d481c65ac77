"""What a machine has free and what processes hold, read from recorded shapes and from the machine itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.amd_memory import parse_fdinfo, vram_of
from freehold.adapters.host.gauge import HostGauge, visible
from freehold.adapters.host.nvidia_memory import (
    MIB,
    NvidiaReadings,
    load_nvml,
    parse_apps,
    parse_cards,
)
from freehold.core.memory import GpuMemory

KIB = 1024
GIB = 1024**3

MEMINFO = "MemTotal:       65536000 kB\nMemFree:         1024000 kB\nMemAvailable:   32768000 kB\n"

SMI_CARDS = """\
0, GPU-5a3e11d2-8a2c-49cf-9b4a-8f62ab0c8f01, NVIDIA GeForce RTX 4090, 24564, 23021
1, GPU-91bd3c0e-7c55-4d0e-a0f1-2f5b0a7d6c42, NVIDIA GeForce RTX 3090, 24576, 12011
"""
SMI_APPS = """\
4242, GPU-91bd3c0e-7c55-4d0e-a0f1-2f5b0a7d6c42, 11842
4242, GPU-5a3e11d2-8a2c-49cf-9b4a-8f62ab0c8f01, 512
977, GPU-5a3e11d2-8a2c-49cf-9b4a-8f62ab0c8f01, 300
4243, GPU-5a3e11d2-8a2c-49cf-9b4a-8f62ab0c8f01, [N/A]
"""
SMI_SHARED = "0, GPU-77aa0000-0000-0000-0000-000000000000, NVIDIA GB10, [N/A], [N/A]\n"

FDINFO = """\
pos:\t0
flags:\t02100002
drm-driver:\tamdgpu
drm-client-id:\t{client}
drm-pdev:\t{pci}
drm-memory-vram:\t{kib} KiB
drm-memory-gtt: \t2048 KiB
drm-memory-cpu: \t0 KiB
drm-engine-compute:\t123456 ns
"""


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def gauge(root: Path, path: str = "", nvml: Any = None, **env: str) -> HostGauge:
    env = {"PATH": path} | env
    return HostGauge(env, root, NvidiaReadings(env, lambda: nvml))


def smi(folder: Path, cards: str, apps: str = "") -> str:
    """A folder with an `nvidia-smi` that says this."""
    tool = folder / "nvidia-smi"
    (folder / "cards").write_text(cards)
    (folder / "apps").write_text(apps)
    tool.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --query-gpu=*) cat {folder}/cards;; --query-compute-apps=*) cat {folder}/apps;;'
        " *) exit 9;; esac\n"
    )
    tool.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


# -- RAM


def test_without_a_cgroup_the_kernels_count_is_told(tmp_path: Path) -> None:
    found = gauge(put(tmp_path, {"proc/meminfo": MEMINFO})).machine()
    assert found.ram_total_bytes == 65536000 * KIB
    assert found.ram_free_bytes == 32768000 * KIB
    assert found.gpus == ()


def test_a_cgroup_leaves_its_limit_without_what_is_held_and_cannot_be_dropped(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/user.slice/freehold.service\n",
            "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/user.slice/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/memory.current": str(40 * GIB),
            "sys/fs/cgroup/user.slice/freehold.service/memory.max": str(8 * GIB),
            "sys/fs/cgroup/user.slice/freehold.service/memory.current": str(6 * GIB),
            "sys/fs/cgroup/user.slice/freehold.service/memory.stat": (
                f"anon {2 * GIB}\nfile {4 * GIB}\ninactive_file {GIB}\nactive_file {3 * GIB}\n"
            ),
        },
    )
    found = gauge(root).machine()
    assert found.ram_total_bytes == 8 * GIB
    assert found.ram_free_bytes == 6 * GIB


def test_the_tightest_of_several_limits_counts_and_memory_high_is_one(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/a/memory.max": str(16 * GIB),
            "sys/fs/cgroup/a/memory.current": str(15 * GIB),
            "sys/fs/cgroup/a/b/memory.max": str(12 * GIB),
            "sys/fs/cgroup/a/b/memory.high": str(10 * GIB),
            "sys/fs/cgroup/a/b/memory.current": str(GIB),
        },
    )
    found = gauge(root).machine()
    assert found.ram_total_bytes == 10 * GIB
    assert found.ram_free_bytes == 1 * GIB


def test_version_one_of_cgroups_too(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/docker/abc/"
    root = put(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "7:cpu:/\n4:memory:/docker/abc\n0::/\n",
            group + "memory.limit_in_bytes": str(4 * GIB),
            group + "memory.usage_in_bytes": str(3 * GIB),
            group + "memory.stat": f"cache 1\ntotal_inactive_file {GIB}\ntotal_active_file {GIB}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(30 * GIB),
        },
    )
    found = gauge(root).machine()
    assert (found.ram_total_bytes, found.ram_free_bytes) == (4 * GIB, 3 * GIB)


def test_this_machine_has_memory() -> None:
    found = HostGauge().machine()
    assert 0 < found.ram_free_bytes <= found.ram_total_bytes


# -- NVIDIA


def test_nvidias_tool_tells_cards_and_processes(tmp_path: Path) -> None:
    path = smi(tmp_path, SMI_CARDS, SMI_APPS)
    root = put(tmp_path / "root", {"proc/meminfo": MEMINFO})
    one = gauge(root, path)
    first, second = one.machine().gpus
    assert (first.index, first.vendor, first.name) == (0, "nvidia", "NVIDIA GeForce RTX 4090")
    assert (second.total_bytes, second.free_bytes) == (24576 * MIB, 12011 * MIB)
    assert one.used_by(frozenset({4242, 4243})).gpu_bytes == {1: 11842 * MIB, 0: 512 * MIB}
    assert one.used_by(frozenset({1})).gpu_bytes == {}


def test_a_card_that_shares_the_machines_memory_is_no_place_of_its_own() -> None:
    assert parse_cards(SMI_SHARED) == ()


def test_a_tool_that_fails_leaves_what_was_last_seen(tmp_path: Path) -> None:
    path = smi(tmp_path, SMI_CARDS)
    one = gauge(put(tmp_path / "root", {"proc/meminfo": MEMINFO}), path)
    before = one.machine().gpus
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert one.machine().gpus == before


class NVMLError(Exception):
    pass


class Nvml:
    """What NVML answers on a machine with two cards, the second of which has fallen off the bus."""

    NVMLError = NVMLError

    def __init__(self) -> None:
        self.broken = False

    def nvmlDeviceGetCount(self) -> int:
        if self.broken:
            raise NVMLError
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == 1:
            raise NVMLError
        return index

    def nvmlDeviceGetMemoryInfo(self, _: int) -> Any:
        return SimpleNamespace(total=24 * GIB, used=4 * GIB, free=20 * GIB)

    def nvmlDeviceGetName(self, _: int) -> bytes:
        return b"NVIDIA A10"

    def nvmlDeviceGetUUID(self, _: int) -> str:
        return "GPU-1"

    def nvmlDeviceGetComputeRunningProcesses(self, _: int) -> list[Any]:
        return [SimpleNamespace(pid=7, usedGpuMemory=GIB), SimpleNamespace(pid=8, usedGpuMemory=None)]


def test_the_library_is_asked_before_the_tool_and_one_broken_card_hides_no_other(tmp_path: Path) -> None:
    one = gauge(put(tmp_path, {"proc/meminfo": MEMINFO}), nvml=Nvml())
    (card,) = one.machine().gpus
    assert (card.index, card.name, card.free_bytes) == (0, "NVIDIA A10", 20 * GIB)
    assert one.used_by(frozenset({7, 8})).gpu_bytes == {0: GIB}


def test_a_driver_that_broke_is_not_the_end(tmp_path: Path) -> None:
    nvml = Nvml()
    one = gauge(put(tmp_path, {"proc/meminfo": MEMINFO}), nvml=nvml)
    before = one.machine().gpus
    nvml.broken = True
    assert one.machine().gpus == before
    assert one.used_by(frozenset({7})).gpu_bytes == {}


def test_loading_the_library_never_raises() -> None:
    load_nvml()


@given(st.text(alphabet="0123456789,-GPU \n[]N/A", max_size=200))
def test_whatever_the_tool_writes_is_read_without_an_error(text: str) -> None:
    cards = parse_cards(text)
    parse_apps(text, cards, frozenset({0, 1}))


# -- AMD


def amd(root: Path, card: str, pci: str, total: int, used: int, **more: str) -> None:
    device = f"sys/class/drm/{card}/device/"
    files = {"vendor": "0x1002\n", "device": "0x744c\n", "uevent": f"DRIVER=amdgpu\nPCI_SLOT_NAME={pci}\n"}
    files |= {"mem_info_vram_total": f"{total}\n", "mem_info_vram_used": f"{used}\n"} | more
    put(root, {device + name: text for name, text in files.items()})


def test_amds_cards_are_counted_along_the_bus(tmp_path: Path) -> None:
    put(tmp_path, {"proc/meminfo": MEMINFO, "sys/class/drm/card0-DP-1/status": "connected\n"})
    amd(tmp_path, "card1", "0000:0b:00.0", 16 * GIB, GIB, product_name="Radeon RX 7800 XT\n")
    amd(tmp_path, "card0", "0000:43:00.0", 24 * GIB, 4 * GIB)
    first, second = gauge(tmp_path).machine().gpus
    assert (first.index, first.name, first.free_bytes) == (0, "Radeon RX 7800 XT", 15 * GIB)
    assert (second.index, second.name, second.free_bytes) == (1, "AMD device 0x744c", 20 * GIB)
    assert second.vendor == "amd"


def test_what_a_process_holds_on_amds_cards_is_counted_once_per_client(tmp_path: Path) -> None:
    put(tmp_path, {"proc/meminfo": MEMINFO})
    amd(tmp_path, "card0", "0000:0b:00.0", 16 * GIB, 0)
    amd(tmp_path, "card1", "0000:43:00.0", 16 * GIB, 0)
    first = {"pci": "0000:0b:00.0", "client": 5, "kib": 1024}
    put(
        tmp_path,
        {
            "proc/50/fdinfo/3": FDINFO.format(**first),
            "proc/50/fdinfo/4": FDINFO.format(**first),
            "proc/50/fdinfo/5": FDINFO.format(pci="0000:43:00.0", client=6, kib=4096),
            "proc/50/fdinfo/0": "pos:\t0\nflags:\t0100002\n",
            "proc/51/fdinfo/9": FDINFO.format(pci="0000:0b:00.0", client=9, kib=1),
        },
    )
    one = gauge(tmp_path)
    assert one.used_by(frozenset({50, 60})).gpu_bytes == {0: MIB, 1: 4 * MIB}
    assert one.used_by(frozenset({50, 51})).gpu_bytes == {0: MIB + KIB, 1: 4 * MIB}


def test_an_integrated_gpu_does_not_stand_beside_a_card_of_another_vendor(tmp_path: Path) -> None:
    path = smi(tmp_path, SMI_CARDS)
    root = put(tmp_path / "root", {"proc/meminfo": MEMINFO})
    amd(root, "card1", "0000:0b:00.0", GIB // 2, 0)
    assert {card.vendor for card in gauge(root, path).machine().gpus} == {"nvidia"}


@given(st.text(max_size=200))
def test_any_text_is_read_as_fdinfo(text: str) -> None:
    assert vram_of(parse_fdinfo(text)) >= 0


def test_newer_kernels_say_resident() -> None:
    facts = parse_fdinfo("drm-total-vram:\t8 MiB\ndrm-resident-vram:\t4 MiB\n")
    assert vram_of(facts) == 4 * MIB


# -- what is hidden from us


def test_gpus_that_our_environment_hides_are_not_there() -> None:
    cards = [GpuMemory(index=n, vendor="nvidia", total_bytes=1, free_bytes=1) for n in range(3)]
    assert [card.index for card in visible(cards, {})] == [0, 1, 2]
    assert [card.index for card in visible(cards, {"CUDA_VISIBLE_DEVICES": "2,0"})] == [0, 2]
    assert visible(cards, {"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert visible(cards, {"CUDA_VISIBLE_DEVICES": ""}) == []
    assert len(visible(cards, {"CUDA_VISIBLE_DEVICES": "GPU-5a3e11d2"})) == 3
    assert len(visible(cards, {"HIP_VISIBLE_DEVICES": "1"})) == 3


# -- processes


def test_what_a_process_took_for_itself_is_counted_and_files_are_not(tmp_path: Path) -> None:
    status = "Name:\tx\nVmRSS:\t 9000 kB\nRssAnon:\t 1000 kB\nRssFile:\t 8000 kB\nVmSwap:\t 24 kB\n"
    root = put(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/x": "", "proc/9/status": status})
    found = gauge(root).used_by(frozenset({9, 10}))
    assert found.anon_bytes == 1024 * KIB
    assert found.rss_bytes == 9000 * KIB
    assert found.at_ms > 0


def test_a_kernel_thread_and_the_dead_hold_nothing(tmp_path: Path) -> None:
    root = put(tmp_path, {"proc/self/x": "", "proc/2/status": "Name:\tkthreadd\nState:\tS\n"})
    assert gauge(root).used_by(frozenset({2, 3})).anon_bytes == 0


def test_a_real_process_holds_what_it_took() -> None:
    size = 32 * MIB
    code = f"import sys; kept = bytearray({size}); print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        found = HostGauge().used_by(frozenset({process.pid}))
        process.communicate("")
    assert size <= found.anon_bytes < 4 * size
    assert HostGauge().used_by(frozenset({process.pid})).anon_bytes == 0
    assert os.getpid() != process.pid
