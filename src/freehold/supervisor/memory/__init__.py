"""What a model needs in memory, computed from its file's metadata before anything is loaded. Pure.

Formulas stand in small modules by noun; where they come from is said beside them. Measured against llama.cpp
by `python -m benchmarks memory`. What runs where is not decided here (`supervisor.placement`).
"""

from freehold.supervisor.memory.estimate import estimate
from freehold.supervisor.memory.run import Run
from freehold.supervisor.memory.ways import Limits, largest_context, ways

__all__ = ["Limits", "Run", "estimate", "largest_context", "ways"]
