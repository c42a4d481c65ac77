"""A tiny real model that Freehold generates itself: for tests, and for the first minute on a bare machine.

It is a llama-architecture GGUF of a few megabytes that any llama.cpp serves. It recites fixed texts
whatever the sampling settings, and a keyword in the user's message selects which (`scripts.KEYWORDS`):
`@@tool` calls a tool that the request offers, `@@json`, `@@long`, `@@forever`, `@@think` and so on.

`words -> vocabulary -> tokens -> network + template -> build`, which writes the file; `model_path` finds
the made one, which ships with the package. Only `network` and `build` need numpy and gguf.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "freehold-tiny"
"""What users see; it says whose and how big it is, and the answers say that it is a test model."""


def model_path() -> Path:
    """Where the generated file lies in the installed package."""
    return Path(__file__).parent.parent / "data" / "tiny.gguf"
