"""The keeper of an engine: what it does with output, a full disk, a cage; and what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from freehold.supervisor.engine_log import LOG_LIMIT_BYTES
from freehold.supervisor.process import EngineProcess
from tests.supervisor.keeping import SLEEPER, end, python, server_folder, shell, until

_FLOOD = (
    "import sys\nfor n in range(300_000): print(f'{n:09d}', 'x' * 89)\n"
    "sys.stdout.flush(); print('done', file=sys.stderr)"
)
"""30 million bytes in lines of 100, the last word on the other channel."""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async with server_folder(tmp_path) as path:
        yield path


def logs(folder: Path) -> list[Path]:
    return sorted((folder.parent.parent / "logs").iterdir())


# Output


async def test_last_lines_are_those_of_this_start_only(folder: Path) -> None:
    first = await EngineProcess.start(shell("echo from the first life"), folder, port=1)
    await first.wait()
    second = await EngineProcess.start(
        shell("echo one; echo; echo; echo '  two  '; echo two"), folder, port=1
    )
    await second.wait()
    assert second.last_lines() == ("one", "two (x 2)")
    assert second.last_lines(1) == ("two (x 2)",)
    assert second.output() == ["one", "  two", "two"]
    assert first.log.read_text() == "from the first life\none\n\n\n  two  \ntwo\n"


async def test_much_output_is_rotated_at_line_ends_and_nothing_is_missing(folder: Path) -> None:
    process = await EngineProcess.start(python(_FLOOD), folder, port=1)
    assert (await process.wait()).code == 0
    newest, *older = logs(folder)
    assert [file.name for file in older] == ["x.log.1", "x.log.2", "x.log.3"]
    assert all(LOG_LIMIT_BYTES - 100 < file.stat().st_size <= LOG_LIMIT_BYTES for file in older)
    numbers: list[int] = []
    for file in (*reversed(older), newest):
        numbers += [int(line[:9]) for line in file.read_text().splitlines() if line != "done"]
    assert numbers == list(range(300_000))
    assert process.output()[0] == f"{0:09d} " + "x" * 89
    assert "..." in process.output()
    assert process.last_lines()[-1] == "done"


async def test_the_first_words_are_found_after_a_rotation_also_behind_older_output(folder: Path) -> None:
    before = await EngineProcess.start(shell("echo before"), folder, port=1)
    await before.wait()
    process = await EngineProcess.start(python(_FLOOD.replace("300_000", "90_000")), folder, port=1)
    await process.wait()
    assert process.output()[0].startswith("000000000 ")
    assert len(logs(folder)) == 2


async def test_a_line_without_end_fills_no_memory_and_no_disk(folder: Path) -> None:
    code = (
        "import os, time\nfor _ in range(400): os.write(1, b'z' * 100_000)\n"
        "os.write(1, b'\\nend\\n'); time.sleep(600)"
    )
    process = await EngineProcess.start(python(code), folder, port=1)
    keeper = psutil.Process(process.keeper_pid)
    await until(lambda: len(logs(folder)) == 4)
    assert keeper.memory_info().rss < 24e6
    await until(lambda: process.last_lines(1) == ("end",))  # until then files are renamed
    assert sum(file.stat().st_size for file in logs(folder)) <= 4 * LOG_LIMIT_BYTES
    assert all(len(line) < 1010 for line in process.last_lines())
    await end(process)


async def test_a_large_log_is_set_aside_before_the_next_start(folder: Path) -> None:
    log = folder.parent.parent / "logs" / "x.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * LOG_LIMIT_BYTES)
    process = await EngineProcess.start(shell("echo new"), folder, port=1)
    await process.wait()
    assert log.read_text() == "new\n"
    assert process.output() == ["new"]


async def test_a_log_that_somebody_took_away_begins_anew(folder: Path) -> None:
    code = "echo one; read line <../../fifo; echo two"
    fifo = folder.parent.parent / "fifo"
    os.mkfifo(fifo)
    process = await EngineProcess.start(shell(code), folder, port=1, orphan_stop_s=0.1)
    await until(process.last_lines)
    process.log.unlink()
    await until(process.log.exists)
    await asyncio.to_thread(fifo.write_text, "go\n")
    await process.wait()
    assert process.log.read_text() == "two\n"
    assert process.last_lines() == ("two",)


# A full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
async def test_a_full_disk_neither_stops_the_engine_nor_hides_its_end(folder: Path) -> None:
    log = folder.parent.parent / "logs" / "x.log"
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    process = await EngineProcess.start(python(_FLOOD + "; raise SystemExit(9)"), folder, port=1)
    facts = await process.wait()
    assert facts.code == 9
    lines = process.last_lines()
    assert lines[-2:] == ("done", "(its output could not be kept: No space left on device)")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
async def test_the_exit_is_told_also_when_the_disk_of_the_home_is_full(tmp_path: Path) -> None:
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)
    )
    if await mount.wait():
        pytest.skip("may not mount")
    try:
        async with server_folder(tmp_path) as folder:
            process = await EngineProcess.start(python(_FLOOD + "; raise SystemExit(9)"), folder, port=1)
            await until(lambda: os.statvfs(tmp_path).f_bavail == 0)
            facts = await process.wait()
            assert facts.code == 9
            assert process.last_lines()[-1] == "(its output could not be kept: No space left on device)"
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(tmp_path))).wait()


# Cages


async def test_the_engine_enters_its_cage_before_it_runs(folder: Path, tmp_path: Path) -> None:
    cage = tmp_path / "cgroup.procs"
    cage.touch()
    process = await EngineProcess.start(SLEEPER, folder, port=1, cage_files=[str(cage)])
    assert cage.read_text() == str(process.pid)
    await end(process)


async def test_a_cage_that_cannot_be_entered_is_said_and_the_engine_runs(folder: Path) -> None:
    process = await EngineProcess.start(shell("echo here"), folder, port=1, cage_files=["/no/such/cage"])
    assert (await process.wait()).code == 0
    assert process.last_lines() == (
        "(no memory limit: cannot enter /no/such/cage: No such file or directory)",
        "here",
    )


# Its costs


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_keeper_is_small_idle_and_named(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=1)
    keeper = psutil.Process(process.keeper_pid)
    assert keeper.name() == "freehold-keeper"
    assert keeper.memory_full_info().uss < 12e6
    before = keeper.num_ctx_switches().voluntary
    await asyncio.sleep(0.3)  # what is measured is that nothing happens
    assert keeper.num_ctx_switches().voluntary - before <= 1
    assert keeper.num_fds() <= 12
    await end(process)


async def test_what_a_keeper_writes_down_can_be_read_by_a_person(folder: Path) -> None:
    process = await EngineProcess.start(SLEEPER, folder, port=8123)
    kept = json.loads((folder / "keeper.json").read_text())
    assert kept["pid"] == process.pid
    assert kept["port"] == 8123
    assert kept["program"] == "a sleeper"
    assert kept["log"] == str(process.log)
    await end(process)
    assert os.listdir(folder) == []
