"""Finding an engine's program: named by the person, on the PATH, or beside our own Python."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from freehold.core.servers import EngineMissingError


def find_program(name: str, named: str | None, env: Mapping[str, str]) -> str | None:
    """Path of the program `name`; None when it is nowhere.

    `named` is what the person said instead: raises `EngineMissingError` when that is no program.
    """
    if named:
        found = shutil.which(named, path=env.get("PATH"))
        if found is None:
            raise EngineMissingError(f"{named} is no program that can be run; it was named for {name}")
        return found
    beside = Path(sys.executable).parent
    return shutil.which(name, path=env.get("PATH")) or shutil.which(name, path=str(beside))
