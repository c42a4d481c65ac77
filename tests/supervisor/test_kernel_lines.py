"""The kernel's words about deaths, as kernels and drivers print them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.deaths import KernelLine
from freehold.supervisor.postmortem.kernel_lines import faults, gpu_errors, oom_invoked, oom_kills


def line(text: str) -> tuple[KernelLine, ...]:
    return (KernelLine(at_ms=5, text=text),)


def test_both_lines_of_one_kill_are_one_kill() -> None:
    both = line(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        "task_memcg=/a/b,task=llama-server,pid=29131,uid=0"
    ) + line(
        "Memory cgroup out of memory: Killed process 29131 (llama-server) total-vm:245344kB, "
        "anon-rss:81424kB, file-rss:10440kB, shmem-rss:0kB, UID:0 pgtables:268kB oom_score_adj:0"
    )
    (kill,) = oom_kills(both)
    assert (kill.pid, kill.comm, kill.in_cgroup) == (29131, "llama-server", True)
    assert kill.anon_bytes == 81424 * 1024
    assert "anon-rss" in kill.line.text


def test_older_kernels_and_the_machines_own_kills() -> None:
    (kill,) = oom_kills(line("Out of memory: Kill process 77 (vllm) score 900 or sacrifice child"))
    assert (kill.pid, kill.in_cgroup, kill.anon_bytes) == (77, False, None)
    assert oom_invoked(line("python3 invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0"))
    assert not oom_invoked(line("usb 1-1: new device"))


def test_crashes_and_where_they_were() -> None:
    (crash,) = faults(
        line("llama-server[5]: segfault at 8 ip 0000 sp 0000 error 4 in libggml.so[7f+9] likely")
    )
    assert (crash.pid, crash.what, crash.library) == (5, "segfault", "libggml.so")
    (trap,) = faults(line("traps: python3[8] trap invalid opcode ip:7f sp:7f error:0 in libx.so[7f+1]"))
    assert (trap.pid, trap.what, trap.library) == (8, "invalid opcode", "libx.so")
    (wrong,) = faults(line("traps: x[9] general protection fault ip:7f sp:7f error:0 in x[1+1]"))
    assert wrong.what == "general protection"
    (broken,) = faults(line("Memory failure: 0x12: Killing a.out:31 due to hardware memory corruption"))
    assert (broken.pid, broken.what) == (31, "bad memory")


def test_gpu_drivers() -> None:
    (fell,) = gpu_errors(
        line("NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen")
    )
    assert (fell.xid, fell.pid, fell.by_program) == (79, None, False)
    assert fell.words == "the GPU has fallen off the bus"
    (bug,) = gpu_errors(line("NVRM: Xid (PCI:0000:01:00): 31, pid=12, name=llama-server, Ch 0008, intr 1"))
    assert (bug.pid, bug.by_program) == (12, True)
    (strange,) = gpu_errors(line("NVRM: Xid (PCI:0000:01:00): 999, 2dd8 0000"))
    assert strange.words == "2dd8 0000"
    (amd,) = gpu_errors(line("amdgpu 0000:03:00.0: amdgpu: ring comp_1.0.0 timeout, signaled seq=1"))
    assert amd.words.startswith("ring comp_1.0.0 timeout")
    (whose,) = gpu_errors(line("amdgpu: Process information: process llama-server pid 1234 thread x"))
    assert (whose.pid, whose.comm) == (1234, "llama-server")


WORDS = "oom-kill:constraint=|Killed process |pid=|NVRM: Xid (|): |[|]|segfault at |traps: | ip |,task=| in "
words = st.sampled_from([*WORDS.split("|"), "amdgpu ", "9" * 20, "٣"])


@given(st.lists(words | st.text(max_size=6), max_size=14).map("".join))
def test_any_line_is_read_or_left_alone(text: str) -> None:
    for read in (oom_kills, faults, gpu_errors):
        assert len(read(line(text))) <= 1
