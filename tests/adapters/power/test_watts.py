"""Watts from what GPUs and processors tell of themselves."""

from __future__ import annotations

from pathlib import Path

from freehold.adapters.power.watts import Watts


class Nvml:
    """Two GPUs, as NVML tells of them."""

    def __init__(self, *milliwatts: int) -> None:
        self.milliwatts = list(milliwatts)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.milliwatts)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if self.milliwatts[handle] < 0:
            raise RuntimeError("not supported")
        return self.milliwatts[handle]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def package(folder: Path, name: str, energy_uj: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / name / "max_energy_range_uj").write_text("1000000000\n")


def test_a_machine_without_any_meter_says_so(tmp_path: Path) -> None:
    assert Watts(lambda: None, tmp_path)() is None
    assert Watts(lambda: None, tmp_path / "nowhere")() is None


def test_gpus_are_added_up(tmp_path: Path) -> None:
    assert Watts(lambda: Nvml(350_500, 49_500), tmp_path)() == 400.0


def test_a_gpu_that_does_not_tell_leaves_the_rest(tmp_path: Path) -> None:
    assert Watts(lambda: Nvml(350_500, -1), tmp_path)() is None


def test_packages_are_measured_between_two_readings_and_their_parts_are_not_added(tmp_path: Path) -> None:
    clock = Clock()
    watts = Watts(lambda: None, tmp_path, clock)
    package(tmp_path, "intel-rapl:0", 5_000_000)
    package(tmp_path, "intel-rapl:0:0", 4_000_000)
    package(tmp_path, "intel-rapl:1", 999_000_000)
    assert watts() is None, "one reading is no power"
    clock.now_s += 2
    package(tmp_path, "intel-rapl:0", 105_000_000)
    package(tmp_path, "intel-rapl:1", 19_000_000)  # went round
    assert watts() == 50 + 10


def test_counters_that_only_root_may_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").mkdir()
    assert Watts(lambda: Nvml(1000), tmp_path)() == 1.0
