"""Looking at a machine: recorded shapes of what Linux and its drivers say, and looks that go wrong."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from freehold.adapters.host import disks, gpus, machine, programs
from freehold.adapters.host.collect import collect, look
from freehold.adapters.host.doctor import run_checks
from freehold.adapters.host.findings import Finding
from freehold.core.errors import ConfigError
from freehold.core.listen import Listen

MIB = 1 << 20

NVIDIA_OK = "NVIDIA H200, 570.133.20, 143771, 4\nNVIDIA GeForce RTX 4090, 570.133.20, 24564, [N/A]\n"
NVIDIA_DOWN = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n\n"
)
NVIDIA_MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.133\n"
)

LLAMA_VERSION = """load_backend: loaded CPU backend from /app/libggml-cpu-haswell.so
version: 7140 (0543f928a)
built with cc (Debian 12.2.0) 12.2.0 for x86_64-linux-gnu
"""
OLLAMA_VERSION = (
    "Warning: could not connect to a running Ollama instance\nWarning: client version is 0.12.11\n"
)

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 8:1 / /home/me rw,noatime shared:1 - btrfs /dev/sda1 rw,ssd
41 40 0:50 / /home/me/My\040Models rw - nfs4 nas:/export/models rw,vers=4.2
42 27 0:51 / /home/me/cache rw - tmpfs tmpfs rw
43 27 8:2 / /home/me/cache rw - xfs /dev/sdb2 rw
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    write(path, f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_nvidia_cards_with_and_without_known_memory() -> None:
    cards = gpus.parse_nvidia_smi(NVIDIA_OK, "", 0).cards
    assert [(card.name, card.memory_total, card.memory_used) for card in cards] == [
        ("NVIDIA H200", 143_771 * MIB, 4 * MIB),
        ("NVIDIA GeForce RTX 4090", 24_564 * MIB, None),
    ]


@pytest.mark.parametrize(
    ("out", "err", "status", "said"),
    [
        (NVIDIA_DOWN, "", 9, "couldn't communicate"),
        (NVIDIA_MISMATCH, "", 18, "version mismatch"),
        ("No devices were found\n", "", 6, "No devices"),
        ("", "segfault", 139, "segfault"),
        ("", "", 1, "exit status 1"),
    ],
)
def test_a_driver_that_fails_is_quoted(out: str, err: str, status: int, said: str) -> None:
    seen = gpus.parse_nvidia_smi(out, err, status)
    assert seen.cards == ()
    assert said in seen.troubles[0].said


def test_the_tool_is_asked_by_its_path(tmp_path: Path) -> None:
    program(tmp_path / "bin", "nvidia-smi", "echo 'NVIDIA H200, 570.1, 143771, 0'")
    seen = gpus.gpus({"PATH": str(tmp_path / "bin")}, tmp_path)
    assert [card.name for card in seen.cards] == ["NVIDIA H200"]


def test_a_card_on_the_bus_without_its_tool_is_trouble(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/drm/card0/device/vendor", "0x10de\n")
    assert "nvidia-smi is not on PATH" in gpus.gpus({"PATH": ""}, tmp_path).troubles[0].said
    assert gpus.gpus({"PATH": ""}, tmp_path / "elsewhere") == gpus.Gpus()


def test_an_amd_card_is_read_from_the_kernel(tmp_path: Path) -> None:
    device = tmp_path / "sys/class/drm/card1/device"
    write(device / "vendor", "0x1002\n")
    write(device / "device", "0x744c\n")
    write(device / "mem_info_vram_total", f"{24 << 30}\n")
    write(device / "mem_info_vram_used", f"{1 << 30}\n")
    (device / "drm/renderD128").mkdir(parents=True)
    # A connector of the card, which is no card.
    write(tmp_path / "sys/class/drm/card1-DP-1/device/vendor", "0x1002\n")
    (card,) = gpus.kernel_cards(tmp_path)
    assert (card.vendor, card.name, card.memory_total) == ("AMD", "AMD device 0x744c", 24 << 30)
    assert card.node_open is False
    write(tmp_path / "dev/dri/renderD128", "")
    assert gpus.kernel_cards(tmp_path)[0].node_open is True


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (LLAMA_VERSION, "7140 (0543f928a)"),
        (OLLAMA_VERSION, "0.12.11"),
        ("ollama version is 0.12.11\n", "0.12.11"),
        ("usage: something\n", ""),
        ("", ""),
    ],
)
def test_a_version_is_found_among_the_chatter(text: str, version: str) -> None:
    assert programs.version_in(text) == version


def test_engines_on_the_path_say_their_version(tmp_path: Path) -> None:
    program(tmp_path, "llama-server", "echo 'version: 7140 (0543f928a)' >&2")
    program(tmp_path, "vllm", "echo must not be run; exit 1")
    found = {each.name: each.version for each in programs.engines({"PATH": f"{tmp_path}:/usr/bin:/bin"})}
    assert found["llama-server"] == "7140 (0543f928a)"
    assert found["vllm"] == ""


def test_who_listens_is_found_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (held,) = programs.listeners(frozenset({port}))
    assert (held.port, held.address, held.pid) == (port, "127.0.0.1", os.getpid())
    assert held.command


def test_keys_are_named_and_never_kept() -> None:
    env = {
        "OPENAI_API_KEY": "sk-secret",
        "GROQ_API_KEY": ' "quoted" ',
        "EMPTY_API_KEY": "",
        "HF_TOKEN": "hf_secret",
        "PATH": "/bin",
    }
    found = programs.keys(env)
    assert [(key.name, key.malformed) for key in found] == [
        ("GROQ_API_KEY", True),
        ("HF_TOKEN", False),
        ("OPENAI_API_KEY", False),
    ]
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("path", "mounted"),
    [
        ("/etc", ("/dev/vda", "ext4")),
        ("/home/me/x/y", ("/dev/sda1", "btrfs")),
        ("/home/me/My Models/qwen", ("nas:/export/models", "nfs4")),
        ("/home/me/cache", ("/dev/sdb2", "xfs")),
        ("/home/melissa", ("/dev/vda", "ext4")),
    ],
)
def test_the_longest_and_latest_mount_holds_a_path(path: str, mounted: tuple[str, str]) -> None:
    assert disks.mounted_at(MOUNTINFO, Path(path)) == mounted


def test_a_partition_spins_when_its_disk_does(tmp_path: Path) -> None:
    disk = tmp_path / "sys/devices/pci/sda"
    write(disk / "queue/rotational", "1\n")
    (disk / "sda1").mkdir()
    links = tmp_path / "sys/dev/block"
    links.mkdir(parents=True)
    (links / "8:0").symlink_to(disk)
    (links / "8:1").symlink_to(disk / "sda1")
    assert disks.rotational(8, 0, tmp_path) is True
    assert disks.rotational(8, 1, tmp_path) is True
    assert disks.rotational(9, 9, tmp_path) is None


def test_a_virtual_disk_s_claim_to_spin_is_not_believed(tmp_path: Path) -> None:
    disk = tmp_path / "sys/devices/virtio/vda"
    write(disk / "queue/rotational", "1\n")
    links = tmp_path / "sys/dev/block"
    links.mkdir(parents=True)
    (links / "254:0").symlink_to(disk)
    assert disks.rotational(254, 0, tmp_path) is None


def test_a_state_folder_that_does_not_exist_counts_where_it_would_be(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    state, held = disks.disks(tmp_path / "not/yet", (models, tmp_path / "none"))
    assert (state.purpose, state.path) == ("state", str(tmp_path))
    assert (held.purpose, held.path) == ("models", str(models))
    assert 0 < state.free <= state.total


def test_the_journal_is_added_up_and_known_to_be_kept(tmp_path: Path) -> None:
    assert disks.journal(tmp_path) is None
    (tmp_path / "run/log/journal").mkdir(parents=True)
    volatile = disks.journal(tmp_path)
    write(tmp_path / "var/log/journal/abc/system.journal", "x" * 10_000)
    kept = disks.journal(tmp_path)
    assert volatile is not None
    assert kept is not None
    assert (volatile.persistent, kept.persistent) == (False, True)
    assert kept.size >= 10_000


def test_access_looks_at_the_state_folder_and_its_secret_keys(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert [fact.mode for fact in disks.access(home)] == [None]
    home.mkdir(mode=0o750)
    (home / "keys").mkdir(mode=0o700)
    write(home / "keys/ledger.key", "secret")
    write(home / "keys/ledger.pub", "public")
    (home / "keys/ledger.key").chmod(0o644)
    facts = disks.access(home)
    assert [(Path(fact.path).name, fact.mode, fact.secret) for fact in facts] == [
        ("home", 0o750, False),
        ("keys", 0o700, True),
        ("ledger.key", 0o644, True),
    ]
    assert all(fact.ours and fact.writable for fact in facts)


def test_the_tightest_limit_of_a_cgroup_v2_counts(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/user.slice/app.scope\n")
    mount = tmp_path / "sys/fs/cgroup"
    write(mount / "cgroup.controllers", "cpu memory")
    write(mount / "user.slice/memory.max", "8000\n")
    write(mount / "user.slice/app.scope/memory.max", "max\n")
    seen = machine.cgroup(tmp_path)
    assert (seen.version, seen.memory_limit) == (2, 8000)


def test_cgroup_v1_s_largest_number_is_no_limit(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:memory:/box\n0::/\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.cgroup(tmp_path).memory_limit is None
    write(tmp_path / "sys/fs/cgroup/memory/box/memory.limit_in_bytes", "4096\n")
    seen = machine.cgroup(tmp_path)
    assert (seen.version, seen.memory_limit) == (1, 4096)
    assert machine.cgroup(tmp_path / "elsewhere").version == 0


def test_a_look_that_fails_or_never_returns_does_not_stop_the_others() -> None:
    never = threading.Event()
    seen, blind = look({"good": lambda: 1, "bad": lambda: 1 // 0, "stuck": never.wait}, patience_s=1.0)
    never.set()
    assert seen == {"good": 1}
    assert blind["bad"].startswith("ZeroDivisionError")
    assert blind["stuck"].startswith("no answer")


def test_this_machine_can_be_looked_at_whole(tmp_path: Path) -> None:
    facts = collect(tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, Listen("127.0.0.1", 8400))
    assert facts.blind == {}
    assert facts.memory is not None
    assert facts.memory.total > 0
    assert facts.python is not None
    assert "uvloop" in facts.python.packages
    assert facts.disks[0].purpose == "state"


def test_the_doctor_names_who_holds_the_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = run_checks(tmp_path, {"HOME": str(tmp_path)}, f"127.0.0.1:{port}")
    assert all(isinstance(each, Finding) for each in found)
    (told,) = [each for each in found if str(port) in each.title]
    assert (told.area, told.level) == ("ports", "fail")
    assert f"process {os.getpid()}" in told.detail
    assert f"listen: 127.0.0.1:{port + 1}" in told.advice


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run_checks(tmp_path, {}, "8400")
