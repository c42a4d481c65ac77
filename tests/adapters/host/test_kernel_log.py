"""The kernel's log: recorded shapes of what it says about deaths, and the log of this machine."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.journal import parse_journal, read_journal
from freehold.adapters.host.kernel_lines import (
    Stamped,
    as_utc,
    concerns,
    kills,
    parse_record,
    parse_syslog,
)
from freehold.adapters.host.kernel_log import FRESH_MS, KernelLog
from freehold.core.deaths import KernelLine

RECORD = (
    "4,1203,12769456663,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/freehold-1/server-tiny,task_memcg=/freehold-1/server-tiny,task=llama-server,pid=71,uid=0\n"
    " SUBSYSTEM=memory\n DEVICE=+memory\n"
)

TELLING = [
    "llama-server invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/user.slice,task=llama-server,pid=71,uid=1000",
    "Memory cgroup out of memory: Killed process 71 (llama-server) total-vm:217320kB, anon-rss:43648kB, "
    "file-rss:5784kB, shmem-rss:0kB, UID:0 pgtables:148kB oom_score_adj:0",
    "Out of memory: Killed process 71 (ollama) total-vm:90217320kB, anon-rss:60043648kB, file-rss:0kB",
    "oom_reaper: reaped process 71 (ollama), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "llama-server[71]: segfault at 10 ip 00007f2b sp 00007ffd error 4 in libggml-base.so[7f2b+8000] likely "
    "on CPU 3 (core 3, socket 0)",
    "traps: llama-server[71] trap invalid opcode ip:5581 sp:7ffd error:0 in libggml-cpu.so[5581+9000]",
    "CPU Watchdog Timeout (hard): llama-server[71]",
    "INFO: task llama-server:71 blocked for more than 122 seconds.",
    "NVRM: Xid (PCI:0000:01:00): 62, pid='<unknown>', name=<unknown>, 0000(0000) 00000000 00000000",
    "NVRM: Xid (PCI:0000:01:00): 31, pid=71, name=llama-server, Ch 00000008, intr 00000000. MMU Fault",
    "NVRM: GPU at PCI:0000:01:00: GPU-1f2e",
    "NVRM: API mismatch: the client has the version 575.51, but this kernel module has the version 570.133",
    "nvidia-uvm: uvm encountered a global fatal error 0x60, requiring os reboot to recover.",
    "pcieport 0000:00:01.0: GPU has fallen off the bus.",
    "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring comp_1.0.0 timeout, signaled seq=8, emitted seq=10",
    "amdgpu 0000:03:00.0: amdgpu: GPU reset begin!",
    "amdgpu 0000:03:00.0: amdgpu:  Process llama-server pid 71 thread llama-server pid 71",
    "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:85dcfffb, in llama-server [71]",
    "xe 0000:03:00.0: [drm] GT0: Engine reset: engine_class=ccs, logical_mask: 0x1, guc_id=2",
    "mce: [Hardware Error]: Machine check events logged",
    "Memory failure: 0x1c3f: Killing llama-server:71 due to hardware memory corruption",
    "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0",
    "I/O error, dev nvme0n1, sector 1234 op 0x0:(READ) flags 0x80700",
    "CPU2: Core temperature above threshold, cpu clock throttled (total events = 9)",
    "thermal thermal_zone0: acpitz: critical temperature reached, shutting down",
    "PM: suspend entry (deep)",
]

IDLE = [
    "sched: RT throttling activated",
    "[  71]  1000    71    54330    12358    10912     1446         0   151552        0             0 python",
    "usb 1-2: reset high-speed USB device number 4 using xhci_hcd",
    "EXT4-fs (vda): mounted filesystem r/w without journal. Quota mode: none.",
    "i915 0000:00:02.0: [drm] VT-d active for gfx access",
    "random: crng reseeded due to virtual machine fork",
]


@pytest.mark.parametrize("text", TELLING)
def test_lines_that_may_explain_a_death_are_kept(text: str) -> None:
    assert concerns(text)


@pytest.mark.parametrize("text", IDLE)
def test_the_kernels_small_talk_is_not(text: str) -> None:
    assert not concerns(text)


def test_a_kill_names_its_victim() -> None:
    assert [kills(text, 71) for text in TELLING[:5]] == [False, True, True, True, False]
    assert not any(kills(text, 7) for text in TELLING)


def test_a_record_without_its_annex() -> None:
    line = parse_record(RECORD)
    assert line is not None
    assert line.at_us == 12_769_456_663
    assert line.text.startswith("oom-kill:")
    assert line.text.endswith("uid=0")
    assert parse_record("6,1,99,-,caller=T71;PM: suspend exit\n") == Stamped(99, "PM: suspend exit")
    assert parse_record(" SUBSYSTEM=pci\n") is None


def test_the_ring_buffer_as_text() -> None:
    text = "<4>[ 3294.594870] one\n<6>[12769.456682][  T7606] two\nno time\n[    0.000001] three\n"
    assert parse_syslog(text) == (
        Stamped(3_294_594_870, "one"),
        Stamped(12_769_456_682, "two"),
        Stamped(1, "three"),
    )


def test_the_kernels_time_becomes_the_time_of_day() -> None:
    line = as_utc(Stamped(5_000_000, "x" * 9000), utc_ms=1_000_000, monotonic_us=7_500_000)
    assert line.at_ms == 997_500
    assert len(line.text) == 500


@given(st.text())
def test_strange_text_is_read_without_harm(text: str) -> None:
    parse_record(text)
    parse_syslog(text)
    parse_journal(text)
    concerns(text)


def test_lines_of_the_journal() -> None:
    out = (
        '{"MESSAGE":"Out of memory: Killed process 71","__REALTIME_TIMESTAMP":"1700000000123456"}\n'
        '{"MESSAGE":[75,195,164],"__REALTIME_TIMESTAMP":"1","_SOURCE_REALTIME_TIMESTAMP":"2000"}\n'
        '{"MESSAGE":null,"__REALTIME_TIMESTAMP":"3"}\n'
        '{"MESSAGE":[900],"__REALTIME_TIMESTAMP":"3"}\n'
        "half a li"
    )
    first, second = parse_journal(out)
    assert (first.at_ms, first.text) == (1_700_000_000_123, "Out of memory: Killed process 71")
    assert (second.at_ms, second.text) == (2, "Kä")


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "journalctl"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2",
            "systemd-journal",
        ),
        ("echo 'No journal files were found.' >&2", "systemd-journal"),
        ("echo 'Failed to add match' >&2; exit 1", "Failed to add match"),
        ("sleep 5", "did not answer"),
    ],
)
def test_a_journal_that_does_not_tell_says_why(journalctl: Path, script: str, reason: str) -> None:
    journalctl.write_text(f"#!/bin/sh\n{script}\n")
    journalctl.chmod(0o755)
    with pytest.raises(Blind, match=reason):
        read_journal(("-k",), 0, timeout_s=0.3 if script.startswith("sleep") else 5)


def test_where_the_device_is_closed_the_other_ways_are_tried(tmp_path: Path, journalctl: Path) -> None:
    journalctl.write_text("#!/bin/sh\nexit 1\n")
    journalctl.chmod(0o755)
    now_ms = time.time_ns() // 1_000_000
    log = KernelLog(now_ms, device=tmp_path / "none")
    try:  # another process of this machine may have crashed a moment ago
        assert [line for line in log.lines(0, lambda _: True) if line.at_ms < now_ms - FRESH_MS] == []
    except Blind as blind:
        assert "CAP_SYSLOG" in str(blind)
    log.close()


def test_what_a_reader_has_seen_stays_seen(tmp_path: Path) -> None:
    """A file in place of the device: only the device gives one record for each read, so one."""
    (tmp_path / "kmsg").write_text(f"4,9,{time.monotonic_ns() // 1000},-;PM: suspend exit\n")
    log = KernelLog(1, device=tmp_path / "kmsg")
    first = log.lines(0, lambda _: True)
    assert [line.text for line in first] == ["PM: suspend exit"]
    assert [line.text for line in log.lines(0, lambda _: True)] == ["PM: suspend exit"]
    log.close()


def test_the_file_stays_open_under_a_thread_that_reads_it(tmp_path: Path) -> None:
    """Else its number becomes another file's, whose content the thread takes away."""
    device = tmp_path / "kmsg"
    os.mkfifo(device)
    told: list[tuple[KernelLine, ...]] = []
    with device.open("rb+", buffering=0) as kernel:
        log = KernelLog(0, device=device)
        number = log._fd
        assert number is not None
        reading, looks = threading.Event(), itertools.count()

        def enough(_: str) -> bool:
            reading.set()
            return next(looks) > 0

        thread = threading.Thread(target=lambda: told.append(log.lines(60, enough)))
        thread.start()
        kernel.write(RECORD.encode())
        assert reading.wait(60)
        log.close()
        os.fstat(number)
        kernel.write(RECORD.encode())
        thread.join(60)
    assert log._fd is None
    assert [len(lines) for lines in told] == [2]
