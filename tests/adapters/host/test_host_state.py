"""What changed under a server since it last started well."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.host_state import (
    FILE,
    GOOD_AFTER_MS,
    Clocks,
    Diary,
    HostState,
    Record,
    after_end,
    after_start,
    differences,
    interruptions,
    read_clocks,
    read_state,
    started_before_boot,
)

OLD = HostState(boot="b1", kernel="6.8.0-60", drivers={"nvidia": "570.133.20"}, nvidia_library="570.133.20")
NEW = HostState(boot="b2", kernel="6.8.0-62", drivers={"nvidia": "575.51.03"}, nvidia_library="575.51.03")
DAY_MS = 86_400_000


def test_a_driver_that_changed_over_night_is_named(tmp_path: Path) -> None:
    Diary(tmp_path).started("tiny", OLD)
    Diary(tmp_path).ended("tiny", DAY_MS)
    changes = Diary(tmp_path).started("tiny", NEW)
    assert changes == (
        "the machine was started again since the last good start",
        "kernel 6.8.0-60 became 6.8.0-62",
        "GPU driver nvidia 570.133.20 became 575.51.03",
    )


def test_it_stays_named_as_long_as_starts_fail(tmp_path: Path) -> None:
    diary = Diary(tmp_path)
    diary.started("tiny", OLD)
    diary.ended("tiny", DAY_MS)
    for _ in range(3):
        assert diary.started("tiny", NEW) != ()
        diary.ended("tiny", 900)
    diary.started("tiny", NEW)
    diary.ended("tiny", GOOD_AFTER_MS)
    assert diary.started("tiny", NEW) == ()


def test_a_start_of_which_nothing_bad_was_heard_was_good() -> None:
    running = after_start(Record(), OLD)
    after_power_loss = after_start(running, NEW)
    assert after_power_loss.good == OLD
    assert after_end(after_power_loss, 10) == Record(good=OLD)
    assert after_end(Record(good=OLD), 10) == Record(good=OLD)


def test_one_servers_bad_luck_is_not_anothers(tmp_path: Path) -> None:
    diary = Diary(tmp_path)
    diary.started("tiny", OLD)
    diary.ended("tiny", DAY_MS)
    assert diary.started("other", NEW) == ()


def test_a_library_that_does_not_fit_its_driver_is_named_without_any_history() -> None:
    (said,) = differences(None, HostState(drivers={"nvidia": "570.133"}, nvidia_library="575.51"))
    assert "restart the machine" in said


def test_drivers_come_and_go() -> None:
    assert differences(HostState(), HostState(drivers={"amdgpu": ""})) == (
        "GPU driver amdgpu is new (no version)",
    )
    assert differences(HostState(drivers={"nvidia": "570"}), HostState()) == (
        "GPU driver nvidia is gone (was 570)",
    )


def test_a_damaged_or_missing_diary_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"tiny": ["')
    diary = Diary(tmp_path)
    assert diary.started("tiny", OLD) == ()
    diary.ended("tiny", DAY_MS)
    assert len(Diary(tmp_path).started("tiny", NEW)) == 3
    assert Diary(None).started("tiny", OLD) == ()
    (tmp_path / "file").touch()
    assert Diary(tmp_path / "file" / "folder").started("tiny", OLD) == ()


def test_sleep_and_clock_jumps_are_told() -> None:
    before = Clocks(utc=1000, boot=100, monotonic=100)
    assert interruptions(before, Clocks(utc=1060, boot=160, monotonic=160)) == ()
    (slept,) = interruptions(before, Clocks(utc=4700, boot=3800, monotonic=200))
    assert slept == "the machine slept for 60 min while the server ran"
    (jumped,) = interruptions(before, Clocks(utc=900, boot=160, monotonic=160))
    assert "set back by 3 min" in jumped


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_an_undisturbed_machine_tells_nothing(start: float, ran: float) -> None:
    before = Clocks(utc=start + 5, boot=start, monotonic=start)
    now = Clocks(utc=start + 5 + ran, boot=start + ran, monotonic=start + ran)
    assert interruptions(before, now) == ()


def test_a_start_before_this_boot() -> None:
    clocks = Clocks(utc=10_000, boot=1000, monotonic=900)
    assert started_before_boot(8_000_000, clocks)
    assert not started_before_boot(9_500_000, clocks)
    now = read_clocks()
    assert not started_before_boot(int(now.utc * 1000), now)


def test_a_recorded_machine(tmp_path: Path) -> None:
    for name, text in {
        "proc/sys/kernel/random/boot_id": "4b1d\n",
        "sys/module/nvidia/initstate": "live\n",
        "sys/module/nvidia/version": "570.133.20\n",
        "sys/module/i915/parameters": "",
        "usr/lib/x86_64-linux-gnu/libcuda.so.1": "",
        "usr/lib/x86_64-linux-gnu/libcuda.so.570.133.20": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    state = read_state(tmp_path)
    assert (state.boot, state.drivers) == ("4b1d", {"nvidia": "570.133.20"})
    assert state.nvidia_library == "570.133.20"
