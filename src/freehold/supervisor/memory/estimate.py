"""The whole account of one way to run a model."""

from __future__ import annotations

from freehold.core.memory import MemoryNeed
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.run import Run


def estimate(model: ModelFile, run: Run) -> MemoryNeed:
    """What `run` needs, part by part and device by device. Parts may be too large, never knowingly too small."""
    raise NotImplementedError
