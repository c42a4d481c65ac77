"""Paths in the configuration: relative ones start in the folder of the file, `~` is the user's. Pure.

Whether a path exists is asked of the caller, because a model of vLLM may be a folder or a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from freehold.core.config import Config, ServerConfig
from freehold.core.home import expand_user


def with_full_paths(
    config: Config, folder: Path, env: Mapping[str, str], exists: Callable[[Path], bool]
) -> Config:
    """`config` with every path absolute. Doing it twice changes nothing more."""

    def full(path: str) -> str:
        return str(folder / expand_user(path, env))

    providers = {
        name: replace(provider, base_url=provider.base_url.rstrip("/"))
        for name, provider in config.providers.items()
    }
    receipts = config.receipts
    if receipts.dir is not None:
        receipts = replace(receipts, dir=full(receipts.dir))
    return replace(
        config,
        servers={name: _server(server, full, exists) for name, server in config.servers.items()},
        engines={name: full(path) for name, path in config.engines.items()},
        providers=providers,
        receipts=receipts,
    )


def _server(server: ServerConfig, full: Callable[[str], str], exists: Callable[[Path], bool]) -> ServerConfig:
    model = server.model
    if model is not None and (
        server.kind == "llama.cpp"
        or (server.kind in ("vllm", "sglang", "command") and _is_a_path(model, full, exists))
    ):
        model = full(model)
    return replace(
        server,
        model=model,
        draft=full(server.draft) if server.draft else None,
        projector=full(server.projector) if server.projector else None,
    )


def _is_a_path(model: str, full: Callable[[str], str], exists: Callable[[Path], bool]) -> bool:
    """Whether the model of an engine that knows models by their ids is a folder or file of ours."""
    return model.startswith(("/", "./", "../", "~")) or exists(Path(full(model)))
