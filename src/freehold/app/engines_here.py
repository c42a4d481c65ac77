"""The configured servers with the engines that start them: for commands that work without Freehold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from freehold.adapters.engines.registry import engines
from freehold.adapters.providers.catalog import configured_servers
from freehold.core.config_file import LoadedConfig
from freehold.core.servers import Engine, ServerSpec


def configured(loaded: LoadedConfig, env: Mapping[str, str]) -> list[tuple[ServerSpec, Engine]]:
    """Those that are started: adopted servers have no engine."""
    folder = loaded.file.parent if loaded.file else Path.cwd()
    known = engines(env, {str(name): path for name, path in loaded.config.engines.items()})
    specs = configured_servers(loaded.config, folder, env)
    return [(spec, known[spec.engine]) for spec in specs if spec.engine in known]
