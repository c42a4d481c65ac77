"""Which build of an engine would run a server, and whether it can use GPUs. Each program is asked once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from threading import Lock

from freehold.adapters.engines.llamacpp_tools import server_sees_gpus, wheel_has_gpu_code
from freehold.core.errors import FreeholdError
from freehold.core.servers import Engine, ServerSpec


class EngineBuilds:
    """See the module. A program that is replaced on disk is another build."""

    def __init__(self, engines: Mapping[str, Engine], env: Mapping[str, str]) -> None:
        self._engines = engines
        self._env = env
        self._seen: dict[str, bool] = {}
        self._lock = Lock()

    def build(self, spec: ServerSpec) -> str:
        """A short text that changes when the program does; the engine's name where there is no program."""
        program = self._program(spec)
        if program is None:
            return spec.engine
        if program == sys.executable:
            return f"{spec.engine} embedded {_wheel_version()}"
        try:
            stat = Path(program).stat()
        except OSError:
            return f"{spec.engine} {Path(program).name}"
        return f"{spec.engine} {Path(program).name} {stat.st_size:x}-{stat.st_mtime_ns:x}"

    def sees_gpus(self, spec: ServerSpec) -> bool:
        """False only where the program is known to run on the CPU alone. The first time it may take a
        second: the program is asked."""
        if spec.engine != "llama.cpp":
            return True
        program = self._program(spec)
        if program is None:
            return True
        with self._lock:
            build = self.build(spec)
            if build not in self._seen:
                embedded = program == sys.executable
                said = wheel_has_gpu_code() if embedded else server_sees_gpus(program, self._env)
                self._seen[build] = said is not False
            return self._seen[build]

    def dry_run_tool(self, spec: ServerSpec) -> str | None:
        """Path of the `llama-fit-params` that came with the server's program, if one did."""
        program = self._program(spec)
        if program is None or program == sys.executable:
            return None
        tool = Path(program).resolve().with_name("llama-fit-params")
        return str(tool) if tool.is_file() else None

    def _program(self, spec: ServerSpec) -> str | None:
        engine = self._engines.get(spec.engine)
        if engine is None:
            return None
        try:
            return engine.launch(spec, 0).argv[0]
        except FreeholdError:
            return None


def _wheel_version() -> str:
    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        return ""
