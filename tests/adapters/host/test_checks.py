"""What the doctor concludes: one machine on which all is well, and what each ailment changes."""

from __future__ import annotations

import msgspec
import pytest

from freehold.adapters.host.checks import check
from freehold.adapters.host.facts import (
    AccessFact,
    CgroupFacts,
    ClockFacts,
    DiskFact,
    EngineFact,
    GpuFact,
    GpuTrouble,
    HostFacts,
    JournalFacts,
    KernelFacts,
    KeyFact,
    LimitFacts,
    MemoryFacts,
    PortFact,
    PythonFacts,
)
from freehold.adapters.host.findings import Finding, worst

GIB = 1 << 30
PACKAGES = {"uvloop": "0.23.0", "httptools": "0.9.0"}

HEALTHY = HostFacts(
    listen_host="127.0.0.1",
    listen_port=8400,
    python=PythonFacts(version=(3, 11, 7), executable="/usr/bin/python3", packages=PACKAGES),
    engines=(EngineFact(name="llama-server", path="/usr/bin/llama-server", version="7000"),),
    gpus=(GpuFact(vendor="NVIDIA", name="RTX 4090", memory_total=24 * GIB, memory_used=GIB),),
    memory=MemoryFacts(total=64 * GIB, available=40 * GIB, swap_total=8 * GIB, swap_used=0),
    disks=(
        DiskFact(purpose="state", path="/home/me", free=100 * GIB, total=500 * GIB, rotational=False),
        DiskFact(purpose="models", path="/home/me/models", free=100 * GIB, total=500 * GIB, rotational=False),
    ),
    journal=JournalFacts(size=GIB, persistent=True),
    cgroup=CgroupFacts(version=2),
    limits=LimitFacts(open_files=65536, open_files_hard=65536, core_bytes=None),
    clock=ClockFacts(now_ms=2_000_000_000_000, newest_file_ms=1_900_000_000_000, synchronized=True),
    kernel=KernelFacts(system="Linux", release="6.12", overcommit=0, can_read_log=True, pressure=True),
    access=(AccessFact(path="/home/me/.local/state/freehold", mode=0o700),),
    keys=(KeyFact(name="OPENAI_API_KEY"),),
)


def findings(**changes: object) -> list[Finding]:
    """What is said beyond "ok" about the healthy machine with something changed."""
    return [each for each in check(msgspec.structs.replace(HEALTHY, **changes)) if each.level != "ok"]


def only(**changes: object) -> Finding:
    found = findings(**changes)
    assert len(found) == 1, found
    return found[0]


def test_a_healthy_machine_is_told_so_in_every_area() -> None:
    found = check(HEALTHY)
    assert worst(found) == "ok"
    areas = {each.area for each in found}
    assert {"python", "engines", "gpu", "ports", "keys", "memory", "cgroup", "disk"} <= areas
    assert {"journal", "limits", "clock", "kernel", "access"} <= areas


def disk(purpose: str = "state", **fields: object) -> tuple[DiskFact, ...]:
    whole = DiskFact(purpose=purpose, path="/p", free=100 * GIB, total=500 * GIB)
    return (msgspec.structs.replace(whole, **fields),)


AILMENTS: list[tuple[str, str, dict[str, object], str]] = [
    ("fail", "python", {"python": PythonFacts(version=(3, 11, 7), packages={"uvloop": "1"})}, "httptools"),
    ("warn", "engines", {"engines": ()}, "No engine"),
    ("info", "gpu", {"gpus": ()}, "No GPU"),
    ("warn", "gpu", {"gpus": (GpuFact(vendor="AMD", name="x", node="/dev/n", node_open=False),)}, "may not"),
    (
        "info",
        "gpu",
        {"gpus": (GpuFact(vendor="AMD", name="x", memory_total=8 * GIB, memory_used=7 * GIB),)},
        "more than half",
    ),
    ("warn", "gpu", {"gpu_troubles": (GpuTrouble(tool="nvidia-smi", said="hm"),)}, "does not work"),
    (
        "fail",
        "ports",
        {"ports": (PortFact(port=8400, address="::", pid=7, command="/usr/bin/java"),)},
        "taken by another",
    ),
    (
        "info",
        "ports",
        {"ports": (PortFact(port=8080, address="::", pid=7, command="/usr/bin/java"),)},
        "something else",
    ),
    ("info", "keys", {"keys": ()}, "No provider's API key"),
    ("warn", "keys", {"keys": (KeyFact(name="A_API_KEY", malformed=True),)}, "A_API_KEY"),
    (
        "warn",
        "memory",
        {"memory": MemoryFacts(total=8 * GIB, available=GIB, swap_total=GIB, swap_used=0)},
        "1.0 GiB of 8.0 GiB",
    ),
    (
        "info",
        "memory",
        {"memory": MemoryFacts(total=8 * GIB, available=4 * GIB, swap_total=0, swap_used=0)},
        "No swap",
    ),
    (
        "warn",
        "memory",
        {"memory": MemoryFacts(total=8 * GIB, available=4 * GIB, swap_total=2 * GIB, swap_used=2 * GIB)},
        "swap in use",
    ),
    ("info", "cgroup", {"cgroup": CgroupFacts(version=1)}, "cgroup v1"),
    ("info", "cgroup", {"cgroup": CgroupFacts(version=0)}, "No memory cgroup"),
    ("info", "cgroup", {"cgroup": CgroupFacts(version=2, memory_limit=4 * GIB)}, "limited to 4.0 GiB"),
    ("fail", "disk", {"disks": disk(free=GIB // 2)}, "Only 512 MiB"),
    ("warn", "disk", {"disks": disk(free=2 * GIB)}, "Only 2.0 GiB"),
    ("warn", "disk", {"disks": disk(kind="nfs4")}, "network"),
    ("warn", "disk", {"disks": disk(kind="tmpfs")}, "restart"),
    ("warn", "disk", {"disks": disk(rotational=True)}, "spins"),
    ("warn", "disk", {"disks": disk("models", rotational=True)}, "spins"),
    ("warn", "disk", {"disks": disk("models", free=GIB)}, "free for models"),
    ("warn", "journal", {"journal": JournalFacts(size=9 * GIB, persistent=True)}, "9.0 GiB"),
    ("info", "journal", {"journal": JournalFacts(size=0, persistent=False)}, "lost at a restart"),
    ("warn", "limits", {"limits": LimitFacts(open_files=1024, open_files_hard=None, core_bytes=1)}, "1024"),
    ("info", "limits", {"limits": LimitFacts(open_files=None, open_files_hard=None, core_bytes=0)}, "core"),
    ("warn", "clock", {"clock": ClockFacts(now_ms=2, newest_file_ms=1, synchronized=False)}, "synchronized"),
    ("fail", "clock", {"clock": ClockFacts(now_ms=0, newest_file_ms=10 * 86_400_000)}, "10 days behind"),
    (
        "warn",
        "kernel",
        {"kernel": KernelFacts(system="Linux", release="6", overcommit=2, can_read_log=True)},
        "overcommit",
    ),
    (
        "info",
        "kernel",
        {"kernel": KernelFacts(system="Linux", release="6", overcommit=0, can_read_log=False)},
        "log cannot be read",
    ),
    ("fail", "access", {"access": (AccessFact(path="/h", mode=0o700, writable=False),)}, "cannot be written"),
    ("warn", "access", {"access": (AccessFact(path="/h", mode=0o755),)}, "look into"),
    ("warn", "access", {"access": (AccessFact(path="/h", mode=0o700, ours=False),)}, "owns"),
    ("fail", "access", {"access": (AccessFact(path="/k", mode=0o640, secret=True),)}, "signing key"),
]


@pytest.mark.parametrize(("level", "area", "changes", "words"), AILMENTS)
def test_an_ailment_is_named_once_with_what_to_do(
    level: str, area: str, changes: dict[str, object], words: str
) -> None:
    found = only(**changes)
    assert (found.level, found.area) == (level, area)
    assert words in found.title
    assert found.advice


def test_what_could_not_be_seen_is_said_and_not_judged() -> None:
    bare = HostFacts(
        listen_host="127.0.0.1",
        listen_port=8400,
        blind=dict.fromkeys(("engines", "gpu", "ports", "keys", "memory"), "PermissionError: no"),
    )
    found = check(bare)
    assert {each.area for each in found} == {"engines", "gpu", "ports", "keys", "memory"}
    assert {each.level for each in found} == {"info"}
    assert all(each.detail == "PermissionError: no" for each in found)


def test_our_own_server_on_our_port_is_no_trouble() -> None:
    held = PortFact(port=8400, address="127.0.0.1", pid=9, command="python3 /opt/venv/bin/freehold")
    assert findings(ports=(held,)) == []


def test_another_user_s_program_on_our_port_is_trouble_that_only_root_can_name() -> None:
    found = only(ports=(PortFact(port=8400, address="0.0.0.0"),))
    assert found.level == "fail"
    assert "sudo ss -ltnp" in found.detail


def test_a_server_on_both_address_families_is_told_once() -> None:
    held = [
        PortFact(port=11434, address=address, pid=5, command="/usr/bin/ollama serve")
        for address in ("0.0.0.0", "::")
    ]
    told = [
        each for each in check(msgspec.structs.replace(HEALTHY, ports=tuple(held))) if "11434" in each.title
    ]
    assert [(each.level, each.title) for each in told] == [("ok", "11434: Ollama seems to run")]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "restart the machine"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "modprobe"),
        ("Unable to determine the device handle for GPU0: GPU is lost.", "Xid"),
        ("an NVIDIA card is there, but nvidia-smi is not on PATH", "--gpus all"),
        ("something new", "by hand"),
    ],
)
def test_a_driver_s_own_words_choose_the_advice(said: str, advice: str) -> None:
    assert advice in only(gpu_troubles=(GpuTrouble(tool="nvidia-smi", said=said),)).advice


def test_the_gravest_comes_first_within_its_area() -> None:
    found = findings(
        memory=MemoryFacts(total=8 * GIB, available=GIB, swap_total=0, swap_used=0),
    )
    assert [each.level for each in found] == ["warn", "info"]


def test_a_cgroup_limit_above_the_machine_is_none() -> None:
    assert findings(cgroup=CgroupFacts(version=2, memory_limit=64 * GIB)) == []


def test_other_systems_have_no_cgroup_to_complain_about() -> None:
    found = only(kernel=KernelFacts(system="Darwin", release="25.1"), cgroup=CgroupFacts(version=0))
    assert (found.area, found.level) == ("kernel", "info")
