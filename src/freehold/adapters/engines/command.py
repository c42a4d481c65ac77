"""Any program as an engine: the words of `command:`, with `{port}`, `{model}` and `{name}` filled in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from freehold.adapters.engines.environment import environment
from freehold.core.home import expand_user
from freehold.core.memory import MemoryNeed, Placement
from freehold.core.servers import EngineMissingError, Launch, ServerSpec


class Command:
    """Fills the port `Engine`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def launch(self, spec: ServerSpec, port: int, placement: Placement | None = None) -> Launch:
        """How to run `spec`'s program. Raises `EngineMissingError` when there is none of that name."""
        filled = {"{port}": str(port), "{model}": spec.model, "{name}": spec.name}
        words = [_filled(word, filled) for word in (*spec.command, *spec.args)]
        program = self._program(words[0], spec.folder)
        return Launch(
            argv=(program, *words[1:]),
            env=environment(self._env, spec, placement),
            health_path=spec.health_path or "/health",
            program=program,
            cwd=spec.folder,
        )

    def report(self, spec: ServerSpec, output: Sequence[str]) -> MemoryNeed | None:
        """Nothing: what it prints is unknown."""
        return None

    def _program(self, named: str, folder: str) -> str:
        """On the PATH; with a slash in its name from the folder in which it is run."""
        place = str(Path(folder) / expand_user(named, self._env)) if "/" in named else named
        found = shutil.which(place, path=self._env.get("PATH"))
        if found is None:
            raise EngineMissingError(f"there is no program {named} (command); it is looked for on the PATH")
        return found


def _filled(word: str, filled: Mapping[str, str]) -> str:
    """Other braces stay as they are: they may be JSON."""
    for name, value in filled.items():
        word = word.replace(name, value)
    return word
