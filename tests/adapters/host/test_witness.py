"""Real deaths on this machine, and what the witness tells of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.adapters.host.blind import Blind
from freehold.adapters.host.cages import HostCages
from freehold.adapters.host.tracefs import mount_unseen
from freehold.adapters.host.witness import HostWitness
from freehold.core.deaths import HostEvidence, Subject

MIB = 1 << 20
LINUX = sys.platform.startswith("linux")


@pytest.fixture
def cages(tmp_path: Path) -> Iterator[HostCages]:
    made = HostCages(tmp_path)
    yield made
    made.kill("tiny")
    made.remove("tiny")


@pytest.fixture
def witness(tmp_path: Path, cages: HostCages, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostWitness]:
    """Patient: on a busy machine a look takes longer."""
    monkeypatch.setattr("freehold.adapters.host.witness.PATIENCE_S", 20.0)
    made = HostWitness(state_folder=tmp_path, cages=cages)
    yield made
    made.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def subject(pid: int, *, port: int = 9, model: Path | None = None, logs: Path | None = None) -> Subject:
    return Subject(
        server="tiny",
        pid=pid,
        port=port,
        started_ms=now_ms(),
        model_path=str(model) if model else None,
        log_folder=str(logs or ""),
    )


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """One that hears SIGHUP, also where the tests are run with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        signal.signal(signal.SIGHUP, before)
        yield process
        process.kill()


def watched(witness: HostWitness, process: subprocess.Popen[bytes], end: list[str]) -> HostEvidence:
    """What is seen of a process that a command ends."""
    observation = witness.watch(subject(process.pid))
    subprocess.run(end, check=True)
    process.wait()
    evidence = observation.collect()
    observation.close()
    return evidence


def instances() -> list[str]:
    """Trace instances of this process; none where nobody may look."""
    try:
        mount = mount_unseen()
    except Blind:
        return []
    try:
        return [name for name in os.listdir(f"/proc/self/fd/{mount}/instances") if f"-{os.getpid()}-" in name]
    finally:
        os.close(mount)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_who_sent_the_signal(
    witness: HostWitness, sleeper: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    evidence = watched(witness, sleeper, ["/bin/sh", "-c", f"kill -{number} {sleeper.pid}; true"])
    if evidence.senders is None:
        pytest.skip(evidence.blind["signals"])
    (seen,) = evidence.senders
    assert (seen.signal, seen.sender_comm, seen.from_kernel) == (number, "sh", False)
    assert seen.sender_pid not in {os.getpid(), sleeper.pid}
    assert abs(seen.at_ms - now_ms()) < 5000
    assert instances() == []


@pytest.mark.parametrize(
    ("end", "number", "from_kernel"),
    [("string_at(0)", signal.SIGSEGV, True), ("CDLL(None).abort()", signal.SIGABRT, False)],
)
def test_a_crash_in_a_thread_of_any_name_is_seen(
    witness: HostWitness, end: str, number: signal.Signals, from_kernel: bool
) -> None:
    program = f"""
from ctypes import CDLL, string_at
import threading

def crash():
    CDLL(None).prctl(15, b"worker 7")  # PR_SET_NAME
    {end}

input()
threading.Thread(target=crash).start()
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        observation = witness.watch(subject(process.pid))
        process.communicate(b"\n")
        assert process.wait() == -number
        evidence = observation.collect()
        observation.close()
    if evidence.senders is None:
        pytest.skip(evidence.blind["signals"])
    assert [(seen.signal, seen.sender_pid, seen.from_kernel) for seen in evidence.senders] == [
        (number, process.pid, from_kernel)
    ]


def test_two_witnesses_do_not_disturb_each_other(
    witness: HostWitness, sleeper: subprocess.Popen[bytes]
) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        second = HostWitness()
        watching = second.watch(subject(other.pid))
        evidence = watched(witness, sleeper, ["/bin/sh", "-c", f"kill -1 {sleeper.pid} {other.pid}; true"])
        other.wait()
        beside = watching.collect()
        watching.close()
        second.close()
    if evidence.senders is None or beside.senders is None:
        pytest.skip(evidence.blind["signals"])
    assert [seen.signal for seen in evidence.senders] == [1]
    assert evidence.senders[0].sender_pid == beside.senders[0].sender_pid


def test_a_witness_that_nobody_closed_leaves_nothing_in_the_kernel(sleeper: subprocess.Popen[bytes]) -> None:
    witness = HostWitness()
    witness.watch(subject(sleeper.pid)).close()
    assert instances() == []
    forgotten = witness.watch(subject(sleeper.pid))
    del witness, forgotten
    assert instances() == []


def test_the_kernel_ends_a_server_that_outgrows_its_cage(witness: HostWitness, cages: HostCages) -> None:
    files = cages.make("tiny", 40 * MIB)
    if not files:
        pytest.skip(cages.blind)
    program = (
        f"import sys; open({files[0]!r}, 'w').write('0'); sys.stdin.read(1); "
        "held = bytearray(200 << 20); sys.stdin.read(1)"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        observation = witness.watch(subject(process.pid))
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.wait() == -signal.SIGKILL
        evidence = observation.collect()
        observation.close()
    assert evidence.cgroup is not None
    assert evidence.cgroup.oom_kill == 1
    assert evidence.cgroup.at_limit > 0
    assert evidence.cgroup.limit_bytes == 40 * MIB
    assert evidence.cgroup.path.startswith(os.path.dirname(files[0]))
    if evidence.kernel is None:
        pytest.skip(evidence.blind["kernel log"])
    ours = [line for line in evidence.kernel if str(process.pid) in line.text]
    assert any("CONSTRAINT_MEMCG" in line.text for line in ours)
    assert any("anon-rss" in line.text for line in ours)
    assert all(abs(line.at_ms - now_ms()) < 5000 for line in ours)
    if evidence.senders is not None:
        assert [(seen.signal, seen.from_kernel) for seen in evidence.senders] == [(9, True)]


@pytest.mark.skipif(not LINUX, reason="only Linux tells who listens")
def test_the_thief_of_a_port_is_named_without_its_secrets(
    witness: HostWitness, sleeper: subprocess.Popen[bytes]
) -> None:
    program = (
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
        "print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, "--api-key", "sk-secret"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as thief:
        assert thief.stdout is not None
        port = int(thief.stdout.readline())
        evidence = witness.watch(subject(sleeper.pid, port=port)).collect()
        thief.kill()
    assert evidence.port_owner is not None
    assert (evidence.port_owner.port, evidence.port_owner.pid) == (port, thief.pid)
    assert "python" in (evidence.port_owner.command or "")
    assert "secret" not in (evidence.port_owner.command or "")


@pytest.mark.skipif(not LINUX, reason="only Linux tells who listens")
def test_a_server_is_no_thief_of_its_own_port(witness: HostWitness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert witness.watch(subject(os.getpid(), port=port)).collect().port_owner is None


def test_a_full_disk_is_seen(witness: HostWitness, sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(full)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        with pytest.raises(OSError, match="No space"):
            (full / "log").write_bytes(bytes(200_000))
        disks = witness.watch(subject(sleeper.pid, logs=full)).collect().disks
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert (disks[0].path, disks[0].free_bytes, disks[0].total_bytes) == (str(full), 0, 65536)


def test_a_model_that_was_cut_while_it_was_served(
    witness: HostWitness, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(bytes(4096))
    observation = witness.watch(subject(sleeper.pid, model=model))
    os.truncate(model, 1024)
    seen = observation.collect().model
    assert seen is not None
    assert seen.size_bytes == 1024
    assert "cut from 4.0 KiB to 1.0 KiB" in seen.problem


def test_nothing_happened_and_nobody_waited_long(
    witness: HostWitness, sleeper: subprocess.Popen[bytes]
) -> None:
    evidence = witness.watch(subject(sleeper.pid)).collect()
    assert not evidence.rebooted
    assert evidence.changes == ()
    assert evidence.port_owner is None
    if LINUX:
        assert (evidence.ram_free_bytes or 0) > 0
    for source, reason in evidence.blind.items():
        assert reason, source
        assert "Error" not in reason


def test_a_process_of_an_earlier_boot_is_known_as_such(witness: HostWitness) -> None:
    if not LINUX:
        pytest.skip("only Linux counts its time since boot")
    gone = Subject(server="tiny", pid=2**22 + 1, port=9, started_ms=1_000)
    assert witness.watch(gone).collect().rebooted


def test_a_process_that_is_gone_before_it_is_watched_harms_nobody(
    witness: HostWitness, sleeper: subprocess.Popen[bytes]
) -> None:
    sleeper.kill()
    sleeper.wait()
    observation = witness.watch(subject(sleeper.pid))
    assert observation.collect().rebooted is False
    observation.close()
    observation.close()
