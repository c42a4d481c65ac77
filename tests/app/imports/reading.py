"""An imported configuration, as Freehold itself reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freehold.app.imports import Imported, as_yaml
from freehold.core.config_file import read_config


def loaded(imported: Imported, folder: Path, variables: Mapping[str, str]) -> Any:
    """Without a problem."""
    file = folder / "freehold.yaml"
    file.write_text(as_yaml(imported, "config.yaml"))
    config, problems = read_config(file, dict(variables))
    assert problems == []
    return config
