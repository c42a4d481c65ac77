"""Memory cgroups: recorded shapes of both versions, a made-up v2 tree, and real ones where we may."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.cage_ground import choose_ground, find_ground, is_delegated
from freehold.adapters.host.cages import HostCages, cage_name, folder_name
from freehold.adapters.host.cgroup_files import (
    Counters,
    Mount,
    difference,
    folder_of,
    group_of,
    keyed,
    memory_mount,
    parse_v1,
    parse_v2,
    read_counters,
)

MIB = 1 << 20

HYBRID = """24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 24 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
"""
UNIFIED = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
IN_DOCKER_V1 = "700 690 0:33 /docker/4f1e /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"

EVENTS = "low 0\nhigh 3\nmax 41\noom 2\noom_kill 1\noom_group_kill 0\n"
OOM_CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
NO_LIMIT_V1 = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("mountinfo", "mount"),
    [
        (HYBRID, Mount(Path("/sys/fs/cgroup/memory"), 1)),
        (UNIFIED, Mount(Path("/sys/fs/cgroup"), 2)),
        (IN_DOCKER_V1, Mount(Path("/sys/fs/cgroup/memory"), 1, "/docker/4f1e")),
        ("24 1 254:0 / / rw - ext4 /dev/vda rw\n", None),
        ("", None),
    ],
)
def test_where_memory_is_controlled(mountinfo: str, mount: Mount | None) -> None:
    assert memory_mount(mountinfo) == mount


def test_the_group_of_a_process() -> None:
    hybrid = "9:cpu,cpuacct:/a\n4:memory:/user.slice/my app\n1:name=systemd:/c\n0::/user.slice/d\n"
    assert group_of(hybrid, 1) == "/user.slice/my app"
    assert group_of(hybrid, 2) == "/user.slice/d"
    assert group_of("0::/freehold/tiny (deleted)\n", 2) == "/freehold/tiny"
    assert group_of("1:name=systemd:/c\n", 1) is None


def test_a_group_outside_of_what_a_container_sees_is_read_at_its_top() -> None:
    mount = Mount(Path("/m"), 1, "/docker/4f1e")
    assert folder_of(mount, "/docker/4f1e/tiny") == Path("/m/tiny")
    assert folder_of(mount, "/docker/4f1e") == Path("/m")
    assert folder_of(mount, "/docker/4f1e77/tiny") == Path("/m")
    assert folder_of(Mount(Path("/m"), 2), "/../../init.scope") == Path("/m")


def test_counters_of_both_versions() -> None:
    unified = {"memory.events": EVENTS, "memory.peak": "41943040\n", "memory.max": "max\n"}
    assert parse_v2(unified) == Counters(oom=2, oom_kill=1, at_limit=41, above_high=3, peak_bytes=40 * MIB)
    legacy = {
        "memory.oom_control": OOM_CONTROL,
        "memory.failcnt": "36\n",
        "memory.max_usage_in_bytes": "41943040\n",
        "memory.limit_in_bytes": NO_LIMIT_V1,
    }
    assert parse_v1(legacy) == Counters(oom_kill=1, at_limit=36, peak_bytes=40 * MIB)
    assert parse_v1(legacy | {"memory.limit_in_bytes": "1048576\n"}).limit_bytes == MIB


def test_only_what_is_new_counts() -> None:
    before, now = Counters(oom_kill=3, at_limit=10), Counters(oom_kill=4, at_limit=12, peak_bytes=5)
    seen = difference(before, now, path="/g", shared=True)
    assert (seen.oom_kill, seen.at_limit, seen.peak_bytes, seen.shared) == (1, 2, 5, True)
    anew = difference(before, Counters(oom_kill=1, at_limit=2), path="/g", shared=False)
    assert (anew.oom_kill, anew.at_limit) == (1, 2)


@given(st.text())
def test_strange_files_are_read_without_harm(text: str) -> None:
    memory_mount(text)
    group_of(text, 1)
    assert all(count >= 0 for count in keyed(text).values())
    parse_v1({"memory.failcnt": text, "memory.oom_control": text})
    parse_v2({"memory.events": text, "memory.max": text})


@given(st.lists(st.text(max_size=200), min_size=2, max_size=2, unique=True))
def test_every_server_has_a_folder_of_its_own(names: list[str]) -> None:
    first, second = (cage_name(name) for name in names)
    assert first != second
    for folder in (first, second):
        assert folder.isascii()
        assert "/" not in folder
        assert len(folder) < 120
        assert folder.startswith(("server-", "safe-"))


def test_two_homes_never_meet(tmp_path: Path) -> None:
    assert folder_name(tmp_path / "a") != folder_name(tmp_path / "b")


def test_ground_is_what_was_given_to_us() -> None:
    top = Path("/m")
    given_to_us = Path("/m/user/freehold.service")
    assert choose_ground(given_to_us, top, lambda folder, _: folder == given_to_us) == given_to_us
    # After the move into a leaf, or with systemd's DelegateSubgroup=.
    assert choose_ground(given_to_us / "control", top, lambda folder, _: folder == given_to_us) == given_to_us
    # Two levels up it is somebody else's.
    assert choose_ground(given_to_us / "a/b", top, lambda folder, _: folder == given_to_us) is None
    assert choose_ground(top, top, lambda folder, _: folder == Path("/")) is None


def test_what_systemd_marks_as_handed_over_is_ours(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    assert not is_delegated(tmp_path, tmp_path.parent)
    try:
        os.setxattr(tmp_path, "user.delegate", b"1")
    except (AttributeError, OSError):
        pytest.skip("no extended attributes here")
    assert is_delegated(tmp_path, tmp_path.parent)


@pytest.fixture
def unified(tmp_path: Path) -> Mount:
    """The top of a v2 tree as a container sees it, made of plain files, nobody inside."""
    for name, text in {
        "cgroup.type": "domain\n",
        "cgroup.procs": "",
        "cgroup.controllers": "cpu memory pids\n",
        "cgroup.subtree_control": "",
    }.items():
        (tmp_path / name).write_text(text)
    return Mount(tmp_path, 2)


def test_a_v2_cage_is_made_below_our_own_folder(tmp_path: Path, unified: Mount) -> None:
    cages = HostCages(tmp_path / "home", unified)
    (entry,) = cages.make("tiny", 64 * MIB) or (cages.blind,)
    assert entry == str(tmp_path / folder_name(tmp_path / "home") / "server-tiny" / "cgroup.procs")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    folder = cages.folder("tiny")
    assert folder is not None
    assert (folder.parent / "cgroup.subtree_control").read_text() == "+memory"
    assert (folder / "memory.max").read_text() == str(64 * MIB)
    assert cages.make("tiny", None)
    assert (folder / "memory.max").read_text() == "max"


def test_a_cage_that_was_made_elsewhere_is_found_by_who_lives_in_it(tmp_path: Path, unified: Mount) -> None:
    home = tmp_path / "home"
    cages = HostCages(home, unified)
    elsewhere = tmp_path / "session-2.scope" / folder_name(home) / cage_name("tiny")
    elsewhere.mkdir(parents=True)
    cages.found("tiny", elsewhere.parent / cage_name("other"))
    assert cages.folder("tiny") is None
    cages.found("tiny", elsewhere)
    assert cages.folder("tiny") == elsewhere
    assert cages.make("tiny", None)
    assert cages.folder("tiny") == tmp_path / folder_name(home) / cage_name("tiny")


def test_others_in_our_cgroup_are_left_where_they_are(unified: Mount) -> None:
    (unified.point / "cgroup.procs").write_text("1\n")
    with pytest.raises(Blind, match="process 1 of others"):
        find_ground(unified)
    assert (unified.point / "cgroup.procs").read_text() == "1\n"
    assert not (unified.point / "control").exists()


def test_our_own_process_moves_into_a_leaf(unified: Mount) -> None:
    (unified.point / "cgroup.procs").write_text(f"{os.getpid()}\n")
    assert find_ground(unified) == unified.point
    assert (unified.point / "control/cgroup.procs").read_text() == str(os.getpid())


def test_without_memory_control_the_reason_is_told(tmp_path: Path, unified: Mount) -> None:
    (unified.point / "cgroup.controllers").write_text("cpu\n")
    cages = HostCages(tmp_path / "home", unified)
    assert cages.make("tiny", None) == ()
    assert "Delegate=" in cages.blind
    assert not cages.kill("tiny")
    cages.remove("tiny")


def test_a_group_that_counts_nothing_is_no_evidence(tmp_path: Path) -> None:
    with pytest.raises(Blind, match="Delegate=yes"):
        read_counters(tmp_path, 2)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[HostCages]:
    cages = HostCages(tmp_path)
    if not cages.make("tiny", None):
        pytest.skip(cages.blind)
    yield cages
    cages.kill("tiny")
    cages.remove("tiny")


def inhabitant(cages: HostCages) -> subprocess.Popen[bytes]:
    """A process that has a child, both in the cage."""
    (entry,) = cages.make("tiny", None)
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"echo 0 > {entry}; sleep 60 & echo; wait"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_a_cage_is_emptied_and_taken_away(real: HostCages) -> None:
    folder = real.folder("tiny")
    assert folder is not None
    assert not real.kill("tiny")
    with inhabitant(real) as process:
        assert len((folder / "cgroup.procs").read_text().split()) == 2
        assert real.kill("tiny")
        assert process.wait() == -signal.SIGKILL
    real.remove("tiny")
    assert real.folder("tiny") is None
    assert not folder.parent.exists()


def test_a_cage_in_use_is_neither_emptied_nor_lost_by_making_it_again(real: HostCages) -> None:
    with inhabitant(real) as process:
        assert real.make("tiny", 512 * MIB)
        folder = real.folder("tiny")
        assert folder is not None
        assert read_counters(folder, real.version).limit_bytes == 512 * MIB
        assert process.poll() is None
        real.kill("tiny")


def test_another_freehold_finds_the_cage_of_its_own_home_again(real: HostCages, tmp_path: Path) -> None:
    assert HostCages(tmp_path).folder("tiny") == real.folder("tiny")
    stranger = HostCages(tmp_path / "other")
    assert stranger.folder("tiny") is None
