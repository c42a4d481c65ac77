"""The two C programs of the gateway benchmark: the upstream and the load. Compiled when they are needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent


class Unusable(Exception):
    """The benchmark cannot run here; the text says what is missing and what to do."""


def compiled(name: str, folder: Path) -> Path:
    """The program `name`, compiled into `folder` when it is missing or older than its source.

    Raises `Unusable` when the machine has no C compiler or the compiler refuses.
    """
    source, program = SOURCES / f"{name}.c", folder / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = next((path for c in ("cc", "gcc", "clang") if (path := shutil.which(c))), None)
    if compiler is None:
        raise Unusable(
            "No C compiler (cc, gcc or clang). The load and the upstream are small C programs, because a "
            "slower load would be measured instead of the gateway. Install one (Debian: apt-get install gcc)."
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [compiler, "-O2", "-o", program, source], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise Unusable(f"{compiler} could not compile {source.name}:\n{done.stderr}")
    return program
