"""One engine process: its log, its launcher, its end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from freehold.core.servers import Launch
from freehold.supervisor import process as process_module
from freehold.supervisor.process import EngineProcess, log_path
from tests.supervisor.engines import wait_gone


def python(code: str) -> Launch:
    return Launch(argv=(sys.executable, "-I", "-S", "-c", code), env={})


async def test_last_lines_are_those_of_this_start_only(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    first = await EngineProcess.start(python("print('from the first life')"), log)
    assert await first.wait() == 0
    second = await EngineProcess.start(python("print('one\\n\\n  two  ')"), log)
    assert await second.wait() == 0
    assert second.last_lines() == ("one", "two")
    assert second.last_lines(1) == ("two",)
    assert "from the first life" in log.read_text()


async def test_a_program_that_is_not_there_ends_as_a_shell_would_say_it(tmp_path: Path) -> None:
    process = await EngineProcess.start(Launch(argv=("/no/such/program",), env={}), tmp_path / "x.log")
    assert await process.wait() == 127
    assert process.last_lines() == ("cannot run /no/such/program: No such file or directory",)


async def test_a_log_that_cannot_be_written_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="logs"):
        await EngineProcess.start(python(""), tmp_path / "logs" / "x.log")


async def test_a_large_log_is_set_aside_before_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"x" * (8 * 1024 * 1024 + 1))
    process = await EngineProcess.start(python("print('new')"), log)
    await process.wait()
    assert log.read_text() == "new\n"
    assert (tmp_path / "x.log.1").stat().st_size > 8 * 1024 * 1024


def test_a_name_with_odd_characters_stays_inside_the_folder(tmp_path: Path) -> None:
    assert log_path(tmp_path, "../a b/ü").parent == tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_an_engine_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    launcher = Path(process_module.__file__).with_name("launcher.py")
    code = (
        "import subprocess, sys, os\n"
        f"p = subprocess.Popen([sys.executable, {str(launcher)!r}, str(os.getpid()), 'sleep', '600'])\n"
        "print(p.pid, flush=True)\n"
        "while 'sleep' not in open(f'/proc/{p.pid}/cmdline').read() : pass\n"
        "print('up', flush=True); sys.stdin.read()\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    engine = psutil.Process(int(await parent.stdout.readline()))
    assert await parent.stdout.readline() == b"up\n"
    parent.kill()
    await parent.wait()
    await wait_gone(engine, 5)
