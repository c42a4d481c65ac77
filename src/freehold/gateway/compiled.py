"""The hot modules of this package, compiled when that was possible: same source, half the time.

`scripts/native` compiles them with mypyc where a C compiler is; everywhere else, and whenever the sources
have changed since, the Python files run. Nothing but speed depends on it: `FREEHOLD_NATIVE=off` turns it off.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import MutableSequence
from pathlib import Path

MODULES = (
    "allowing",
    "bad_answer",
    "beside",
    "cached",
    "checking",
    "call",
    "call_state",
    "candidates",
    "climb",
    "connection",
    "count",
    "deaf",
    "deciding",
    "dying",
    "error_answer",
    "escalating",
    "events",
    "failing",
    "following",
    "gateway",
    "head_rules",
    "headers",
    "hedging",
    "holding",
    "ids",
    "judge",
    "kept",
    "landing",
    "lease",
    "marking",
    "measuring",
    "money",
    "payer",
    "peek",
    "prepare",
    "places",
    "relay",
    "replies",
    "request",
    "settle",
    "shadowing",
    "sharing",
    "signs",
    "stay",
    "tap",
    "tries",
    "upload",
    "upstream",
    "ways",
    "whole",
)
"""Compiled together. They hold no msgspec structs: those are classes of another kind."""


def stamp() -> str:
    """Names exactly these sources and this Python; compiled code is only used where it matches."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(sys.version.encode())
    for name in MODULES:
        digest.update((folder / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def native_folder() -> Path:
    """Where compiled modules of this environment lie, one folder a stamp."""
    return Path(sys.prefix) / "freehold-native"


def use(package_path: MutableSequence[str]) -> bool:
    """Let the package find its compiled modules first. False when there are none for these sources."""
    if os.environ.get("FREEHOLD_NATIVE") == "off" or not native_folder().is_dir():
        return False
    folder = native_folder() / stamp()
    if not folder.is_dir():
        return False
    sys.path.append(str(folder))  # the part that the compiled modules share lies at the top
    package_path.insert(0, str(folder / "freehold" / "gateway"))
    return True
