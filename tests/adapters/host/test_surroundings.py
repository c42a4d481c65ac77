"""Small looks around a death: recorded shapes, and files that are not what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.gpu_events import GpuEvents
from freehold.adapters.host.oom_killers import about
from freehold.adapters.host.port_owner import listening_in
from freehold.adapters.host.programs import named_by
from freehold.adapters.host.surroundings import (
    disks,
    file_state,
    free_ram_bytes,
    model_seen,
    parse_pressure,
)
from freehold.core.deaths import KernelLine, ModelSeen
from freehold.core.model_file import ModelFile, ModelFileError

SOCKETS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4101 1 0000 100
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4102 1 0000 100
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4103 1 0000 100
   3: 0500A8C0:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4104 1 0000 100
   4: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4105 1 0000 100
"""
SOCKETS_6 = """  sl  local_address                         remote_address
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4201 1
   1: 000080FE000000000000000000000001:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4202 1
"""


def test_only_listeners_in_the_way_of_a_loopback_port_count() -> None:
    assert listening_in(SOCKETS, 8080) == {4101, 4102}
    assert listening_in(SOCKETS_6, 8080) == {4201}
    assert listening_in(SOCKETS, 80) == set()


@given(st.text())
def test_strange_text_is_read_without_harm(text: str) -> None:
    listening_in(text, 80)
    parse_pressure(text)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["llama-server", "--api-key", "sk-1", "-m", "a.gguf"], "llama-server"),
        (["/bin/python3", "-m", "vllm.serve", "--api-key=sk-1"], "/bin/python3 -m vllm.serve"),
        (["python", "/srv/my app/serve.py", "sk-1"], "python /srv/my app/serve.py"),
        (["python", "-c", "print('sk-1')"], "python"),
        (["ollama", "serve"], "ollama serve"),
        (["login", "hunter2Secret"], "login"),
        (["tool", "TOKEN=abc"], "tool"),
        ([], None),
    ],
)  # fmt: skip
def test_a_program_is_named_without_its_secrets(words: list[str], named: str | None) -> None:
    assert named_by(words) == named


def test_pressure_of_those_that_waited() -> None:
    text = (
        "some avg10=12.50 avg60=3.00 avg300=0.00 total=99\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=9\n"
    )
    assert parse_pressure(text) == 12.5
    assert parse_pressure("full avg10=1.00\n") is None
    assert parse_pressure("some avg10=lots\n") is None


def test_free_memory_of_recorded_kernels(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       24684084 kB\nMemAvailable:    1024 kB\n")
    assert free_ram_bytes(meminfo) == 1 << 20
    meminfo.write_text("MemTotal: 24684084 kB\n")
    with pytest.raises(Blind):
        free_ram_bytes(meminfo)
    with pytest.raises(Blind):
        free_ram_bytes(tmp_path / "none")


def test_one_disk_counts_once_and_a_missing_folder_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    seen = disks([str(tmp_path / "none"), str(tmp_path / "logs"), str(tmp_path)])
    assert [disk.path for disk in seen] == [str(tmp_path / "logs")]
    assert seen[0].total_bytes > 0


def test_a_model_that_is_as_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(100))
    before = file_state(str(path))
    assert model_seen(str(path), before, None) == ModelSeen(path=str(path), size_bytes=100)


def test_a_model_whose_header_wants_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(100))
    seen = model_seen(
        str(path), None, lambda _: ModelFile(architecture="llama", file_bytes=100, expected_bytes=900)
    )
    assert seen == ModelSeen(path=str(path), size_bytes=100, expected_bytes=900)


def test_a_model_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"<html>not found</html>")

    def read(_: Path) -> ModelFile:
        raise ModelFileError("this is no GGUF file; download it again")

    seen = model_seen(str(path), None, read)
    assert seen is not None
    assert "download it again" in seen.problem


def test_a_model_that_was_taken_away_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(100))
    before = file_state(str(path))
    (tmp_path / "new").write_bytes(bytes(100))
    (tmp_path / "new").replace(path)
    replaced = model_seen(str(path), before, None)
    assert replaced is not None
    assert "replaced" in replaced.problem
    path.unlink()
    gone = model_seen(str(path), before, None)
    assert gone is not None
    assert not gone.exists
    assert "taken away" in gone.problem


def test_a_name_that_the_engine_looks_up_itself_is_no_missing_file() -> None:
    assert model_seen("org/some-model", None, None) is None
    assert model_seen(None, None, None) is None


def test_a_file_that_never_was_is_missing(tmp_path: Path) -> None:
    path = str(tmp_path / "a.gguf")
    assert model_seen(path, None, None) == ModelSeen(path=path, exists=False)


EARLYOOM = (
    'sending SIGTERM to process 71 uid 1000 "llama-server": badness 905, VmRSS 61000 MiB, '
    'cmdline "llama-server --api-key sk-1"'
)
OOMD = (
    "Killed /user.slice/user-1000.slice/user@1000.service/app.slice/freehold.service due to memory pressure "
    "for /user.slice/user-1000.slice/user@1000.service being 62.18% > 50.00% for > 20s with reclaim activity"
)
NOHANG = "Sending SIGTERM to python3 (71)"
CAGE = "/user.slice/user-1000.slice/user@1000.service/app.slice/freehold.service/freehold-1/server-tiny"


@pytest.mark.parametrize(
    ("text", "about_us"),
    [
        (EARLYOOM, True),
        (EARLYOOM.replace("71", "712"), True),  # By its name.
        (EARLYOOM.replace("71", "712").replace("llama-server", "firefox"), False),
        (OOMD, True),
        (OOMD.replace("freehold.service", "freehold-2.service"), False),
        (OOMD.replace("Killed", "Considered"), False),
        (NOHANG, True),
        (NOHANG.replace("71", "712"), False),
        ("mem avail: 71 of 31000 MiB (0.23%), swap free: 0 of 0 MiB", False),
    ],
)
def test_which_lines_of_a_userspace_killer_are_about_us(text: str, *, about_us: bool) -> None:
    found = about([KernelLine(at_ms=1, text=text)], 71, "llama-server", CAGE)
    assert (len(found) == 1) is about_us
    assert "sk-1" not in "".join(found)


def test_a_name_that_everybody_has_proves_nothing() -> None:
    line = KernelLine(at_ms=1, text='sending SIGTERM to process 5 uid 1000 "python3": badness 9')
    assert about([line], 71, "python3", "/") == ()


class NvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


class Event:
    device = 0
    eventData = 62


class Bus:
    busId = b"00000000:01:00.0"


class Library:
    """Stands in for nvidia-ml-py: two time-outs, one error of the GPU, then the GPU is lost."""

    NVMLError = NvmlError
    nvmlEventTypeXidCriticalError = 8

    def __init__(self, devices: int = 1) -> None:
        self.devices = devices
        self.registered: list[tuple[int, int]] = []
        self.open = 0
        self.waits = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return self.devices

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetPciInfo(self, handle: int) -> Bus:
        return Bus()

    def nvmlEventSetCreate(self) -> str:
        self.open += 1
        return "set"

    def nvmlEventSetFree(self, events: str) -> None:
        self.open -= 1

    def nvmlDeviceRegisterEvents(self, handle: int, kinds: int, events: str) -> None:
        self.registered.append((handle, kinds))

    def nvmlEventSetWait_v2(self, events: str, timeout_ms: int) -> Event:
        self.waits += 1
        if self.waits == 3:
            return Event()
        raise NvmlError(10 if self.waits < 3 else 15)


def test_errors_that_the_library_tells_have_the_shape_of_the_kernels_own() -> None:
    library = Library(devices=2)
    events = GpuEvents(library)
    events.start()
    events.join()
    (line,) = events.since(0)
    assert line.text == "NVRM: Xid (PCI:00000000:01:00.0): 62, told by NVML"
    assert events.since(line.at_ms + 1) == ()
    assert library.registered == [(0, 8), (1, 8)]
    assert library.open == 0
    events.close()


def test_a_machine_without_a_driver_starts_no_thread() -> None:
    events = GpuEvents()
    events.close()
    events.start()
    assert events.since(0) == ()
