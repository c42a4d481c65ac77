"""Coding agents started as their users start them, in a folder and a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec

TURN_S = 180.0


class Turn(msgspec.Struct, frozen=True):
    """What an agent printed: one JSON object per line, and whatever else."""

    status: int
    events: list[dict[str, Any]]
    errors: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("type") == kind]


def run_agent(folder: Path, *command: str, **settings: str) -> Turn:
    """Run it in `folder/work` with HOME `folder/home`; of our environment it sees the path only."""
    work, home = folder / "work", folder / "home"
    work.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TERM", "SHELL") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=work,
        env=environment | {"HOME": str(home)} | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TURN_S,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return Turn(status=done.returncode, events=[json.loads(line) for line in lines], errors=done.stderr)
