"""One engine process: started, found again by the next Freehold, waited for, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from freehold.core.deaths import ExitFacts
from freehold.core.servers import Launch
from freehold.supervisor.process import EngineProcess, OwnerLock, file_name, launch_key, log_path
from tests.processes import runs
from tests.supervisor.keeping import SLEEPER, concerns, end, python, server_folder, shell, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what only Linux's kernel does")

_FREEHOLD = """
import asyncio, sys
from pathlib import Path
from freehold.core.servers import Launch
from freehold.supervisor.process import EngineProcess
async def main():
    launch = Launch(argv=("/bin/sh", "-c", sys.argv[2]), env={"PATH": "/bin:/usr/bin"}, program="a test")
    process = await EngineProcess.start(launch, Path(sys.argv[1]), port=4711)
    print(process.pid, process.keeper_pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async with server_folder(tmp_path) as path:
        yield path


async def freehold_that_dies(folder: Path, code: str) -> tuple[int, int]:
    """Another Freehold starts an engine and is killed; its pid and its keeper's."""
    freehold = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FREEHOLD, str(folder), code, stdout=asyncio.subprocess.PIPE
    )
    assert freehold.stdout is not None
    pid, keeper = (await freehold.stdout.readline()).split()
    freehold.kill()
    await freehold.wait()
    return int(pid), int(keeper)


# Its end


@pytest.mark.parametrize(
    ("code", "status"),
    [("exit 0", 0), ("exit 3", 3), *((f"kill -{n} $$", -n) for n in (1, 6, 9, 11, 15))],
)
async def test_its_end_is_told_exactly(folder: Path, code: str, status: int) -> None:
    process = await EngineProcess.start(shell(code), folder, port=1)
    facts = await process.wait()
    assert facts.status == status
    assert not facts.keeper_lost
    assert facts.max_rss_bytes
    assert facts.cpu_s is not None
    assert abs(facts.died_ms - process.started_ms) < 60_000


async def test_many_may_wait_and_each_is_told(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
    waiting[0].cancel()
    await end(process)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1] == told[2] == await process.wait()
    assert await process.stop(signal.SIGTERM, 5, "again") == told[1]


async def test_a_program_that_is_not_there_ends_as_a_shell_would_say_it(folder: Path) -> None:
    process = await EngineProcess.start(Launch(argv=("/no/such/program",), env={}), folder, port=1)
    assert (await process.wait()).code == 127
    assert process.last_lines() == ("cannot run /no/such/program: No such file or directory",)


async def test_a_file_that_is_no_program_ends_as_a_shell_would_say_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    process = await EngineProcess.start(Launch(argv=(str(tmp_path / "text"),), env={}), folder, port=1)
    assert (await process.wait()).code == 126
    assert process.last_lines() == (f"cannot run {tmp_path / 'text'}: Permission denied",)


async def test_a_launch_that_no_kernel_takes_is_said(folder: Path) -> None:
    process = await EngineProcess.start(Launch(argv=("/bin/echo", "a\0b"), env={}), folder, port=1)
    assert (await process.wait()).code == 126
    assert process.last_lines() == ("cannot run /bin/echo: ValueError('embedded null byte')",)


async def test_a_log_that_cannot_be_written_is_an_error_before_anything_starts(folder: Path) -> None:
    (folder.parent.parent / "logs" / "x.log").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"x\.log"):
        await EngineProcess.start(SLEEPER, folder, port=1)
    assert EngineProcess.find(folder) is None


async def test_two_engines_never_share_a_folder(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    with pytest.raises(OSError, match="running"):
        await EngineProcess.start(SLEEPER, folder, port=1)
    await end(process)


async def test_a_start_that_is_given_up_leaves_nothing(folder: Path) -> None:
    for turns in range(4):
        starting = asyncio.create_task(EngineProcess.start(SLEEPER, folder, port=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    await until(lambda: not any(concerns(process, folder) for process in psutil.process_iter()))


async def test_a_start_that_is_given_up_when_the_engine_runs_is_no_death(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_now = asyncio.Event()

    async def hear_of_it_later(*_: object) -> bytes:
        await until((folder / "keeper.json").exists)
        runs_now.set()
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_recv", hear_of_it_later)
    starting = asyncio.create_task(EngineProcess.start(SLEEPER, folder, port=1))
    await asyncio.wait_for(runs_now.wait(), 10)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert EngineProcess.find(folder) is None
    assert EngineProcess.left_exit(folder) is None
    await until(lambda: not any(concerns(process, folder) for process in psutil.process_iter()))


# Stopped


async def test_an_order_is_written_down_and_told(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    facts = await process.stop(signal.SIGINT, 5, "evicted for glm")
    assert facts.signal == signal.SIGINT
    (order,) = process.orders()
    assert (order.signal, order.reason) == (signal.SIGINT, "evicted for glm")
    assert order.at_ms <= facts.died_ms


async def test_one_that_does_not_listen_is_killed_with_its_group(folder: Path) -> None:
    code = "trap '' TERM; (trap '' TERM; echo child; sleep 600) & wait; sleep 600"
    process = await EngineProcess.start(shell(code), folder, port=1)
    await until(process.last_lines)
    facts = await process.stop(signal.SIGTERM, 0.05, "enough")
    assert facts.signal == signal.SIGKILL
    assert [order.signal for order in process.orders()] == [signal.SIGTERM, signal.SIGKILL]
    assert process.orders()[1].reason == "it did not end within 0.05 s of SIGTERM"


@linux
async def test_a_grandchild_in_a_session_of_its_own_does_not_outlive_it(folder: Path) -> None:
    code = "setsid sh -c 'setsid sleep 600 & echo $!; echo $$; wait' & wait"
    process = await EngineProcess.start(shell(code), folder, port=1)
    await until(lambda: len(process.last_lines()) == 2)
    strays = [int(line) for line in process.last_lines()]
    assert all(runs(pid) for pid in strays)
    await process.stop(signal.SIGTERM, 5, "enough")
    assert not any(runs(pid) for pid in strays)


@linux
async def test_what_a_dead_engine_left_behind_is_ended_too(folder: Path) -> None:
    process = await EngineProcess.start(shell("setsid sleep 600 & echo $!; kill -9 $$"), folder, port=1)
    assert (await process.wait()).signal == signal.SIGKILL
    assert not runs(int(process.last_lines()[0]))


# Found again


async def test_a_new_freehold_finds_what_a_killed_one_left_running(folder: Path) -> None:
    pid, keeper = await freehold_that_dies(
        folder, "trap 'echo bye; exit 5' TERM; echo loaded; sleep 600 & wait"
    )
    process = EngineProcess.find(folder)
    assert process is not None
    assert (process.pid, process.keeper_pid, process.port) == (pid, keeper, 4711)
    await until(lambda: process.last_lines() == ("loaded",))
    facts = await process.stop(signal.SIGTERM, 5, "no longer wanted")
    assert facts.code == 5
    assert process.last_lines() == ("loaded", "bye")
    assert EngineProcess.find(folder) is None
    assert EngineProcess.left_exit(folder) is None  # this Freehold saw it


async def test_an_end_that_nobody_saw_is_told_once(folder: Path) -> None:
    pid, keeper = await freehold_that_dies(folder, "echo oh; echo oh; sleep 0.2; kill -6 $$")
    await until(lambda: not runs(keeper))
    assert EngineProcess.find(folder) is None
    left = EngineProcess.left_exit(folder)
    assert left is not None
    assert (left.pid, left.port, left.program) == (pid, 4711, "a test")
    assert left.exit.signal == signal.SIGABRT
    assert left.exit.died_ms >= left.started_ms
    assert left.last_lines == ("oh (x 2)",)
    assert not left.rebooted
    assert EngineProcess.left_exit(folder) is None


@linux
async def test_an_engine_whose_keeper_was_lost_unseen_is_cleaned_up_and_told(folder: Path) -> None:
    pid, keeper = await freehold_that_dies(folder, "sleep 600 & echo $!; wait")
    process = EngineProcess.find(folder)
    assert process is not None
    await until(process.last_lines)
    child = int(process.last_lines()[0])
    os.kill(keeper, signal.SIGKILL)
    await until(lambda: not runs(keeper) and not runs(pid))
    assert runs(child)
    assert EngineProcess.find(folder) is None
    await until(lambda: not runs(child))
    left = EngineProcess.left_exit(folder)
    assert left is not None
    assert left.exit.keeper_lost
    assert left.last_lines == (str(child),)


async def test_where_the_kernel_has_no_pidfd_the_end_is_seen_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    assert (await process.stop(signal.SIGTERM, 5, "over")).signal == signal.SIGTERM


async def test_what_is_left_alone_runs_on(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    process.leave()
    found = EngineProcess.find(folder)
    assert found is not None
    assert runs(found.pid)
    await end(found)


async def test_an_end_stays_until_it_was_told(folder: Path) -> None:
    process = await EngineProcess.start(shell("echo oh; exit 4"), folder, port=1)
    process.keep_end()
    assert (await process.wait()).code == 4
    left = EngineProcess.left_exit(folder)  # as the next Freehold would, had this one died here
    assert left is not None
    assert left.exit == await process.wait()
    process.told()
    assert EngineProcess.left_exit(folder) is None
    assert process.last_lines() == ("oh",)


async def test_after_another_boot_the_same_numbers_are_strangers(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    kept = json.loads((folder / "keeper.json").read_text())
    await end(process)
    assert EngineProcess.left_exit(folder) is None
    (folder / "keeper.json").write_text(json.dumps(kept | {"boot_id": "another", "keeper_pid": os.getpid()}))
    assert EngineProcess.find(folder) is None
    left = EngineProcess.left_exit(folder)
    assert left is not None
    assert left.rebooted
    assert left.exit.keeper_lost


async def test_a_number_that_was_given_to_another_process_is_not_taken_for_it(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    kept = json.loads((folder / "keeper.json").read_text())
    await end(process)
    mine = {"keeper_pid": os.getpid(), "pid": os.getpid()}
    (folder / "keeper.json").write_text(json.dumps(kept | mine))
    assert EngineProcess.find(folder) is None


async def test_the_key_of_a_launch_tells_whether_it_is_the_same(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    found = EngineProcess.find(folder)
    assert found is not None
    assert found.launch_key == launch_key(SLEEPER)
    assert found.launch_key != launch_key(Launch(argv=SLEEPER.argv, env={"A": "1"}))
    assert found.launch_key != launch_key(Launch(argv=SLEEPER.argv, env={}, cwd="/"))
    await end(process)


# What may go wrong around it


async def test_closing_the_terminal_and_a_hangup_kill_nothing(folder: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import fcntl, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    code += "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # ignored where the tests run under nohup
    code += _FREEHOLD
    freehold = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(folder), "sleep 600"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    with os.fdopen(ours) as terminal:
        pid, keeper = (await asyncio.to_thread(terminal.readline)).split()
    assert await freehold.wait() == -signal.SIGHUP  # the kernel hangs up on the session of a closed terminal
    process = EngineProcess.find(folder)
    assert process is not None
    assert (process.pid, process.keeper_pid) == (int(pid), int(keeper))
    os.kill(process.keeper_pid, signal.SIGHUP)
    os.kill(process.keeper_pid, signal.SIGINT)
    facts = await process.stop(signal.SIGTERM, 5, "over")
    assert facts.signal == signal.SIGTERM


@linux
async def test_an_engine_dies_with_its_keeper_and_all_that_it_started(folder: Path) -> None:
    process = await EngineProcess.start(shell("sleep 600 & echo $!; wait"), folder, port=1)
    await until(process.last_lines)
    os.kill(process.keeper_pid, signal.SIGKILL)
    facts = await process.wait()
    assert facts.keeper_lost
    assert facts.status is None
    assert not runs(process.pid)
    assert not runs(int(process.last_lines()[0]))


@linux
async def test_a_halted_keeper_does_not_hold_up_a_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.supervisor.process._KILL_WAIT_S", 0.5)  # twice that for the keeper's end
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    os.kill(process.keeper_pid, signal.SIGSTOP)
    assert await process.stop(signal.SIGTERM, 0.1, "over") == ExitFacts(
        died_ms=(await process.wait()).died_ms, keeper_lost=True
    )


async def test_a_told_keeper_ends_its_engine_first(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    os.kill(process.keeper_pid, signal.SIGTERM)
    assert (await process.wait()).signal == signal.SIGTERM
    assert process.orders()[0].reason == "its keeper was told to end (SIGTERM)"


async def test_a_removed_folder_ends_its_engine(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1, orphan_stop_s=0.1)
    shutil.rmtree(folder)
    await process.wait()
    assert not runs(process.pid)


async def test_without_any_freehold_an_engine_ends_after_a_while(folder: Path) -> None:
    lock = OwnerLock(folder.parent)
    with pytest.raises(BlockingIOError):
        OwnerLock(folder.parent)
    process = await EngineProcess.start(SLEEPER, folder, port=1, orphan_stop_s=0.2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.5)
    lock.release()
    facts = await asyncio.wait_for(process.wait(), 5)
    assert facts.signal == signal.SIGTERM
    assert process.orders()[0].reason == "no Freehold ran for 0.2 s"


# Secrets and files


async def test_secrets_of_the_environment_reach_the_engine_and_nothing_else(folder: Path) -> None:
    secret = "hf_" + "a1b2c3" * 4
    code = "import os, time; print(len(os.environ['TOKEN']), flush=True); time.sleep(600)"
    process = await EngineProcess.start(python(code, {"TOKEN": secret}), folder, port=1)
    await until(process.last_lines)
    assert process.last_lines() == (str(len(secret)),)
    home = folder.parent.parent
    assert all(secret.encode() not in file.read_bytes() for file in home.rglob("*") if file.is_file())
    keeper = psutil.Process(process.keeper_pid)
    assert secret not in str(keeper.cmdline()) + str(keeper.environ())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in [folder, *folder.iterdir()]}  # noqa: ASYNC240
    assert modes == {"x": 0o700, "keeper.json": 0o600, "exit.part": 0o600}
    await end(process)


async def test_the_engine_begins_as_if_a_shell_had_started_it(folder: Path) -> None:
    os.umask(before := os.umask(0))
    code = (
        "import os, signal, sys\n"
        "dfl = all(signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)"
        " for n in (1, 2, 3, 10, 12, 15, 17))\n"
        "print(dfl, sys.stdin.read() == '', os.getpgrp() == os.getpid(), os.getcwd())\n"
        "print(oct(os.umask(0)), sorted(map(int, os.listdir('/dev/fd'))), sorted(os.environ))\n"
        "print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), file=sys.stderr)\n"
    )
    process = await EngineProcess.start(python(code), folder, port=1)
    assert (await process.wait()).code == 0
    first, second, third = sorted(process.last_lines(), key=lambda line: (line.isdigit(), line[0] != "T"))
    assert first == f"True True True {folder}"
    assert second.startswith(f"{oct(before)} [0, 1, 2, 3]")  # 3 is that of listing them
    assert third == "0"


async def test_it_works_where_the_launch_says(folder: Path, tmp_path: Path) -> None:
    launch = Launch(argv=("/bin/pwd",), env={}, cwd=str(tmp_path))
    process = await EngineProcess.start(launch, folder, port=1)
    assert (await process.wait()).code == 0
    assert process.last_lines() == (str(tmp_path),)


def test_a_name_with_odd_characters_stays_inside_the_folder(tmp_path: Path) -> None:
    assert log_path(tmp_path, "../a b/ü").parent == tmp_path
    assert file_name("..") == "_"
